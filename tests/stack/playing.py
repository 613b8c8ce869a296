"""Playing a scenario to its end, and what its verdict says."""

from __future__ import annotations

import contextlib
import re
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
# Seconds that a scenario takes at most that is played and held, or played slowly.
PLAYED = SLOWER = 900.0
# Evidently's reports cost a run 5 s of the processor; that of the demo shows them.
NO_REPORTS = {"TESTBED_DRIFT_HTML": "never"}
# The study of relations costs 3 s; runs of a drift that only it sees, and long ones, have it.
NO_RELATIONS = {"TESTBED_DRIFT_RELATIONS_ROWS": "0"}


# What a verdict advises where the machine was too slow.
ADVICE = re.compile(r"Run it with (--time-scale) ([\d.]+)")
PLAYS = ("run", "again", "once-more")


def play(
    line: CommandLine, *arguments: str, timeout: float = 300.0, studied: bool | None = None
) -> Result:
    """Run a scenario; anew, as it advises, where other work made the machine too slow for it.

    Relations are studied if `studied` says so; by default, where it is not played quickly.
    """
    if studied is None:
        studied = QUICK[0] not in arguments
    line.environment |= NO_REPORTS | ({} if studied else NO_RELATIONS)
    slower: tuple[str, ...] = ()
    for folder in PLAYS:
        result = line.run("run", *arguments, *slower, "--out", folder, timeout=timeout)
        if result.code != COULD_NOT_RUN or TOO_SLOW not in result.output:
            break
        slower, timeout = advised(result.output), SLOWER
    return result


def advised(output: str) -> tuple[str, ...]:
    """The options that a verdict advises; none where it says nothing."""
    found = ADVICE.search(" ".join(output.split()))
    return found.groups() if found else ()


def _is_over(line: CommandLine, process: subprocess.Popen[str]) -> bool:
    return HELD in line.output or process.poll() is not None


@contextlib.contextmanager
def played(line: CommandLine, scenario: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A scenario that has been played while its stack still lives: its process, and its folder.

    Anew, as it advises, where other work made the machine too slow for it.
    """
    slower: tuple[str, ...] = ()
    for folder in PLAYS:
        with line.start("run", scenario, *slower, "--keep", "--out", folder) as process:
            wait_for(partial(_is_over, line, process), PLAYED, lambda: line.output)
            if HELD in line.output:
                yield process, line.folder / folder
                return
            assert folder != PLAYS[-1], line.output
            assert TOO_SLOW in line.output, line.output
            slower = advised(line.output)


def failed_checks(result: Result) -> dict[str, str]:
    """Name to summary of the checks that failed."""
    return {c["name"]: c["summary"] for c in result.verdict["checks"] if not c["passed"]}


def telemetry_hops(result: Result) -> dict[str, dict[str, Any]]:
    """The loss table's part about the telemetry itself, by key."""
    keys = {"exports", "points", "spans"}
    return {
        hop["key"]: hop for hop in result.verdict["hops"] if hop["key"].partition("_")[0] in keys
    }

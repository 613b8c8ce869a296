"""Playing a scenario to its end, and what its verdict says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import testbed.selftest

if TYPE_CHECKING:
    from tests.support.commandline import CommandLine, Result

# Runs that must fail need no slack for what arrives late, nor do those in which nothing fires.
QUICK = ("--time-scale", "60")
# Half a minute of normal traffic.
SHORT = str(Path(testbed.selftest.__file__).parent / "scenarios" / "quick.yaml")
COULD_NOT_RUN = 2
# Evidently's reports cost a run 5 s of the processor; that of the demo shows them.
NO_REPORTS = {"TESTBED_DRIFT_HTML": "never"}


def play(line: CommandLine, *arguments: str, timeout: float = 300.0) -> Result:
    """Run a scenario; once more where other work on the machine made it too slow to evaluate."""
    line.environment |= NO_REPORTS
    result = line.run("run", *arguments, "--out", "run", timeout=timeout)
    if result.code == COULD_NOT_RUN and "too slow for this time scale" in result.output:
        return line.run("run", *arguments, "--out", "again", timeout=timeout)
    return result


def failed_checks(result: Result) -> dict[str, str]:
    """Name to summary of the checks that failed."""
    return {c["name"]: c["summary"] for c in result.verdict["checks"] if not c["passed"]}


def telemetry_hops(result: Result) -> dict[str, dict[str, Any]]:
    """The loss table's part about the telemetry itself, by key."""
    keys = {"exports", "points", "spans"}
    return {
        hop["key"]: hop for hop in result.verdict["hops"] if hop["key"].partition("_")[0] in keys
    }

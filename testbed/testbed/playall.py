"""Plays scenarios, two at a time, and prints a table: ``python -m testbed.playall [NAME ...]``.

Each is a ``testbed run`` of its own, with a folder of its own. Ends with 0 when all passed.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from testbed.resources import find_scenario, scenario_files
from testbed.scenario import read_scenario
from testbed.sidebyside import Command, Ended, last_line, run_side_by_side

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MODULE: Final = "testbed.entry"
HEADINGS: Final = ("scenario", "outcome", "took", "checks", "why")
INTERRUPTED: Final = 130
OUTCOMES: Final = {0: "passed", 1: "failed"}


@dataclass(frozen=True, slots=True)
class PlayedScenario:
    """What became of one run.

    Attributes:
        name: of the scenario.
        code: exit code.
        seconds: from start to end.
        checks: how many passed, of how many.
        why: the first broken link and its check, or the last line that the run printed.
    """

    name: str
    code: int
    seconds: float
    checks: str = ""
    why: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """Its line of the table."""
        outcome = OUTCOMES.get(self.code, "could not run")
        return self.name, outcome, f"{self.seconds:.0f} s", self.checks, self.why


def command(name: str, out: Path, options: Sequence[str]) -> Command:
    """How one scenario is played.

    Args:
        name: of the scenario.
        out: folder of all runs; the run's own is made in it, and what it prints goes beside that.
        options: further ones of ``testbed run``.
    """
    argv = (sys.executable, "-m", MODULE, "run", name, "--out", str(out / name), *options)
    return Command(name, argv, out / f"{name}.log")


def played(ended: Ended, out: Path) -> PlayedScenario:
    """What became of a run that has ended."""
    name, code = ended.command.name, ended.code
    checks, why = summary(out / name / "verdict.json", ended.command.log, code)
    return PlayedScenario(name, code, ended.seconds, checks, why)


def summary(verdict_file: Path, log: Path, code: int) -> tuple[str, str]:
    """Number of checks that passed, and why the run did not pass, or an empty text."""
    checks, why = _evaluated(verdict_file)
    return checks, why if code in OUTCOMES else last_line(log)


def _evaluated(verdict_file: Path) -> tuple[str, str]:
    """The same by the verdict alone; empty where there is none."""
    try:
        verdict = json.loads(verdict_file.read_text(encoding="utf-8"))
    except OSError:
        return "", ""
    checks = verdict["checks"]
    failed = [check for check in checks if not check["passed"]]
    why = f"{failed[0]['stage']}: {failed[0]['summary']}" if failed else ""
    return f"{len(checks) - len(failed)} of {len(checks)}", why


def longest_first(names: Sequence[str]) -> list[str]:
    """Names of scenarios in the order in which they are best begun."""

    def seconds(name: str) -> float:
        scenario = read_scenario(find_scenario(name))
        return (scenario.duration + scenario.settle) / scenario.time_scale

    return sorted(names, key=seconds, reverse=True)


def lines(played: Sequence[PlayedScenario]) -> Iterator[str]:
    """The table, its columns aligned."""
    rows = [HEADINGS, *(each.cells for each in played)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _say(*text: str) -> None:
    sys.stdout.writelines(f"{line}\n" for line in text)
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Play what is asked for; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m testbed.playall", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="scenarios; default: all")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time (default: 2)")
    parser.add_argument(
        "--out", type=Path, help="new folder of the runs (default: below .testbed/scenarios)"
    )
    parser.add_argument("--seed", default="1", help="seed of the traffic (default: 1)")
    parser.add_argument("--use-case", help="in place of the scenarios' own")
    asked = parser.parse_args(arguments)
    out = asked.out or Path(".testbed", "scenarios", time.strftime("%Y%m%dT%H%M%S"))
    out.mkdir(parents=True)
    options = ["--seed", asked.seed, *(["--use-case", asked.use_case] if asked.use_case else [])]
    names = longest_first(asked.names or list(scenario_files()))
    _say(f"{len(names)} scenarios, {asked.jobs} at a time, into {out}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    found: list[PlayedScenario] = []

    def report(ended: Ended) -> None:
        one = played(ended, out)
        found.append(one)
        _say(f"{one.name}: {one.cells[1]} after {one.cells[2]}")

    try:
        run_side_by_side([command(name, out, options) for name in names], asked.jobs, report)
    except KeyboardInterrupt:
        _say("interrupted; the runs that were under way have stopped their stacks")
        return INTERRUPTED
    _say("", *lines(sorted(found, key=lambda each: each.name)))
    return max((each.code for each in found), default=0)


if __name__ == "__main__":
    sys.exit(main())

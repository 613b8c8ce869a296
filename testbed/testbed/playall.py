"""Plays scenarios, two at a time, and prints a table: ``python -m testbed.playall [NAME ...]``.

Each is a ``testbed run`` of its own, with a folder of its own. Ends with 0 when all passed.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from testbed.resources import find_scenario, scenario_files
from testbed.scenario import read_scenario

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

COMMAND: Final = "import sys; from testbed.cli import main; sys.argv[0] = 'testbed'; main()"
HEADINGS: Final = ("scenario", "outcome", "took", "checks", "why")
INTERRUPTED: Final = 130
OUTCOMES: Final = {0: "passed", 1: "failed"}


@dataclass(frozen=True, slots=True)
class Played:
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


def play(
    name: str, out: Path, options: Sequence[str], running: list[subprocess.Popen[bytes]]
) -> Played:
    """Play one scenario.

    Args:
        name: of the scenario.
        out: folder of all runs; the run's own is made in it, and what it prints goes beside that.
        options: further ones of ``testbed run``.
        running: holds its process while that runs.
    """
    began, folder, log = time.monotonic(), out / name, out / f"{name}.log"
    argv = [sys.executable, "-c", COMMAND, "run", name, "--out", str(folder), *options]
    with (
        log.open("wb") as file,
        # A session of its own: the terminal's Ctrl-C reaches it once, through this process.
        subprocess.Popen(argv, stdout=file, stderr=file, start_new_session=True) as process,
    ):
        running.append(process)
        code = process.wait()
        running.remove(process)
    checks, why = summary(folder / "verdict.json", log, code)
    return Played(name, code, time.monotonic() - began, checks, why)


def summary(verdict_file: Path, log: Path, code: int) -> tuple[str, str]:
    """Number of checks that passed, and why the run did not pass, or an empty text."""
    checks, why = _judged(verdict_file)
    if code in OUTCOMES:
        return checks, why
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return checks, next((line for line in reversed(lines) if line.strip()), "")


def _judged(verdict_file: Path) -> tuple[str, str]:
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


def lines(played: Sequence[Played]) -> Iterator[str]:
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
    played = []
    running: list[subprocess.Popen[bytes]] = []
    one_of = partial(play, out=out, options=options, running=running)
    with ThreadPoolExecutor(asked.jobs) as pool:
        try:
            for one in pool.map(one_of, names):
                played.append(one)
                _say(f"{one.name}: {one.cells[1]} after {one.cells[2]}")
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in running[:]:
                process.send_signal(signal.SIGINT)
            _say("interrupted; the runs that were under way stop their stacks")
            return INTERRUPTED
    _say("", *lines(sorted(played, key=lambda each: each.name)))
    return max((each.code for each in played), default=0)


if __name__ == "__main__":
    sys.exit(main())

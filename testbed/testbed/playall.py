"""Plays scenarios, several at a time, and prints a table: ``python -m testbed.playall [NAME ...]``.

Those that need a stack started alike share one, one after the other (:mod:`testbed.playgroup`);
each other is a ``testbed run`` of its own, and one that takes processors away comes last, alone.
What was too slow beside others is played once more, alone. All have a folder of their own. Ends
with 0 when all passed.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import signal
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from testbed_domain.errors import DomainError

from testbed.errors import EXIT_COULD_NOT_RUN, UsageError
from testbed.faultrefusals import not_permitted
from testbed.playgroup import GROUP_FILE, grouped
from testbed.repetitions import Repetition, record
from testbed.resources import find_scenario, scenario_files
from testbed.runoptions import RunOptions
from testbed.scenario import read_scenario
from testbed.servicefile import read_service
from testbed.settings import load_settings
from testbed.sidebyside import Command, Ended, last_line, run_side_by_side
from testbed.suited import not_suited
from testbed.tail import JsonLinesTail
from testbed.usecasechoice import name_use_case

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from testbed.scenario import Scenario

MODULE: Final = "testbed.entry"
GROUP_MODULE: Final = "testbed.playgroup"
APART: Final = ", "
"""Between the names of scenarios that share a stack."""
ALONE: Final = "alone"
"""Folder of those that are played once more."""
NO_REPORTS: Final = {"TESTBED_DRIFT_HTML": "never"}
"""Evidently's pages cost a run seconds of the processor, and a table shows none of them."""
HEADINGS: Final = ("scenario", "outcome", "took", "checks", "why")
INTERRUPTED: Final = 130
STACKS_PER_PROCESSOR: Final = 2
"""A stack that plays needs a quarter of a processor: two at a time leave room for their starts."""
MAX_STACKS: Final = 8
"""By default: each takes up to 1.5 GB of memory."""
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
        slow: whether the machine was too slow for it, by its verdict.
    """

    name: str
    code: int
    seconds: float
    checks: str = ""
    why: str = ""
    slow: bool = False

    @property
    def cells(self) -> tuple[str, ...]:
        """Its line of the table."""
        outcome = OUTCOMES.get(self.code, "could not run")
        return self.name, outcome, f"{self.seconds:.0f} s", self.checks, self.why


def usual_jobs() -> int:
    """Stacks at a time where nothing else is asked for."""
    return min(MAX_STACKS, STACKS_PER_PROCESSOR * len(os.sched_getaffinity(0)))


def command(name: str, out: Path, options: Sequence[str]) -> Command:
    """How one scenario is played.

    Args:
        name: of the scenario.
        out: folder of all runs; the run's own is made in it, and what it prints goes beside that.
        options: further ones of ``testbed run``.
    """
    argv = (sys.executable, "-m", MODULE, "run", name, "--out", str(out / name), *options)
    return Command(name, argv, out / f"{name}.log", NO_REPORTS)


def group_command(names: Sequence[str], out: Path, options: Sequence[str]) -> Command:
    """How scenarios that share a stack are played; arguments as of :func:`command`."""
    if len(names) == 1:
        return command(names[0], out, options)
    argv = (sys.executable, "-m", GROUP_MODULE, *names, "--out", str(out), *options)
    return Command(APART.join(names), argv, out / f"{names[0]}.log", NO_REPORTS)


def played(ended: Ended, out: Path) -> tuple[PlayedScenario, ...]:
    """What became of the scenarios of a command that has ended."""
    names = ended.command.name.split(APART)
    if len(names) == 1:
        return (_outcome(names[0], ended.code, ended.seconds, ended, out),)
    lines = {line["name"]: line for line in JsonLinesTail(out / GROUP_FILE).read()}
    # One without a line was not reached: as little as its group, it could not be run.
    return tuple(
        _outcome(name, lines[name]["code"], lines[name]["seconds"], ended, out, lines[name]["why"])
        if name in lines
        else _outcome(name, ended.code or EXIT_COULD_NOT_RUN, 0.0, ended, out)
        for name in names
    )


def _outcome(
    name: str, code: int, seconds: float, ended: Ended, out: Path, why: str = ""
) -> PlayedScenario:
    checks, reason, slow = summary(out / name / "verdict.json", ended.command.log, code)
    return PlayedScenario(name, code, seconds, checks, why or reason, slow)


def summary(verdict_file: Path, log: Path, code: int) -> tuple[str, str, bool]:
    """Number of checks that passed, why the run did not pass, and whether it was too slow."""
    checks, why, slow = _evaluated(verdict_file)
    return checks, why if code in OUTCOMES else last_line(log), slow and code not in OUTCOMES


def _evaluated(verdict_file: Path) -> tuple[str, str, bool]:
    """The same by the verdict alone; empty where there is none."""
    try:
        verdict = json.loads(verdict_file.read_text(encoding="utf-8"))
    except OSError:
        return "", "", False
    checks = verdict["checks"]
    failed = [check for check in checks if not check["passed"]]
    why = f"{failed[0]['stage']}: {failed[0]['summary']}" if failed else ""
    return f"{len(checks) - len(failed)} of {len(checks)}", why, bool(verdict.get("too_slow"))


def longest_first(names: Sequence[str]) -> list[str]:
    """Names of scenarios in the order in which they are best begun."""
    return sorted(names, key=lambda name: _seconds((name,)), reverse=True)


def _seconds(names: Sequence[str]) -> float:
    """Real seconds that scenarios take one after the other."""
    found = (read_scenario(find_scenario(name)) for name in names)
    return sum((each.duration + each.settle) / each.time_scale for each in found)


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


def play_all(
    names: Sequence[str],
    out: Path | None,
    jobs: int | None,
    options: RunOptions,
    service: Path | None = None,
    recorded: Path | None = None,
) -> int:
    """Play scenarios and print a table.

    Args:
        names: of scenarios; empty plays all that ship.
        out: new folder of the runs; None makes one below ``.testbed/scenarios``.
        jobs: stacks at a time; None is :func:`usual_jobs`.
        options: seed, use case, time scale and target count.
        service: file of that target.
        recorded: file that gets a line on this repetition (:mod:`testbed.repetitions`).

    Returns:
        The highest exit code.

    Raises:
        DomainError: a scenario is not there, or broken, or none can be played.
        KeyboardInterrupt: it was interrupted; all stacks have been stopped.
    """
    asked = names or list(scenario_files())
    scenarios = {name: read_scenario(find_scenario(name)) for name in asked}
    settings = load_settings()
    refused = {
        name: not_permitted(each)
        or not_suited(
            each,
            options.target,
            name_use_case(options.use_case, options.own.target, settings, each.use_case),
        )
        for name, each in scenarios.items()
    }
    _say(*(f"{name}: skipped, {reason}" for name, reason in refused.items() if reason))
    wanted = longest_first([name for name in asked if refused[name] is None])
    if not wanted and options.target is not None:
        raise UsageError("none of the scenarios can be played: the reasons stand above")
    groups = sorted(grouped(wanted, options, settings), key=_seconds, reverse=True)
    place = out or Path(".testbed", "scenarios", time.strftime("%Y%m%dT%H%M%S"))
    place.mkdir(parents=True)
    jobs = jobs or usual_jobs()
    _say(f"scenarios: {len(wanted)}, stacks: {len(groups)}, {jobs} at a time, into {place}")
    began, found, again = time.monotonic(), list[PlayedScenario](), list[str]()

    def report(ended: Ended) -> None:
        for one in played(ended, ended.command.log.parent):
            found.append(one)
            _say(f"{one.name}: {one.cells[1]} after {one.cells[2]}")

    argv = [*_argv(options), *([] if service is None else ["--service", str(service)])]
    alone = [group for group in groups if any(_crowds(scenarios[name]) for name in group)]
    try:
        for these, at_a_time in (([g for g in groups if g not in alone], jobs), (alone, 1)):
            commands = [group_command(group, place, argv) for group in these]
            run_side_by_side(commands, at_a_time, report)
            if at_a_time > 1 and (slow := [one for one in found if one.slow]):
                again = [one.name for one in slow]
                _say(f"too slow beside others, and once more alone: {', '.join(again)}")
                found = [one for one in found if not one.slow]
                (place / ALONE).mkdir()
                run_side_by_side([command(name, place / ALONE, argv) for name in again], 1, report)
    except KeyboardInterrupt:
        _say("interrupted; the runs that were under way have stopped their stacks")
        raise
    _say("", *lines(sorted(found, key=lambda each: each.name)))
    minutes = (time.monotonic() - began) / 60
    _say(f"took {minutes:.1f} min")
    if recorded is not None:
        repetition = Repetition(
            day=dt.datetime.now(dt.UTC).date(),
            seed=options.seed,
            jobs=jobs,
            processors=len(os.sched_getaffinity(0)),
            minutes=round(minutes, 1),
            scenarios=len(found),
            missed={each.name: each.why for each in found if each.code},
            again=tuple(again),
        )
        record(repetition, recorded)
    return max((each.code for each in found), default=0)


def _crowds(scenario: Scenario) -> bool:
    """Whether it takes processors away, which others would lack, and it theirs."""
    return any(fault.crowds for phase in scenario.phases for fault in phase.faults)


def _argv(options: RunOptions) -> list[str]:
    """Options of ``testbed run``."""
    given = {"--use-case": options.use_case, "--time-scale": options.time_scale}
    more = [word for name, value in given.items() if value for word in (name, str(value))]
    return ["--seed", str(options.seed), *more]


def main(arguments: Sequence[str] | None = None) -> int:
    """Play what is asked for; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m testbed.playall", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="scenarios; default: all")
    parser.add_argument(
        "--jobs", type=int, help="stacks at a time (default: two for each processor, 8 at most)"
    )
    parser.add_argument(
        "--out", type=Path, help="new folder of the runs (default: below .testbed/scenarios)"
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of the traffic (default: 1)")
    parser.add_argument("--use-case", help="in place of the scenarios' own")
    parser.add_argument("--time-scale", type=float, help="in place of the scenarios' own")
    parser.add_argument("--service", type=Path, help="file of your own service")
    parser.add_argument("--record", type=Path, help="file that gets a line on what came of it")
    asked = parser.parse_args(arguments)
    if asked.jobs is not None and asked.jobs < 1:
        parser.error(f"--jobs must be at least 1, not {asked.jobs}")
    options = RunOptions(use_case=asked.use_case, seed=asked.seed, time_scale=asked.time_scale)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if asked.service is not None:
            options = replace(options, target=read_service(asked.service))
        return play_all(asked.names, asked.out, asked.jobs, options, asked.service, asked.record)
    except KeyboardInterrupt:
        return INTERRUPTED
    except DomainError as error:
        sys.stderr.write(f"error: {error}\n")
        return EXIT_COULD_NOT_RUN


if __name__ == "__main__":
    sys.exit(main())

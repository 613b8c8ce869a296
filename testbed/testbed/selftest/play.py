"""Plays defects, several at a time, each in a process of its own."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from testbed.errors import EXIT_VERDICT_FAILED, UsageError
from testbed.layout import RunLayout
from testbed.selftest.catalogue import kind_of
from testbed.selftest.results import Result
from testbed.sidebyside import Command, Ended, last_line, run_side_by_side
from testbed.verdict import read_verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from testbed.selftest.defect import Defect
    from testbed.verdict import Verdict

LIMIT: Final = 420.0
"""Seconds that one run may take."""


def play_all(
    defects: Sequence[Defect], folder: Path, jobs: int, report: Callable[[Result], None]
) -> tuple[Result, ...]:
    """Play defects and say what came of each.

    Args:
        defects: in this order.
        folder: gets a folder for each run, and its output as ``NAME.log``.
        jobs: runs at a time.
        report: called with each as it ends.

    Returns:
        Results in the order of the defects.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, Result] = {}
    by_name = {defect.name: defect for defect in defects}

    def ended(one: Ended) -> None:
        name = one.command.name
        found[name] = _result(by_name[name], one, folder / name)
        report(found[name])

    run_side_by_side([_command(name, folder) for name in by_name], jobs, ended, LIMIT)
    return tuple(found[name] for name in by_name)


def _command(name: str, folder: Path) -> Command:
    argv = (sys.executable, "-m", "testbed.selftest", name, str(folder / name))
    return Command(name, argv, folder / f"{name}.log")


def _result(defect: Defect, ended: Ended, run: Path) -> Result:
    culprit, lead = None, last_line(ended.command.log) or "no output"
    if ended.code == EXIT_VERDICT_FAILED:
        culprit, lead = _read(run, lead, defect.check)
    return Result(
        defect=defect.name,
        kind=kind_of(defect),
        exit_code=ended.code,
        culprit=culprit,
        expected=tuple(map(str, defect.culprits)),
        lead=lead,
        seconds=round(ended.seconds, 1),
        refused=defect.refused,
    )


def _read(run: Path, otherwise: str, check: str | None) -> tuple[str | None, str]:
    """The link that the verdict names first, and the check that leads."""
    try:
        verdict = read_verdict(RunLayout(run))
    except UsageError:
        return None, otherwise  # a crash of the run ends with 1 as well; its last line says why
    return named_by(verdict, check)


def named_by(verdict: Verdict, check: str | None) -> tuple[str | None, str]:
    """The link that a failed verdict names first, and the check that leads.

    No link where the ``check`` that a defect is for did not fail: others found something else.
    """
    first = verdict.failed[0]
    lead = f"{first.name}: {first.summary}"
    if check is not None and check not in {each.name for each in verdict.failed}:
        return None, f"{check} did not fail; {lead}"
    return verdict.culprit, lead

"""The run before this one: of the same scenario, in the same folder of runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from testbed.comparison import compare
from testbed.errors import UsageError
from testbed.layout import RunLayout
from testbed.runlist import played
from testbed.settings import TOLERANCE
from testbed.verdict import read_verdict

if TYPE_CHECKING:
    from testbed.comparison import RunComparison
    from testbed.verdict import Verdict


@dataclass(frozen=True, slots=True)
class PreviousRun:
    """The run before, and what changed since.

    Attributes:
        folder: name of its folder, which need not be its id: ``--out`` chooses it.
        since: what changed.
    """

    folder: str
    since: RunComparison


def since_previous(layout: RunLayout, verdict: Verdict) -> PreviousRun | None:
    """What changed since the latest run of the scenario that ended before this one began.

    One without a verdict that can be read, or that the machine was too slow for, is passed over.

    Args:
        layout: folder of the run.
        verdict: its verdict.
    """
    latest: tuple[Verdict, str] | None = None
    for path in played(layout.root.resolve().parent, verdict.run.scenario):
        try:
            found = read_verdict(RunLayout(path))
        except UsageError:
            continue
        if found.too_slow or found.run.id == verdict.run.id:
            continue
        ended = found.ended_at
        if ended <= verdict.started_at and (latest is None or ended > latest[0].ended_at):
            latest = found, path.name
    if latest is None:
        return None
    before, folder = latest
    return PreviousRun(folder, compare(before, verdict, TOLERANCE))

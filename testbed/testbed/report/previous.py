"""The run before this one: of the same scenario, in the same folder of runs."""

from __future__ import annotations

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


def since_previous(layout: RunLayout, verdict: Verdict) -> RunComparison | None:
    """What changed since the latest run of the scenario that ended before this one began.

    One without a verdict that can be read, or that the machine was too slow for, is passed over.

    Args:
        layout: folder of the run.
        verdict: its verdict.
    """
    latest: Verdict | None = None
    for path in played(layout.root.resolve().parent, verdict.run.scenario):
        try:
            found = read_verdict(RunLayout(path))
        except UsageError:
            continue
        if found.too_slow or found.run.id == verdict.run.id:
            continue
        ended = found.ended_at
        if ended <= verdict.started_at and (latest is None or ended > latest.ended_at):
            latest = found
    return compare(latest, verdict, TOLERANCE) if latest else None

"""What the load saw of its requests, from when each was due: late sending hides no slowness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.truth import Request


@dataclass(frozen=True, slots=True)
class DueRequests:
    """Requests of a phase, or of the whole load.

    Attributes:
        sent: those that were sent.
        unsent: how many were due and were not sent, because the load could send no more.
    """

    sent: tuple[Request, ...]
    unsent: int = 0

    @property
    def count(self) -> int:
        """All that were due."""
        return len(self.sent) + self.unsent


def due_requests(case: Case, phase: str | None, after: float) -> DueRequests:
    """The requests that were due in a phase, later than ``after`` production seconds in it."""
    rows = [row for row in case.phases if phase in {None, row.name}]
    if not rows:
        return DueRequests(())
    begin = rows[0].start + case.real(after)
    sent = tuple(
        request
        for request in case.evidence.truth.requests
        if phase in {None, request.phase} and (not after or request.scheduled_at >= begin)
    )
    return DueRequests(sent, _unsent(case, phase, case.real(after), len(sent)))


def _unsent(case: Case, phase: str | None, after: float, sent: int) -> int:
    """How many are lacking, which the load says: it is not asked where it missed none."""
    if not case.evidence.truth.missed:
        return 0
    due = 0
    for each in case.scenario.phases:
        if phase in {None, each.name}:
            times = each.played(case.factor).due_times(case.evidence.run.seed)
            if times is not None:
                due += sum(times.at(number) >= after for number in range(times.count))
            after = 0.0
    return min(max(0, due - sent), case.evidence.truth.missed)


def took(request: Request) -> float:
    """Seconds from when it was due to its answer, or to the moment at which the load gave up."""
    return request.finished_at - request.scheduled_at

"""More arrivals than can be served."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Literal

from pydantic import Field

from testbed.faults.api import UNAVAILABLE, ApiFault
from testbed.faults.base import FAULTS
from testbed.faults.effects import MIN_REQUESTS, Effect, meanwhile

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.phases import PhaseRow

OK: Final = 200
MAX_RATIO: Final = 1.25
"""Ratio of the capacity that may have been answered: an interval has edges."""


@FAULTS.register
class OverloadFault(ApiFault):
    """The API makes at most so many predictions per real second: fewer than arrive.

    The others wait for their turn, and are refused with 503 where that comes after the deadline
    (`settings: {api: {deadline: 0.3}}`). Each replica has this capacity. What your machine can
    really do, `testbed capacity` finds out; a phase with a rate above that needs no fault.
    """

    key: ClassVar[str] = "capacity"
    kind: Literal["overload"] = "overload"
    rate: float = Field(gt=0, le=10_000, description="Predictions per real second at most.")

    @property
    def label(self) -> str:
        """Of the timeline."""
        return f"overload above {self.rate:g}/s"

    @property
    def description(self) -> str:
        """Of the documentation."""
        return f"the API can make {self.rate:g} predictions per second, and no more"

    def effect(self, case: Case, phase: PhaseRow) -> Effect:
        """By the requests that were refused, and by those that were not."""
        rows = meanwhile(case, phase, self.label)
        refused = sum(row.status == UNAVAILABLE for row in rows)
        answered = sum(row.status == OK for row in rows)
        span = max((row.finished_at for row in rows), default=0.0) - min(
            (row.sent_at for row in rows), default=0.0
        )
        seen = f"of {len(rows)} requests {answered} were answered and {refused} refused with 503"
        if len(rows) < MIN_REQUESTS:
            return Effect(phase.name, self.label, None, seen)
        maximum = MAX_RATIO * self.rate * span * max(1, case.evidence.run.replicas)
        return Effect(phase.name, self.label, took=refused > 0 and answered <= maximum, seen=seen)

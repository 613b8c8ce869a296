"""By how much the time stamps of a process differ from what the load's clock says of the same."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from testbed.charts import StoredModel

if TYPE_CHECKING:
    from testbed.truth import Request

APART: Final = 1.0
"""Seconds beyond the time in which its client waited from which on a stamp is of another clock."""


class ClockOffset(StoredModel):
    """Stamps of one process that are outside of the time in which their clients waited.

    Attributes:
        instance: ``service.instance.id``.
        count: how many are, by more than :data:`APART`.
        of: how many were compared.
        seconds: median by which these are ahead; negative: behind.
    """

    instance: str
    count: int
    of: int
    seconds: float


@dataclass
class ClockComparison:
    """Collects stamps of processes beside the requests that they are about."""

    beyond: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, instance: str, start: float, end: float, request: Request) -> None:
        """Take what a process says of one request: from when until when, in Unix time.

        One that was not answered says nothing: nobody knows when its process had done with it.
        """
        if request.status is None:
            return
        early, late = start - request.sent_at, end - request.finished_at
        self.beyond[instance].append(late if late > APART else early if early < -APART else 0.0)

    def offsets(self) -> tuple[ClockOffset, ...]:
        """Of each process that has any, in order of their names."""
        found = []
        for instance, all_of_it in sorted(self.beyond.items()):
            wrong = [seconds for seconds in all_of_it if seconds]
            if wrong:
                offset = statistics.median(wrong)
                found.append(
                    ClockOffset(
                        instance=instance, count=len(wrong), of=len(all_of_it), seconds=offset
                    )
                )
        return tuple(found)

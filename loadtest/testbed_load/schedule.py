"""Which request is due next: the open-loop schedule that all users share; no I/O, no clock.

Request k of a phase is due at the phase's start + k / rate, whoever sends it and however slow the
service is. A user that comes late finds its request overdue and sends it at once, so the delay
shows as ``sent_at - scheduled_at`` instead of a lower rate; what is still unsent when its phase
ends is dropped and counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed_load.plan import LoadPhase, LoadPlan


@dataclass(frozen=True, slots=True)
class Ticket:
    """One request to send.

    Attributes:
        seq: number of the request within the plan, from 0.
        phase: index of its phase.
        index: number of the request within its phase, from 0.
        due: seconds after the start of the load.
    """

    seq: int
    phase: int
    index: int
    due: float


class Schedule:
    """Hands out the requests of a plan in order, each once."""

    def __init__(self, plan: LoadPlan) -> None:
        self._phases = plan.phases
        self._spans = tuple(pairwise(plan.starts))
        self._phase = 0
        self._index = 0
        self._offset = 0
        self.missed = 0

    def claim(self, now: float) -> Ticket | None:
        """The next request, or None when the load is over.

        Args:
            now: seconds since the start of the load.
        """
        while self._phase < len(self._phases):
            phase = self._phases[self._phase]
            due = self._due(phase, now)
            if due is not None:
                ticket = Ticket(self._offset + self._index, self._phase, self._index, due)
                self._index += 1
                return ticket
            slots = phase.slots if phase.slots is not None else self._index
            self.missed += slots - self._index
            self._offset += slots
            self._phase, self._index = self._phase + 1, 0
        return None

    def _due(self, phase: LoadPhase, now: float) -> float | None:
        """When the phase's next request is due; None when the phase has none left."""
        start, end = self._spans[self._phase]
        if phase.slots is not None and self._index >= phase.slots:
            return None
        if phase.requests is None and now >= end:
            return None
        return now if phase.rate is None else start + self._index / phase.rate

"""Which request is due next: the open-loop schedule that all users share; no I/O, no clock.

Request k of a phase is due at a time that only the plan decides (k / rate after the phase's start,
where the rate is constant), whoever sends it and however slow the service is. A user that comes
late finds its request overdue and sends it at once, so the delay shows as ``sent_at -
scheduled_at`` instead of a lower rate; what is still unsent when its phase ends is dropped and
counted.

Users without a rate are closed: each sends its next request once its last is answered and it has
thought about it, so their due times follow from the answers. The first of the pool who ask in such
a phase are its users; the others wait for its end.

Processes that share a plan take the requests of each phase in turns (:class:`Shard`). How many
requests closed users send differs from process to process, and so does the number at which the next
phase begins; yet no number is given twice, for those of a process all lie whole turns apart.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from testbed_load.shards import Shard

if TYPE_CHECKING:
    from collections.abc import Hashable

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


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing to do for the asking user, until so many seconds after the start of the load."""

    until: float


class Schedule:
    """Hands out the requests of a plan in order, each once.

    Args:
        plan: what to send.
        shard: which of the requests.
    """

    def __init__(self, plan: LoadPlan, shard: Shard | None = None) -> None:
        self._shard = shard or Shard()
        self._phases = plan.phases
        # All are drawn now: nothing is left to compute when the first request is due.
        self._due_times = tuple(phase.due_times(plan.seed) for phase in plan.phases)
        self._spans = tuple(pairwise(plan.starts))
        self._seed = plan.seed
        self._phase = 0
        self._index = self._shard.number
        self._offset = 0
        # Of a phase of closed users: who they are, in the order in which they came.
        self._members: dict[Hashable, int] = {}
        self.missed = 0

    def claim(self, now: float, user: Hashable = 0) -> Ticket | Idle | None:
        """The next request of a user, or until when it has none; None when its load is over.

        Args:
            now: seconds since the start of the load.
            user: who asks.
        """
        while self._phase < len(self._phases):
            phase = self._phases[self._phase]
            due = self._due(phase, now, user)
            if due is not None and self._too_late(phase, due):
                # Of this user: others may have thought less.
                end = self._spans[self._phase][1]
                return None if self._phase + 1 == len(self._phases) else Idle(end)
            if due is not None:
                ticket = Ticket(self._offset + self._index, self._phase, self._index, due)
                self._index += self._shard.count
                return ticket
            slots = self._slots(phase)
            if slots is None:
                self._offset += self._index - self._shard.number
            else:
                self.missed += len(range(self._index, slots, self._shard.count))
                self._offset += slots
            self._phase, self._index = self._phase + 1, self._shard.number
            self._members.clear()
        return None

    def _slots(self, phase: LoadPhase) -> int | None:
        """Requests that the phase plans; None where users send as many as they can."""
        times = self._due_times[self._phase]
        return phase.requests if times is None else times.count

    def _due(self, phase: LoadPhase, now: float, user: Hashable) -> float | None:
        """When the phase's next request is due; None when the phase has none left."""
        start, end = self._spans[self._phase]
        slots, times = self._slots(phase), self._due_times[self._phase]
        if slots is not None and self._index >= slots:
            return None
        if phase.requests is None and now >= end:
            return None
        if times is not None:
            return start + times.at(self._index)
        return self._closed(phase, start, now, user)

    def _closed(self, phase: LoadPhase, start: float, now: float, user: Hashable) -> float:
        """When the asking user's next request is due; never where the phase has users enough."""
        if user in self._members:
            return now + self._think(phase)
        place = self._shard.number + len(self._members) * self._shard.count
        if place >= phase.pool:
            return math.inf
        self._members[user] = place
        begin = max(now, start)
        if phase.spawn_rate is not None:
            return begin + place / phase.spawn_rate
        if phase.arrivals == "poisson":
            return begin + self._think(phase)
        return begin + phase.wait * place / phase.pool  # one after the other

    def _too_late(self, phase: LoadPhase, due: float) -> bool:
        unpaced = self._due_times[self._phase] is None and phase.requests is None
        return unpaced and due >= self._spans[self._phase][1]

    def _think(self, phase: LoadPhase) -> float:
        """How long the asking user thinks."""
        if not phase.wait:
            return 0.0
        if phase.arrivals == "poisson":
            source = random.Random(f"think {self._seed} {self._index}")  # noqa: S311 - traffic
            return source.expovariate(1.0 / phase.wait)
        return phase.wait

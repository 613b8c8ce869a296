"""Requests in flight by the API at each export, beside what the load had in flight around then.

A request that the API is at work on is one that the load waits for. So the API's number at any
moment is at most the load's, and little less where answers take long. The moment itself is not
known to the millisecond: on a busy machine a value may be read up to a second off its time. And
while the API gets no processor, requests wait in the kernel, where it can't count them: single
exports may show fewer, but not most of them.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from testbed_otel import names

from testbed.charts import PREDICT_ROUTE, StoredModel
from testbed.facts.children import CLOSE_SECONDS, SLACK_SECONDS
from testbed.facts.expectations import ROUTE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from testbed.clients.prometheus import Series
    from testbed.facts.answers import Answer
    from testbed.facts.children import Points

ACTIVE: Final = names.HTTP_ACTIVE.prometheus
TOLERANCE: Final = 2
"""Requests that the load may have seen end, or begin, before the API did."""

Times = np.ndarray


class Stray(StoredModel):
    """An export that shows more than the load had in flight at most."""

    instance: str
    time: float
    counted: float
    high: float


class InFlight(StoredModel):
    """Requests in flight, export by export.

    Attributes:
        exports: that showed any.
        above: of those, how many showed more than the load had in flight within the shortest time
            around.
        crowds: exports while the load had several in flight for a second at least.
        below: of those, how many showed fewer.
        stray: the export that is furthest above all that the load had in flight within a second.
    """

    exports: int = 0
    above: int = 0
    crowds: int = 0
    below: int = 0
    stray: Stray | None = None


class _Level(NamedTuple):
    """How many requests were in flight, as a step function of time."""

    begun: Times
    ended: Times

    def at(self, moments: Times) -> Times:
        """Right after these moments."""
        begun = np.searchsorted(self.begun, moments, side="right")
        return begun - np.searchsorted(self.ended, moments, side="right")

    def maximum(self, time: float, slack: float) -> int:
        """The most within some time around a moment."""
        return int(self.at(_within(self.begun, time, slack)).max())

    def minimum(self, time: float, slack: float) -> int:
        """The fewest within some time around a moment."""
        return int(self.at(_within(self.ended, time, slack)).min())


def _within(steps: Times, time: float, slack: float) -> Times:
    first, last = np.searchsorted(steps, [time - slack, time + slack])
    return np.concatenate(([time - slack], steps[first:last]))


def read_inflight(answers: Sequence[Answer], series: Iterable[Series]) -> InFlight:
    """Hold each export against the load.

    Args:
        answers: the load's requests, with the process that took each.
        series: of the API's processes, requests in flight among them.
    """
    exports = above = crowds = below = 0
    worst, stray = 0.0, None
    for instance, points in _tracks(series).items():
        could, must = _levels(answers, instance)
        for time, counted in points:
            exports += counted > 0
            above += counted > could.maximum(time, CLOSE_SECONDS)
            low = must.minimum(time, SLACK_SECONDS) - TOLERANCE
            crowds += low > 0
            below += counted < low
            high = could.maximum(time, SLACK_SECONDS) + TOLERANCE
            if counted - high > worst:
                worst = counted - high
                stray = Stray(instance=instance, time=time, counted=counted, high=high)
    return InFlight(exports=exports, above=above, crowds=crowds, below=below, stray=stray)


def _tracks(series: Iterable[Series]) -> Mapping[str, Points]:
    """Process to its predictions in flight, export by export."""
    found: defaultdict[str, defaultdict[float, float]] = defaultdict(lambda: defaultdict(float))
    for each in series:
        if each.labels.get("__name__") == ACTIVE and each.labels.get(ROUTE) == PREDICT_ROUTE:
            for time, value in each.points:
                found[each.labels.get("instance", "")][time] += value
    return {instance: tuple(sorted(points.items())) for instance, points in found.items()}


def _levels(answers: Sequence[Answer], instance: str) -> tuple[_Level, _Level]:
    """What a process can have had in flight, and what it must have had.

    With a request that the load gave up it may be at work for long.
    """
    mine = [a for a in answers if a.instance in {instance, None}]
    could = [
        (a.request.sent_at, np.inf if a.request.status is None else a.request.finished_at)
        for a in mine
    ]
    must = [
        (a.request.sent_at, a.request.finished_at)
        for a in mine
        if a.instance == instance and a.request.status is not None
    ]
    return _level(could), _level(must)


def _level(spans: Sequence[tuple[float, float]]) -> _Level:
    begun, ended = (np.sort(np.array([s[index] for s in spans], dtype=float)) for index in (0, 1))
    return _Level(begun, ended)

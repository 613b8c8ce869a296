"""Counters of the API held against what the load saw, at the end and at every export; pure."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from testbed.charts import StoredModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from testbed.phases import PhaseRow

SLACK_SECONDS: Final = 1.0
"""How much earlier or later than its time says a value may be of, on a machine that is busy.

An export's values are read one after the other, up to some hundred milliseconds after its time on
a machine whose cores are taken; and a reply can be with the load before its process counts it.
"""

CLOSE_SECONDS: Final = 0.05
"""The same on a machine that is not busy: to find the phase in which a difference arose."""

EXAMPLES: Final = 12
"""Wrong children that are named at most."""

TOLERANCE: Final = 1e-6
"""Relative error of sums: they are added up in another order than the load's."""


class PhaseCount(StoredModel):
    """What one phase added to a counter, and what the load saw of it."""

    phase: str
    counted: float
    seen: float


class Child(StoredModel):
    """One value that is wrong.

    Attributes:
        instance: API process; empty for the sum of all.
        metric: name of the series in Prometheus.
        labels: that distinguish it.
        counted: the value.
        low: the least that the load's truth allows.
        high: the most.
        time: Unix time of the value; None at the end.
        phases: where the difference arose.
    """

    instance: str
    metric: str
    labels: dict[str, str]
    counted: float
    low: float
    high: float
    time: float | None = None
    phases: tuple[PhaseCount, ...] = ()


class Group(StoredModel):
    """Children of one kind.

    Attributes:
        compared: values that were held against the truth.
        wrong: how many of them are wrong.
        examples: the first of these.
        skipped: why the kind could not be compared, or empty.
    """

    compared: int = 0
    wrong: int = 0
    examples: tuple[Child, ...] = ()
    skipped: str = ""


@dataclass(slots=True)
class Expected:
    """What one counter must have counted: each event adds its weight between two moments.

    Attributes:
        begun: when each event can have been counted at the earliest.
        ended: when it must have been counted.
        weights: what each adds.
        maybe: what else may have been added, at any time.
        loose: how much less it may show at the end, for an instance whose last export is unknown.
    """

    begun: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    maybe: float = 0.0
    loose: float = 0.0

    def add(self, begun: float, ended: float, weight: float = 1.0) -> None:
        """One event more."""
        self.begun.append(begun)
        self.ended.append(ended)
        self.weights.append(weight)

    @property
    def total(self) -> float:
        """All that certainly happened."""
        return sum(self.weights)

    def final(self) -> tuple[float, float]:
        """Least and most that it may show in the end."""
        total = self.total
        room = min(0.5, TOLERANCE * max(1.0, abs(total)))  # less than one event
        return max(0.0, total - self.loose - room), total + self.maybe + room

    def way(self) -> Way:
        """For values on the way there."""
        return Way(
            _running(self.begun, self.weights), _running(self.ended, self.weights), self.maybe
        )


Running = tuple[list[float], list[float]]


@dataclass(frozen=True, slots=True)
class Way:
    """Running sums by the moment at which events could, and must, have been counted."""

    could: Running
    must: Running
    maybe: float

    def bounds(self, time: float, slack: float) -> tuple[float, float]:
        """Least and most that the counter may show in an export of that time."""
        low, high = _until(self.must, time - slack), _until(self.could, time + slack)
        return low * (1 - TOLERANCE), (high + self.maybe) * (1 + TOLERANCE)

    def seen(self, time: float) -> float:
        """What had happened by then, as the load saw it."""
        return _until(self.must, time)


def _running(times: Sequence[float], weights: Sequence[float]) -> Running:
    order = sorted(range(len(times)), key=times.__getitem__)
    sums = accumulate((weights[index] for index in order), initial=0.0)
    return [times[index] for index in order], list(sums)


def _until(running: Running, time: float) -> float:
    times, sums = running
    return sums[bisect_right(times, time)]


ChildKey = tuple[str, str, tuple[tuple[str, str], ...]]
"""Instance (empty: all), metric, labels in order."""

Points = tuple[tuple[float, float], ...]


def compare(
    expected: Mapping[ChildKey, Expected],
    counted: Mapping[ChildKey, float],
    tracks: Mapping[ChildKey, Points],
    phases: Sequence[PhaseRow],
) -> Group:
    """Hold values against the truth.

    Args:
        expected: what the truth says; what it lacks must not have been counted.
        counted: final values.
        tracks: values through time, as far as they are to be compared. One that does not end at
            the final value was changed on its way, which is not the fault of who counted.
        phases: as they were played.
    """
    wrong = []
    followed = 0
    nothing = Expected()
    for key in sorted({*expected, *counted}):
        want = expected.get(key, nothing)
        value = counted.get(key, 0.0)
        points = tracks.get(key, ())
        low, high = want.final()
        if not low <= value <= high:
            wrong.append(_child(key, value, (low, high), None, _by_phase(want, points, phases)))
        elif points and same(points[-1][1], value):
            followed += len(points)
            wrong += _strayed(key, want, points, phases)
    compared = len({*expected, *counted}) + followed
    return Group(compared=compared, wrong=len(wrong), examples=tuple(wrong[:EXAMPLES]))


def same(one: float, other: float) -> bool:
    """Whether two values are the same but for rounding."""
    return abs(one - other) <= TOLERANCE * max(1.0, abs(one))


def _strayed(
    key: ChildKey, want: Expected, points: Points, phases: Sequence[PhaseRow]
) -> Iterable[Child]:
    """The value on the way that is furthest off, if any is."""
    way = want.way()
    worst = 0.0
    found = None
    for time, value in points:
        low, high = way.bounds(time, SLACK_SECONDS)
        off = max(low - value, value - high)
        if off > worst:
            worst, found = off, (time, value, (low, high))
    if found is None:
        return ()
    time, value, bounds = found
    return (_child(key, value, bounds, time, _by_phase(want, points, phases)),)


def _by_phase(want: Expected, points: Points, phases: Sequence[PhaseRow]) -> tuple[PhaseCount, ...]:
    """The phases in which the counter and the load went apart."""
    if not points:
        return ()
    way = want.way()
    times = [time for time, _ in points]
    found = []
    for phase in phases:
        first, last = (_at(times, moment) for moment in (phase.start, phase.end))
        (begin, before), (end, after) = points[first], points[last]
        if last <= first:
            continue
        (low_0, high_0), (low_1, high_1) = (
            way.bounds(moment, CLOSE_SECONDS) for moment in (begin, end)
        )
        counted = after - before
        if not low_1 - high_0 - 1e-9 <= counted <= high_1 - low_0 + 1e-9:
            seen = way.seen(end) - way.seen(begin)
            found.append(PhaseCount(phase=phase.name, counted=counted, seen=seen))
    return tuple(found)


def _at(times: Sequence[float], moment: float) -> int:
    """The first export from a moment on, else the last one."""
    return min(bisect_right(times, moment), len(times) - 1)


def _child(
    key: ChildKey,
    value: float,
    bounds: tuple[float, float],
    time: float | None,
    phases: tuple[PhaseCount, ...],
) -> Child:
    instance, metric, labels = key
    return Child(
        instance=instance,
        metric=metric,
        labels=dict(labels),
        counted=value,
        low=bounds[0],
        high=bounds[1],
        time=time,
        phases=phases,
    )

"""Holds stored samples of the drift job against what its runs must have published. Pure."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from testbed_otel.children import SERIES_LIMIT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testbed.facts.driftpoints import Key

    Points: TypeAlias = Sequence[tuple[float, float]]

Fault: TypeAlias = Literal["missing", "wrong", "unexpected"]

SETTLE: Final = 3.0
"""Real seconds after a run's end in which its values may still be on their way out.

The job first makes sure that a restart finds them (a synced write, half a second on a stalled
disk), and the export that follows reads one instrument after another.
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """A series that does not hold what a run wrote down.

    Attributes:
        key: the series.
        run: index of the run; -1 before the first.
        kind: ``missing`` where no export after the run holds a value of it, ``unexpected`` where
            the run knows no such series.
        stored: what Prometheus holds, or None.
        recorded: what the run wrote down, or None.
    """

    key: Key
    run: int
    kind: Fault
    stored: float | None
    recorded: float | None


@dataclass(frozen=True, slots=True)
class MatchStep:
    """What must be exported from the end of one run to that of the next.

    Attributes:
        start: Unix time at which the run ended; the values follow within moments.
        ready: Unix time at which the next one began, by which the values are out for certain.
        values: series to value.
        others: other model versions of which the job may speak meanwhile.
    """

    start: float
    ready: float
    values: Mapping[Key, float]
    others: frozenset[str] = frozenset()


@dataclass(slots=True)
class Matched:
    """What came of a comparison.

    Attributes:
        compared: pairs of a run and a series that were held against each other.
        unseen: runs after which nothing was exported before the next one ended.
        differences: at most one for each series and run.
    """

    compared: int = 0
    unseen: int = 0
    differences: list[Difference] = field(default_factory=list)


def match(
    steps: Sequence[MatchStep], samples: Mapping[Key, Points], exports: Sequence[float]
) -> Matched:
    """Hold samples against runs.

    In each step a series goes once from the value before to the value of the run. While an export
    is read the next run may end, so that a sample shortly before may bear the next value.

    Args:
        steps: in order; the first is the time before the first run.
        samples: series to times of collection and values, in order.
        exports: times of all exports, in order.
    """
    found = Matched()
    ends = [step.start for step in steps]
    crowded = _crowded(steps)
    # A series that no export holds, to when it is due: runs may follow each other so closely that
    # no export is for certain of one of them, but every export is of one that wrote it down.
    due: dict[Key, float] = {}
    for index, step in enumerate(steps):
        until = ends[index + 1] if index + 1 < len(ends) else float("inf")
        seen = _between(exports, step.start, until)
        clear = any(step.start + SETTLE <= at < step.ready for at in seen)
        found.unseen += index > 0 and not seen
        found.compared += len(step.values) if seen else 0
        before = steps[index - 1].values if index else {}
        after = steps[index + 1].values if index + 1 < len(steps) else {}
        absent = step.values.keys() - samples.keys()
        due = {key: due.get(key, step.start + SETTLE) for key in absent}
        found.differences += [
            Difference(key, index - 1, "missing", None, step.values[key])
            for key in sorted(absent)
            if key[0] not in crowded
            and any(due[key] <= at and (at < step.ready or key in after) for at in seen)
        ]
        for key, points in samples.items():
            inside = _inside(points, step.start, until)
            allowed = (before.get(key), step.values.get(key), after.get(key))
            fault = _fault(inside, allowed, step, until, clear=clear)
            if fault is None or _excused(fault[0], key, step, crowded):
                continue
            found.differences.append(Difference(key, index - 1, *fault, step.values.get(key)))
    return found


def _fault(
    points: Points,
    allowed: tuple[float | None, float | None, float | None],
    step: MatchStep,
    until: float,
    *,
    clear: bool,
) -> tuple[Fault, float | None] | None:
    before, now, after = allowed
    fresh = False
    for at, value in points:
        if value == now:
            fresh = True
        elif value == before and not fresh:
            if now is None and step.start + SETTLE <= at < step.ready:
                return "unexpected", value  # it should have ended
        elif value != after or until - at > SETTLE:
            return ("unexpected" if now is None and before is None else "wrong"), value
    if now is None or fresh or not clear:
        return None
    return ("wrong", points[-1][1]) if points else ("missing", None)


def _excused(fault: Fault, key: Key, step: MatchStep, crowded: set[str]) -> bool:
    """Whether the SDK's limit, or a model that the job leaves or begins with, explains it."""
    if fault == "unexpected":
        return dict(key[1]).get("model_version") in step.others
    return fault == "missing" and key[0] in crowded


def _crowded(steps: Sequence[MatchStep]) -> set[str]:
    """Metrics with more series than the SDK sends."""
    counts: dict[str, int] = {}
    for step in steps:
        for name in {name for name, _ in step.values}:
            number = sum(key[0] == name for key in step.values)
            counts[name] = max(counts.get(name, 0), number)
    return {name for name, number in counts.items() if number > SERIES_LIMIT}


def _between(times: Sequence[float], start: float, end: float) -> Sequence[float]:
    return times[bisect_right(times, start) : bisect_right(times, end)]


def _inside(points: Points, start: float, end: float) -> Points:
    first = bisect_right(points, start, key=lambda point: point[0])
    return points[first : bisect_right(points, end, key=lambda point: point[0])]

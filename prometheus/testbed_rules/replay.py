"""What an alerting rule does with its condition: pending, firing, over. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from testbed_rules.conditions import Labels, Vector


HALF_MILLISECOND: Final = 5e-4


@dataclass(frozen=True, slots=True)
class RuleTiming:
    """Durations of a rule in real seconds.

    Attributes:
        for_: ``for``.
        keep_firing: ``keep_firing_for``.
    """

    for_: float = 0.0
    keep_firing: float = 0.0


@dataclass(frozen=True, slots=True)
class ReplayedFiring:
    """A stretch of time in which a rule fires for one set of labels; Unix seconds.

    Attributes:
        labels: of the condition's series.
        since: when the condition became true.
        start: first evaluation at which it fires.
        end: first evaluation at which it no longer does; None where it fires at the last one.
    """

    labels: Labels
    since: float
    start: float
    end: float | None


def replay(
    times: NDArray[np.float64], vector: Vector, timing: RuleTiming, *, older: bool = False
) -> tuple[ReplayedFiring, ...]:
    """The firings of a rule, by start.

    Args:
        times: of the evaluations, rising.
        vector: the condition at these times.
        timing: of the rule.
        older: what holds at the first of these times has held for all of ``for`` before it.
    """
    found = [
        firing
        for line in vector
        if line.present.any()
        for firing in _firings(times, line.present, line.labels, timing, older=older)
    ]
    return tuple(sorted(found, key=lambda firing: firing.start))


def _firings(
    times: NDArray[np.float64],
    holds: NDArray[np.bool_],
    labels: Labels,
    timing: RuleTiming,
    *,
    older: bool,
) -> list[ReplayedFiring]:
    firings: list[ReplayedFiring] = []
    last = len(times)
    retained = False
    for first, after in stretches(holds):
        if retained:
            # ``keep_firing_for`` bridged the pause: the firing before goes on.
            before = firings.pop()
            since, start = before.since, before.start
        else:
            since = float(times[first]) - (timing.for_ if older and first == 0 else 0.0)
            # Evaluations are distinguished by milliseconds.
            held = np.flatnonzero(times[first:after] - since >= timing.for_ - HALF_MILLISECOND)
            if not len(held):
                continue
            start = float(times[first + held[0]])
        over = after
        if after < last:
            left = np.flatnonzero(
                times[after:] - times[after] >= timing.keep_firing - HALF_MILLISECOND
            )
            over = after + int(left[0]) if len(left) else last
        retained = bool(holds[after : over + 1].any())
        firings.append(
            ReplayedFiring(labels, since, start, float(times[over]) if over < last else None)
        )
    return firings


def stretches(holds: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Where it holds without a pause: first index, and the one after the last."""
    edges = np.diff(np.concatenate(([False], holds, [False])).astype(np.int8))
    return list(
        zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True)
    )


def widened(holds: NDArray[np.bool_], steps: int) -> NDArray[np.bool_]:
    """True also in pauses of up to ``steps``, and so many before and after each stretch."""
    if not steps or not holds.any():
        return holds
    count = np.cumsum(np.concatenate(([0], holds.astype(np.int64))))
    index = np.arange(len(holds))
    high = np.minimum(index + steps + 1, len(holds))
    low = np.maximum(index - steps, 0)
    wide: NDArray[np.bool_] = count[high] - count[low] > 0
    return wide


def narrowed(holds: NDArray[np.bool_], steps: int) -> NDArray[np.bool_]:
    """Only what holds for ``steps`` before and after, too."""
    return ~widened(~holds, steps)

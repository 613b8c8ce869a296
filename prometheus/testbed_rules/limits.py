"""How far the left side of a comparison was from its limit, and which limits would do. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from testbed_rules.conditions import Compare, comparisons, evaluate, exchanged
from testbed_rules.outcomes import broken_by
from testbed_rules.replay import HALF_MILLISECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from testbed_rules.conditions import Condition, Vector
    from testbed_rules.outcomes import AlertContract
    from testbed_rules.scoring import Firings, ReplayedPhases

UPWARD: Final = frozenset({">", ">="})
DOWNWARD: Final = frozenset({"<", "<="})


@dataclass(frozen=True, slots=True)
class Extremes:
    """The value of a stretch of time that came nearest to making an alert fire.

    Attributes:
        peak: at any evaluation; None where there was no value.
        held: for all of ``for``: the only one that makes it fire.
    """

    peak: float | None = None
    held: float | None = None


@dataclass(frozen=True, slots=True)
class LimitRange:
    """Limits with which an alert would have done the same; None is unbounded.

    Attributes:
        low: the lowest.
        high: the highest.
    """

    low: float | None
    high: float | None


def limits_of(rule: ReplayedPhases) -> tuple[Compare, ...]:
    """The comparisons of a rule that have a limit, in its order; those for equality have none."""
    return comparisons_with_limits(rule.condition)


def comparisons_with_limits(condition: Condition) -> tuple[Compare, ...]:
    """The comparisons of a condition that have a limit, in its order; equality has none."""
    return tuple(each for each in comparisons(condition) if each.operator in UPWARD | DOWNWARD)


def extremes(
    rule: ReplayedPhases, compare: Compare, windows: Sequence[tuple[float, float]]
) -> Extremes:
    """The value nearest to firing in stretches of time.

    Raises:
        KeyError: a query that it needs has no answer.
    """
    sign = -1.0 if compare.operator in DOWNWARD else 1.0
    peaks: list[float] = []
    helds: list[float] = []
    for line in evaluate(compare.side, rule.answers):
        values = np.where(line.present & ~np.isnan(line.values), sign * line.values, -np.inf)
        for start, end in windows:
            chosen = (rule.times >= start) & (rule.times <= end)
            within, times = values[chosen], rule.times[chosen]
            if len(within):
                peaks.append(float(within.max()))
                helds += [_held(times, within, rule.timing.for_)]
    return Extremes(_signed(peaks, sign), _signed(helds, sign))


def _held(times: NDArray[np.float64], values: NDArray[np.float64], for_: float) -> float:
    """The highest value that is reached for ``hold`` seconds on end."""
    ends = np.searchsorted(times, times + for_ - HALF_MILLISECOND)
    found = [
        values[first : end + 1].min() for first, end in enumerate(ends.tolist()) if end < len(times)
    ]
    return float(max(found, default=-np.inf))


def _signed(values: list[float], sign: float) -> float | None:
    best = max(values, default=-np.inf)
    return None if best == -np.inf else sign * best


def passing_limits(
    rule: ReplayedPhases, compare: Compare, others: Firings, contract: AlertContract
) -> LimitRange:
    """The range of limits with which the alert would still have kept its contract.

    Args:
        rule: it keeps its contract as it is.
        compare: one of its comparisons.
        others: what further rules of the same alert fire.
        contract: of the alert.

    Raises:
        KeyError: a query that it needs has no answer.
    """
    lines = evaluate(compare.side, rule.answers)
    values = _values(lines)

    def preserves(limit: float) -> bool:
        changed = exchanged(rule.condition, compare, replace(compare, limit=limit))
        return broken_by((*rule.firings(changed), *others), contract) is None

    below = values[values < compare.limit][::-1]
    above = values[values > compare.limit]
    # What comes out changes at values only: limits from one value up to the next are alike, the
    # lower of the two included or the upper one.
    inner = compare.operator in {">", "<="}
    return LimitRange(
        _furthest(below, preserves, -1.0, inside=inner),
        _furthest(above, preserves, 1.0, inside=not inner),
    )


def _values(lines: Vector) -> NDArray[np.float64]:
    seen = [line.values[line.present & np.isfinite(line.values)] for line in lines]
    return np.unique(np.concatenate(seen)) if seen else np.empty(0)


def _furthest(
    values: NDArray[np.float64], preserves: Callable[[float], bool], step: float, *, inside: bool
) -> float | None:
    """The bound of the limits that keep the contract; None where there is none.

    Args:
        values: away from the limit.
        preserves: whether a limit does.
        step: from the last value beyond all of them.
        inside: whether the last value that keeps is the bound, or the first that does not.
    """
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) // 2
        if preserves(float(values[middle])):
            low = middle + 1
        else:
            high = middle
    if low < len(values):
        return float(values[low - 1 if inside and low else low])
    if not len(values) or preserves(float(values[-1]) + step):
        return None
    return float(values[-1])

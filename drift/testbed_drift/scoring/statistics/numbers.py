"""Numbers: Kolmogorov-Smirnov test and Wasserstein distance. Pure.

The values are those of Evidently's metrics under the pinned methods, without its cost.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

import numpy as np
from scipy.stats import ks_2samp, kstwo

from testbed_drift.scoring.scores import KS, WASSERSTEIN
from testbed_drift.scoring.statistics.base import MIN_SCALE, CachedColumn, Numbers
from testbed_drift.scoring.statistics.registry import register

if TYPE_CHECKING:
    from testbed_drift.rows.columns import ColumnKind
    from testbed_drift.scoring.statistics.base import Coded, Floats, Integers

# Up to this many rows in both samples scipy's p-value is exact, beyond it asymptotic.
MAX_EXACT: Final = 10_000
# Exact p-values that are kept; one is 100 bytes.
MAX_CACHED: Final = 100_000


class SampleLike(Protocol):
    """Numbers of which the values may be costly."""

    @property
    def values(self) -> Floats:
        """The values, in any order."""

    @property
    def present(self) -> int:
        """How many they are."""


class KolmogorovSmirnov:
    """P-values of the two-sided test, the same as :func:`scipy.stats.ks_2samp` gives.

    An exact p-value depends on nothing but the two sizes and the distance, and takes milliseconds:
    those once found are kept.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, int, int], float] = {}

    def p_value(self, distance: float, before: SampleLike, now: SampleLike) -> float:
        """Probability of so large a distance between samples of one distribution.

        Args:
            distance: largest difference of the two empirical distribution functions.
            before: one sample; its values are read only where the p-value is exact and not known.
            now: the other.
        """
        sizes = before.present, now.present
        if max(sizes) > MAX_EXACT:
            return asymptotic(distance, *sizes)
        key = *sizes, round(distance * math.lcm(*sizes))
        found = self._known.get(key)
        if found is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # where the exact form fails, as in Evidently
                found = float(ks_2samp(before.values, now.values).pvalue)
            if len(self._known) >= MAX_CACHED:
                self._known.clear()
            self._known[key] = found
        return found


def asymptotic(distance: float, before: int, now: int) -> float:
    """The p-value of large samples, as scipy has it."""
    larger, smaller = float(max(before, now)), float(min(before, now))
    effective = larger * smaller / (larger + smaller)
    return float(np.clip(kstwo.sf(distance, np.round(effective)), 0, 1))


def distances(values: Floats, before: Integers, now: Integers) -> tuple[float, float]:
    """Kolmogorov-Smirnov and Wasserstein distance, the latter in the unit of the values.

    Args:
        values: of both samples, sorted; equal ones may stand there repeatedly.
        before: rows of the first sample up to each place.
        now: rows of the second.
    """
    gaps = np.diff(values)
    apart = before[:-1] / before[-1]
    apart -= now[:-1] / now[-1]
    np.abs(apart, out=apart)
    wasserstein = float(np.vecdot(apart, gaps))
    apart[gaps == 0] = 0  # within equal values a distribution function has no place
    return (float(apart.max()) if len(apart) else 0.0), wasserstein


def merge(before: Floats, now: Floats) -> tuple[Floats, Integers, Integers]:
    """Two sorted samples as :func:`distances` takes them, in one search of the shorter one."""
    rows = len(before) + len(now)
    shorter, longer = sorted((before, now), key=len)
    places = longer.searchsorted(shorter, "right")
    places += np.arange(len(shorter))
    is_shorter = np.zeros(rows, dtype=bool)
    is_shorter[places] = True
    values = np.empty(rows)
    values[is_shorter] = shorter
    values[~is_shorter] = longer
    of_shorter = np.cumsum(is_shorter)
    of_longer = np.arange(1, rows + 1) - of_shorter
    return (values, *((of_shorter, of_longer) if shorter is before else (of_longer, of_shorter)))


# P-values once found serve every later column, segment and window of this process.
_TEST: Final = KolmogorovSmirnov()


def compare_numbers(
    before: Numbers, now: Numbers, witnesses: tuple[float, float] = (1.0, 1.0)
) -> tuple[float, float]:
    """Kolmogorov-Smirnov p-value, and Wasserstein distance in standard deviations of ``before``.

    Args:
        before: with at least one value.
        now: likewise.
        witnesses: of each, the ratio of its rows that are no copies of others.
    """
    distance, wasserstein = distances(*merge(before.values, now.values))
    if witnesses == (1.0, 1.0):
        p_value = _TEST.p_value(distance, before, now)
    else:
        sizes = (
            max(round(part.present * ratio), 1)
            for part, ratio in zip((before, now), witnesses, strict=True)
        )
        p_value = asymptotic(distance, *sizes)
    return p_value, wasserstein / before.scale


@dataclass(frozen=True)
class _Counts:
    """A drawn column, as rows per value."""

    distinct: Floats
    rows: Integers

    @property
    def values(self) -> Floats:
        return np.repeat(self.distinct, self.rows)

    @cached_property
    def present(self) -> int:
        return int(self.rows.sum())


@register
class NumberStatistic:
    """See the module."""

    test: ClassVar[str] = KS
    effect: ClassVar[str] = WASSERSTEIN
    limits: ClassVar[ColumnKind] = "numeric"
    of_values: ClassVar[bool] = True

    def applies(self, before: CachedColumn, now: CachedColumn) -> bool:
        """Where both hold numbers, and some."""
        both = isinstance(before, Numbers) and isinstance(now, Numbers)
        return both and before.present > 0 and now.present > 0

    def compare(
        self, before: CachedColumn, now: CachedColumn, witnesses: tuple[float, float]
    ) -> tuple[float, float]:
        """See :func:`compare_numbers`."""
        assert isinstance(before, Numbers)  # noqa: S101 - for mypy: it applies
        assert isinstance(now, Numbers)  # noqa: S101 - the same
        return compare_numbers(before, now, witnesses)

    def drawn(self, column: Coded, before: Integers, now: Integers, minimum: float) -> float:
        """The distance first, which costs less."""
        before, now = before[:-1], now[:-1]
        if not column.numeric or not before.any() or not now.any():
            return 1.0
        values = column.distinct
        distance, wasserstein = distances(values, np.cumsum(before), np.cumsum(now))
        mean = np.average(values, weights=before)
        spread = np.sqrt(np.average((values - mean) ** 2, weights=before))
        if wasserstein / max(float(spread), MIN_SCALE) < minimum:
            return 1.0
        return _TEST.p_value(distance, _Counts(values, before), _Counts(values, now))

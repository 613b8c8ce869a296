"""Statistics of two samples, from counts and sorted values that are kept.

The values are those of Evidently's metrics under the pinned methods, without its cost: what is
sorted or counted of a reference is done once, and no figures are drawn. Pure: numpy, pandas and
scipy only.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import pandas as pd
from scipy.stats import chi2_contingency, ks_2samp, kstwo

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

# Evidently's least unit of the Wasserstein distance: a constant has no standard deviation.
MIN_SCALE: Final = 0.001
# A statistic is chi-square distributed only where this many rows are expected in each cell.
MIN_EXPECTED: Final = 5.0
# Up to this many rows in both samples scipy's p-value is exact, beyond it asymptotic.
MAX_EXACT: Final = 10_000
# Exact p-values that are kept; one is 100 bytes.
MAX_KEPT: Final = 100_000


class SampleLike(Protocol):
    """Numbers of which the values may be costly."""

    @property
    def values(self) -> Floats:
        """The values, in any order."""

    @property
    def present(self) -> int:
        """How many they are."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """What is kept of a numeric column.

    Attributes:
        values: sorted, without those that are missing.
        rows: number of rows, those that miss their value included.
        scale: standard deviation (of the population, as Evidently takes it), at least
            :data:`MIN_SCALE`.
    """

    values: Floats
    rows: int
    scale: float

    @classmethod
    def of(cls, column: Floats) -> Numbers:
        """Sort a column of finite numbers and NaN."""
        values = np.sort(column[~np.isnan(column)])
        scale = float(values.std()) if len(values) else 0.0
        return cls(values, len(column), max(scale, MIN_SCALE))

    @property
    def present(self) -> int:
        """Number of rows that have a value."""
        return len(self.values)


@dataclass(frozen=True, slots=True)
class Categories:
    """What is kept of a column of categories.

    Attributes:
        counts: category to rows, without those that are missing.
        rows: number of rows, those that miss their value included.
    """

    counts: pd.Series[int]
    rows: int

    @classmethod
    def of(cls, column: pd.Series[Any]) -> Categories:
        """Count a column of texts and None."""
        return cls(column.value_counts(sort=False), len(column))

    @property
    def present(self) -> int:
        """Number of rows that have a value."""
        return int(self.counts.sum())


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
            if len(self._known) >= MAX_KEPT:
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


def compare_numbers(
    before: Numbers,
    now: Numbers,
    test: KolmogorovSmirnov,
    witnesses: tuple[float, float] = (1.0, 1.0),
) -> tuple[float, float]:
    """Kolmogorov-Smirnov p-value, and Wasserstein distance in standard deviations of ``before``.

    Args:
        before: with at least one value.
        now: likewise.
        test: keeps p-values.
        witnesses: of each, the ratio of its rows that are no copies of others.
    """
    distance, wasserstein = distances(*merge(before.values, now.values))
    if witnesses == (1.0, 1.0):
        p_value = test.p_value(distance, before, now)
    else:
        sizes = (
            max(round(part.present * ratio), 1)
            for part, ratio in zip((before, now), witnesses, strict=True)
        )
        p_value = asymptotic(distance, *sizes)
    return p_value, wasserstein / before.scale


def category_counts(before: pd.Series[int], now: pd.Series[int]) -> Floats:
    """Rows per category, ``[2, categories]``, of two counts."""
    counts = pd.DataFrame({"before": before, "now": now}).fillna(0)
    return np.asarray(counts.to_numpy(dtype=float).T)


def missing_counts(before: Numbers | Categories, now: Numbers | Categories) -> Floats:
    """Rows with and without a value, ``[2, 2]``."""
    sides = [[side.present, side.rows - side.present] for side in (before, now)]
    return np.asarray(sides, dtype=float)


def chi_square(counts: Floats) -> float:
    """P-value of the two-sample chi-square test of homogeneity, rare categories pooled.

    Evidently's own takes the reference for the exact truth, which gives false positives in up to
    three of four windows, and its z-test knows two categories only.

    Args:
        counts: rows per category, ``[2, categories]``; each sample has some.
    """
    rare = counts.sum(axis=0) * counts.sum(axis=1).min() / counts.sum() < MIN_EXPECTED
    pooled = np.column_stack([counts[:, ~rare], counts[:, rare].sum(axis=1)])
    pooled = pooled[:, pooled.sum(axis=0) > 0]
    return float(chi2_contingency(pooled, correction=False).pvalue)


def total_variation(counts: Floats) -> float:
    """Half the summed difference of the categories' shares, 0 to 1; Evidently's own is a p-value.

    Args:
        counts: rows per category, ``[2, categories]``; each sample has some.
    """
    shares = counts / counts.sum(axis=1, keepdims=True)
    return float(np.abs(shares[0] - shares[1]).sum() / 2)

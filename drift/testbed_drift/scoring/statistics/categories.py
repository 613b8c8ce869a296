"""Categories: two-sample chi-square test and total variation distance. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np
import pandas as pd
from scipy.stats import chi2_contingency, gamma

from testbed_drift.scoring.scores import CHI_SQUARE, TOTAL_VARIATION
from testbed_drift.scoring.statistics.base import CachedColumn, Categories
from testbed_drift.scoring.statistics.registry import register

if TYPE_CHECKING:
    from testbed_drift.rows.columns import ColumnKind
    from testbed_drift.scoring.statistics.base import Coded, Floats, Integers

# A statistic is chi-square distributed only where this many rows are expected in each cell.
MIN_EXPECTED: Final = 5.0
# Witnesses per row from which on copies don't matter among rare categories.
FEW_COPIES: Final = 0.98
# Fewer categories have nothing to say among themselves.
MIN_RARE: Final = 2


def category_counts(before: pd.Series[int], now: pd.Series[int]) -> Floats:
    """Rows per category, ``[2, categories]``, of two counts."""
    counts = pd.DataFrame({"before": before, "now": now}).fillna(0)
    return np.asarray(counts.to_numpy(dtype=float).T)


def chi_square(counts: Floats, *, copies: bool = False) -> float:
    """P-value of the two-sample chi-square test of homogeneity.

    Rare categories are pooled, and tested among themselves, so that many rare ones that were
    replaced by others are seen, too; the smaller of both p-values is doubled. Evidently's own takes
    the reference for the exact truth, which gives false positives in up to three of four windows,
    and its z-test knows two categories only.

    Args:
        counts: rows per category, ``[2, categories]``; each sample has some.
        copies: whether some rows are copies of others: then rare ones are only pooled.
    """
    rare = counts.sum(axis=0) * counts.sum(axis=1).min() / counts.sum() < MIN_EXPECTED
    pooled = np.column_stack([counts[:, ~rare], counts[:, rare].sum(axis=1)])
    pooled = pooled[:, pooled.sum(axis=0) > 0]
    whole = float(chi2_contingency(pooled, correction=False).pvalue)
    among = None if copies else rare_chi_square(counts[:, rare])
    if among is None:
        return whole
    return among if len(pooled[0]) == 1 else min(1.0, 2 * min(whole, among))


def rare_chi_square(counts: Floats) -> float | None:
    """P-value of that test where hardly a row is expected in each cell; None without categories.

    The statistic is not chi-square distributed there, but its mean and variance under the margins
    are known (Haldane 1940, in Dawson's form of 1954); a gamma distribution of these comes close.
    Copies make clumps that it would take for drift: without them only.

    Args:
        counts: rows per category, ``[2, categories]``.
    """
    counts = counts[:, counts.sum(axis=0) > 0]
    rows, columns, total = counts.sum(axis=1), counts.sum(axis=0), counts.sum()
    number = len(columns)
    if number < MIN_RARE or rows.min() < MIN_EXPECTED or total <= number:
        return None
    expected = np.outer(rows, columns) / total
    found = ((counts - expected) ** 2 / expected).sum()
    mean = total * (number - 1) / (total - 1)
    first = (total - 2) / (total - 1) - (total * (1 / rows).sum() - 4) / (total - 2)
    uneven = (total * (1 / columns).sum() - number**2) / (total - 2)
    second = (number - 1) * (total - number) / (total - 1) - uneven
    rest = total**2 / (total - 1) * (total * (1 / rows).sum() - 4) / (total - 2) * uneven
    variance = 2 * total / (total - 3) * first * second + rest
    if variance <= 0:
        return None
    return float(gamma.sf(found, mean**2 / variance, scale=variance / mean))


def total_variation(counts: Floats) -> float:
    """Half the summed difference of the categories' shares, 0 to 1; Evidently's own is a p-value.

    Args:
        counts: rows per category, ``[2, categories]``; each sample has some.
    """
    ratios = counts / counts.sum(axis=1, keepdims=True)
    return float(np.abs(ratios[0] - ratios[1]).sum() / 2)


def compare_counts(counts: Floats, witnesses: tuple[float, float]) -> tuple[float, float]:
    """P-value and distance of rows per category, ``[2, categories]``.

    Copies are no further witnesses to the test; how far the window moved they do say.
    """
    weighted = counts * np.array(witnesses)[:, np.newaxis]
    copies = min(witnesses) < FEW_COPIES
    return chi_square(weighted, copies=copies), total_variation(counts)


def drawn_counts(counts: Floats, minimum: float) -> float:
    """P-value of rows per category, ``[2, categories]``; 1 where their distance is below."""
    return chi_square(counts) if total_variation(counts) >= minimum else 1.0


@register
class CategoryStatistic:
    """See the module."""

    test: ClassVar[str] = CHI_SQUARE
    effect: ClassVar[str] = TOTAL_VARIATION
    limits: ClassVar[ColumnKind] = "category"
    of_values: ClassVar[bool] = True

    def applies(self, before: CachedColumn, now: CachedColumn) -> bool:
        """Where both hold categories, and some."""
        both = isinstance(before, Categories) and isinstance(now, Categories)
        return both and before.present > 0 and now.present > 0

    def compare(
        self, before: CachedColumn, now: CachedColumn, witnesses: tuple[float, float]
    ) -> tuple[float, float]:
        """See :func:`compare_counts`."""
        assert isinstance(before, Categories)  # noqa: S101 - for mypy: it applies
        assert isinstance(now, Categories)  # noqa: S101 - the same
        return compare_counts(category_counts(before.counts, now.counts), witnesses)

    def drawn(self, column: Coded, before: Integers, now: Integers, minimum: float) -> float:
        """Of all categories."""
        before, now = before[:-1], now[:-1]
        if column.numeric or not before.any() or not now.any():
            return 1.0
        return drawn_counts(np.array([before, now], dtype=float), minimum)

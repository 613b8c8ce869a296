"""How far chance may take a statistic: bounds that hold whatever the distribution is.

Bernstein's inequality for means and shares, the one of Dvoretzky, Kiefer and Wolfowitz for whole
distributions. Both are wider than a normal approximation would be, and hold in small samples of
skewed columns, where that one does not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

RUN_LEVEL: Final = 1e-4
"""Chance that any of a clean run's tests of the load fails. All tests of a run share it."""


@dataclass(frozen=True)
class BoundedSample:
    """How much a sample says.

    Attributes:
        rows: its size.
        reference: size of the reference that it is drawn like, independently; None where it is
            drawn from the reference itself, so that only the sample varies.
        inflation: by how much rows that hang together let means vary more.
    """

    rows: int
    reference: int | None
    inflation: float = 1.0

    @property
    def spread(self) -> float:
        """Variance of a mean, in units of the column's variance."""
        return self.inflation / max(1, self.rows) + (1 / self.reference if self.reference else 0.0)


def level(tests: int) -> float:
    """Exponent of the bounds for one of so many tests that share :data:`RUN_LEVEL`."""
    return math.log(2 * max(1, tests) / RUN_LEVEL)


def mean_bound(variance: float, reach: float, sample: BoundedSample, exponent: float) -> float:
    """How far a mean may be from its expectation.

    Args:
        variance: of one value.
        reach: largest distance of a value from the expectation.
        sample: of the values.
        exponent: by :func:`level`.
    """
    spread = sample.spread
    return math.sqrt(2 * variance * exponent * spread) + reach * exponent * spread / 3


def ratio_bound(ratio: float, sample: BoundedSample, exponent: float) -> float:
    """How far a share may be from its expectation."""
    variance = ratio * (1 - ratio)
    if sample.reference:  # what the reference has never shown may come all the same
        variance = max(variance, 1 / sample.reference)
    elif variance == 0:
        return 0.0
    return mean_bound(variance, max(ratio, 1 - ratio), sample, exponent)


def distribution_bound(sample: BoundedSample, exponent: float) -> float:
    """How far a cumulative distribution may be from its expectation, at most anywhere."""
    return 1.05 * math.sqrt(exponent * sample.spread / 2)


def distribution_distance(found: np.ndarray, values: np.ndarray, weights: np.ndarray) -> float:
    """Largest distance between the distribution of a sample and an expected one.

    Args:
        found: the sample.
        values: that are expected.
        weights: how likely each is; they sum to 1.
    """
    order = np.argsort(values, kind="stable")
    values, steps = values[order], np.cumsum(weights[order])
    found = np.sort(found)
    points = np.union1d(values, found)
    expected = np.concatenate(([0.0], steps))[np.searchsorted(values, points, side="right")]
    own = np.searchsorted(found, points, side="right") / len(found)
    return float(np.abs(own - expected).max())

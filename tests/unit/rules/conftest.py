"""Series and firings in memory, for tests of the replay."""

from __future__ import annotations

import numpy as np
from testbed_rules.conditions import GridSeries

NAN = float("nan")


def line(*values: float, **labels: str) -> GridSeries:
    """A series; NaN stands where it has no value."""
    numbers = np.array(values, dtype=np.float64)
    return GridSeries(frozenset(labels.items()), numbers, ~np.isnan(numbers))


def times(count: int, step: float = 1.0) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """So many evaluations from 0 on."""
    return np.arange(count, dtype=np.float64) * step

"""Percentiles of what was measured."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def percentile(values: Sequence[float], ratio: float) -> float | None:
    """The smallest value that ``ratio`` of the values do not exceed; None without values."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(ratio * len(values)) - 1)]

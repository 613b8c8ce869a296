"""Missing values: rows with one against rows without, compared like two categories. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from testbed_drift.scoring.scores import MISSING_RATIO, MISSING_TEST
from testbed_drift.scoring.statistics.categories import compare_counts, drawn_counts
from testbed_drift.scoring.statistics.registry import register

if TYPE_CHECKING:
    from testbed_drift.rows.columns import ColumnKind
    from testbed_drift.scoring.statistics.base import CachedColumn, Coded, Floats, Integers


def missing_counts(before: CachedColumn, now: CachedColumn) -> Floats:
    """Rows with and without a value, ``[2, 2]``."""
    sides = [[side.present, side.rows - side.present] for side in (before, now)]
    return np.asarray(sides, dtype=float)


@register
class MissingStatistic:
    """See the module."""

    test: ClassVar[str] = MISSING_TEST
    effect: ClassVar[str] = MISSING_RATIO
    limits: ClassVar[ColumnKind] = "category"
    of_values: ClassVar[bool] = False

    def applies(self, before: CachedColumn, now: CachedColumn) -> bool:
        """Where either misses some."""
        return before.present < before.rows or now.present < now.rows

    def compare(
        self, before: CachedColumn, now: CachedColumn, witnesses: tuple[float, float]
    ) -> tuple[float, float]:
        """See :func:`.categories.compare_counts`."""
        return compare_counts(missing_counts(before, now), witnesses)

    def drawn(self, column: Coded, before: Integers, now: Integers, minimum: float) -> float:
        """Of any column."""
        del column
        if not before[-1] and not now[-1]:
            return 1.0
        sides = [[side[:-1].sum(), side[-1]] for side in (before, now)]
        return drawn_counts(np.array(sides, dtype=float), minimum)

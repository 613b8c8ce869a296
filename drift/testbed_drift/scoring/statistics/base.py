"""What a drift statistic is, and what it works on. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from testbed_drift.rows.columns import ColumnKind

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

# Evidently's least unit of the Wasserstein distance: a constant has no standard deviation.
MIN_SCALE: Final = 0.001


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


CachedColumn = Numbers | Categories


@dataclass(frozen=True)
class Coded:
    """A column of the reference, coded: drawing it again is counting.

    Attributes:
        codes: place of each row's value in ``distinct``; behind its end where the value is missing.
        distinct: values, sorted; of categories only their number counts.
        numeric: whether the values are numbers.
    """

    codes: Integers
    distinct: Floats
    numeric: bool

    def counted(self, rows: Integers) -> Integers:
        """How often each value stands in drawn rows, and last how often none does."""
        return np.bincount(self.codes[rows], minlength=len(self.distinct) + 1)


class Statistic(Protocol):
    """A significance test and an effect size of the same thing, and all that is done with them.

    A new one is a module of this package with a class of this form, decorated by
    :data:`.registry.register`: the detector, the calibration and Evidently's report take it from
    there.
    """

    test: ClassVar[str]
    """Method of the test, under the name that is published."""
    effect: ClassVar[str]
    """Method of the effect size, likewise."""
    limits: ClassVar[ColumnKind]
    """Whose least effect of the rule counts."""
    of_values: ClassVar[bool]
    """Whether it is about the values, and not about those that are missing."""

    def applies(self, before: CachedColumn, now: CachedColumn) -> bool:
        """Whether these columns can be compared so."""

    def compare(
        self, before: CachedColumn, now: CachedColumn, witnesses: tuple[float, float]
    ) -> tuple[float, float]:
        """P-value and effect.

        Args:
            before: column of the reference.
            now: column of the window.
            witnesses: of each, the ratio of its rows that are no copies of others.
        """

    def drawn(self, column: Coded, before: Integers, now: Integers, minimum: float) -> float:
        """P-value of drawn rows; 1 where their effect is not sufficient, or it does not apply.

        Args:
            column: of which rows were drawn.
            before: :meth:`Coded.counted` of those drawn as the reference.
            now: of those drawn as the window.
            minimum: sufficient effect.
        """

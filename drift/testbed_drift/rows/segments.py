"""Groups of rows by one column, with names that stay the same from window to window. Pure."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed_domain.features import Value

    from testbed_drift.rows.columns import ColumnKind

# Every segment is a series per score: more would cost more than they say.
MAX: Final = 10
QUARTERS: Final = (0.25, 0.5, 0.75)
MISSING: Final = "missing"
REST: Final = "rest"


@dataclass(frozen=True, slots=True)
class Segmentation:
    """How a column's values fall into groups, learnt from the reference.

    Attributes:
        column: name of the column.
        values: the most frequent values of a category; all others are :data:`REST`.
        edges: quartiles of a numeric column, each the upper end (included) of a group. Empty for a
            category.
    """

    column: str
    values: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()

    @classmethod
    def learn(
        cls, column: str, kind: ColumnKind, reference: Sequence[Value], maximum: int = MAX
    ) -> Self:
        """Groups of a column as they are in the reference.

        Args:
            column: name of the column.
            kind: how it is compared.
            reference: its values there.
            maximum: most values of a category that are groups of their own.
        """
        if kind == "numeric":
            numbers = _numbers(reference)
            numbers = numbers[np.isfinite(numbers)]
            edges = np.unique(np.quantile(numbers, QUARTERS)).tolist() if len(numbers) else []
            return cls(column, edges=tuple(edges))
        counts = Counter(str(value) for value in reference if value is not None)
        ranked = sorted(counts, key=lambda value: (-counts[value], value))
        return cls(column, tuple(sorted(ranked[:maximum])))

    def groups(self, values: Sequence[Value]) -> dict[str, np.ndarray[Any, Any]]:
        """Name of each group to the rows that it has; groups without rows are left out."""
        names = self._numeric(values) if self.edges else self._categories(values)
        # Numbers are compared far faster than texts, and groups may be hundreds.
        places: dict[str, int] = {}
        numbers = np.array([places.setdefault(name, len(places)) for name in names], dtype=int)
        return {name: numbers == places[name] for name in sorted(places)}

    def _categories(self, values: Sequence[Value]) -> Sequence[str]:
        names = {value: f"{self.column}={value}" for value in self.values}
        missing, rest = (f"{self.column}={word}" for word in (MISSING, REST))
        return [missing if value is None else names.get(str(value), rest) for value in values]

    def _numeric(self, values: Sequence[Value]) -> Sequence[str]:
        ends = [f"{edge:g}" for edge in self.edges]
        names = [
            f"{self.column}<={ends[0]}",
            *(f"{low}<{self.column}<={high}" for low, high in pairwise(ends)),
            f"{self.column}>{ends[-1]}",
        ]
        numbers = _numbers(values)
        places = np.searchsorted(self.edges, np.nan_to_num(numbers))
        found: np.ndarray[Any, Any] = np.array(names, dtype=object)[places]
        found[np.isnan(numbers)] = f"{self.column}={MISSING}"
        return list(found)


def _numbers(values: Sequence[Value]) -> np.ndarray[Any, Any]:
    """Values as numbers; what is none becomes NaN."""
    if isinstance(values, array):
        return np.asarray(values, dtype=float)
    return np.array(
        [value if isinstance(value, int | float) else np.nan for value in values], dtype=float
    )

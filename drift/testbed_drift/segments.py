"""Groups of rows by one column, with names that stay the same from window to window. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed_domain.features import Value

    from testbed_drift.scores import ColumnKind

# Every segment is a series per score: more would cost more than they tell.
MOST: Final = 10
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
    def learn(cls, column: str, kind: ColumnKind, reference: Sequence[Value]) -> Self:
        """Groups of a column as they are in the reference."""
        present = [value for value in reference if value is not None]
        if kind == "numeric":
            numbers = _numbers(present)
            numbers = numbers[np.isfinite(numbers)]
            edges = np.unique(np.quantile(numbers, QUARTERS)).tolist() if len(numbers) else []
            return cls(column, edges=tuple(edges))
        counts = Counter(map(str, present))
        ranked = sorted(counts, key=lambda value: (-counts[value], value))
        return cls(column, tuple(sorted(ranked[:MOST])))

    def groups(self, values: Sequence[Value]) -> dict[str, np.ndarray[Any, Any]]:
        """Name of each group to the rows that it has; groups without rows are left out."""
        names = self._numeric(values) if self.edges else self._categories(values)
        return {name: names == name for name in sorted(set(names.tolist()))}

    def _categories(self, values: Sequence[Value]) -> np.ndarray[Any, Any]:
        known = set(self.values)

        def name(value: Value) -> str:
            if value is None:
                return MISSING
            return str(value) if str(value) in known else REST

        return np.array([f"{self.column}={name(value)}" for value in values], dtype=object)

    def _numeric(self, values: Sequence[Value]) -> np.ndarray[Any, Any]:
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
        return found


def _numbers(values: Sequence[Value]) -> np.ndarray[Any, Any]:
    """Values as numbers; what is none becomes NaN."""
    return np.array(
        [value if isinstance(value, int | float) else np.nan for value in values], dtype=float
    )

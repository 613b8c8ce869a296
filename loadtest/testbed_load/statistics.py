"""What drifts know of the reference rows: statistics of columns, and groups of labels; pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from testbed_load.columns import categorical, numeric

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testbed_domain.features import FeatureSchema, Label, Row


@dataclass(frozen=True, slots=True)
class ColumnStatistics:
    """Of a numeric column over the reference rows, in its unit."""

    mean: float
    sigma: float
    median: float
    upper: float
    """The smallest value above the median; where the median is the largest, that itself."""


@dataclass(frozen=True, slots=True)
class CategoryStatistics:
    """The rarest of a category's known values over the reference rows, absent ones included."""

    rarest: str


@dataclass(frozen=True, slots=True)
class Strata:
    """Groups of labels: classes, or of numbers the quarters of the reference.

    Attributes:
        classes: in the schema's order; none of a regression.
        positive: of them, the one that a shift of labels brings more of.
        cuts: of numbers the three between the quarters.
    """

    classes: tuple[Label, ...]
    positive: Label | None
    cuts: tuple[float, ...] = ()

    @classmethod
    def of(cls, schema: FeatureSchema, labels: Sequence[str]) -> Strata:
        """The strata of a schema.

        Args:
            schema: says which classes there are.
            labels: true numbers of the reference rows, as text.
        """
        if not schema.regression:
            positive = schema.positive_class
            return cls(schema.classes, schema.classes[-1] if positive is None else positive)
        cuts = np.quantile(np.array(labels, dtype=float), (0.25, 0.5, 0.75))
        return cls((), None, tuple(cuts.tolist()))

    def place(self, label: Label) -> int:
        """Which group a label belongs to."""
        if self.cuts:
            return int(np.searchsorted(self.cuts, float(label)))
        return self.classes.index(label)

    @property
    def wanted(self) -> int:
        """The group that a shift of labels brings more of: the positive class, the top quarter."""
        return len(self.cuts) if self.positive is None else self.classes.index(self.positive)


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of the reference rows.

    Attributes:
        columns: feature name to what is known of it.
        strata: groups of the labels.
    """

    columns: Mapping[str, ColumnStatistics | CategoryStatistics]
    strata: Strata


def reference_statistics(
    schema: FeatureSchema, rows: Sequence[Row], labels: Sequence[str] = ()
) -> Statistics:
    """Statistics of the columns of ``rows``; missing values don't count.

    Args:
        schema: of the rows.
        rows: the reference rows.
        labels: their labels, as text; of classes nothing is learnt.
    """
    values: defaultdict[str, list[float]] = defaultdict(list)
    for row in rows:
        for feature in numeric(schema):
            value = row[feature.name]
            if isinstance(value, int | float):
                values[feature.name].append(value)
    found: dict[str, ColumnStatistics | CategoryStatistics] = {
        name: _column_statistics(np.array(column, dtype=float)) for name, column in values.items()
    }
    for feature in categorical(schema):
        counts = Counter(row[feature.name] for row in rows)
        rarest = min(feature.categories, key=lambda value: counts[value])
        found[feature.name] = CategoryStatistics(rarest)
    return Statistics(found, Strata.of(schema, labels))


def _column_statistics(values: np.ndarray[Any, Any]) -> ColumnStatistics:
    median = float(np.median(values))
    upper = values[values > median]
    return ColumnStatistics(
        float(values.mean()), float(values.std()), median, float(upper.min(initial=values.max()))
    )

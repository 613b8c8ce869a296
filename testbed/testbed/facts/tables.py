"""Rows as columns of numbers, so that thousands are compared at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testbed_domain.features import Feature, FeatureSchema, Label, Value

MISSING: Final = 0
"""Code of a category's missing value."""


@dataclass(frozen=True)
class Table:
    """Rows of one schema.

    Attributes:
        columns: feature name to values: floats, NaN where missing, or codes of a category.
        labels: places of the labels among the schema's classes; -1 for what is none of them.
    """

    columns: Mapping[str, np.ndarray]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, places: np.ndarray) -> Table:
        """Some of the rows."""
        columns = {name: values[places] for name, values in self.columns.items()}
        return Table(columns, self.labels[places])


class Tabulator:
    """Makes tables of one schema; equal values have equal codes in all of them."""

    def __init__(self, schema: FeatureSchema) -> None:
        self.schema = schema
        self._codes: dict[str, dict[object, int]] = {
            feature.name: {value: code for code, value in enumerate((None, *feature.categories))}
            for feature in schema.features
            if is_category(feature)
        }
        self._labels = {str(label): place for place, label in enumerate(schema.classes)}

    def __call__(
        self, rows: Sequence[Mapping[str, Value]], labels: Sequence[Label | None]
    ) -> Table:
        """Rows and their labels as a table."""
        columns = {}
        for feature in self.schema.features:
            name = feature.name
            if is_category(feature):
                codes = self._codes[name]
                found = [codes.setdefault(row.get(name), len(codes)) for row in rows]
                columns[name] = np.array(found, np.int64)
            else:
                columns[name] = _numbers([row.get(name) for row in rows])
        places = [self._labels.get(str(label), -1) for label in labels]
        return Table(columns, np.array(places, np.int64))

    def size(self, feature: Feature) -> int:
        """Number of different values that a category had so far, missing ones among them."""
        return len(self._codes[feature.name])

    def value(self, feature: Feature, code: int) -> str:
        """What a code of a category stands for."""
        value = list(self._codes[feature.name])[code]
        return "missing" if value is None else str(value)


def is_category(feature: Feature) -> bool:
    """Whether the column holds texts."""
    return feature.kind == "category"


def gone(feature: Feature, values: np.ndarray) -> np.ndarray:
    """Which values of a column are missing."""
    return np.asarray(values == MISSING if is_category(feature) else np.isnan(values))


def _numbers(values: list[Value]) -> np.ndarray:
    try:
        return np.array(values, float)  # None becomes NaN
    except (TypeError, ValueError):
        return np.array([v if isinstance(v, int | float) else np.nan for v in values], float)

"""Rows as columns of numbers, so that thousands are compared at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testbed_domain.features import Feature, FeatureSchema, Label, Value

MISSING: Final = 0
"""Code of a category's missing value."""


@dataclass(frozen=True)
class LogTable:
    """Rows of one schema.

    Attributes:
        columns: feature name to values: floats, NaN where missing, or codes of a category.
        labels: places of the labels among the schema's classes, of numbers among the quarters of
            the reference; -1 for what is none of them.
        numbers: the labels themselves where they are numbers, NaN for what is none; else empty.
    """

    columns: Mapping[str, np.ndarray]
    labels: np.ndarray
    numbers: np.ndarray = field(default_factory=lambda: np.empty(0))

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, places: np.ndarray) -> LogTable:
        """Some of the rows."""
        columns = {name: values[places] for name, values in self.columns.items()}
        numbers = self.numbers[places] if len(self.numbers) else self.numbers
        return LogTable(columns, self.labels[places], numbers)

    def other_labels(self, other: LogTable) -> np.ndarray:
        """Which labels are not those of another table of as many rows."""
        if len(self.numbers):
            return np.asarray(self.numbers != other.numbers)
        return np.asarray(self.labels != other.labels)


class Tabulator:
    """Makes tables of one schema; equal values have equal codes in all of them.

    Args:
        schema: of the rows.
        labels: of the reference, which say where the quarters of numbers are.
    """

    def __init__(self, schema: FeatureSchema, labels: Sequence[str] = ()) -> None:
        self.schema = schema
        self._cuts = (
            np.quantile(np.array(labels, float), (0.25, 0.5, 0.75)) if schema.regression else None
        )
        self._codes: dict[str, dict[object, int]] = {
            feature.name: {value: code for code, value in enumerate((None, *feature.categories))}
            for feature in schema.features
            if is_category(feature)
        }
        self._labels = {str(label): place for place, label in enumerate(schema.classes)}

    def __call__(
        self, rows: Sequence[Mapping[str, Value]], labels: Sequence[Label | None]
    ) -> LogTable:
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
        if self._cuts is not None:
            numbers = np.array([number_of(label) for label in labels])
            return LogTable(columns, self.quarters(numbers), numbers)
        places = [self._labels.get(str(label), -1) for label in labels]
        return LogTable(columns, np.array(places, np.int64))

    @property
    def strata(self) -> tuple[str, ...]:
        """What labels are distinguished by: the schema's classes, or quarters of numbers."""
        if self._cuts is None:
            return tuple(map(str, self.schema.classes))
        return tuple(f"quarter {number}" for number in range(1, len(self._cuts) + 2))

    def quarters(self, numbers: np.ndarray) -> np.ndarray:
        """Place of the quarter of the reference's labels in which each number lies."""
        assert self._cuts is not None  # noqa: S101 - for mypy: asked of a regression only
        return np.where(np.isnan(numbers), -1, np.searchsorted(self._cuts, numbers))

    def size(self, feature: Feature) -> int:
        """Number of different values that a category had so far, missing ones among them."""
        return len(self._codes[feature.name])

    def code(self, feature: Feature, value: object) -> int:
        """What stands for a value of a category in all tables."""
        codes = self._codes[feature.name]
        return codes.setdefault(value, len(codes))

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


def number_of(value: object) -> float:
    """What stands for a number in a log or an answer; NaN, which equals nothing, for all else."""
    try:
        return float(str(value))
    except ValueError:
        return math.nan


def _numbers(values: list[Value]) -> np.ndarray:
    try:
        return np.array(values, float)  # None becomes NaN
    except (TypeError, ValueError):
        return np.array([v if isinstance(v, int | float) else np.nan for v in values], float)

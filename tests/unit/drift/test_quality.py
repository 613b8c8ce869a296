"""Data quality: each fault is found as itself, sound data is not accused, odd data is no error."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from testbed_domain.features import Feature, FeatureSchema
from testbed_drift.quality.data import CHECKS, ColumnQuality, check, is_missing, type_of

SCHEMA = FeatureSchema(
    features=(
        Feature("size", "number", "A size.", minimum=0, maximum=100, nullable=True),
        Feature("colour", "category", "A colour.", categories=("red", "blue", "green")),
    ),
    target="good",
    classes=(0, 1),
)
REFERENCE: dict[str, list[Any]] = {
    "size": [10.0, 20.0, 30.0, None],
    "colour": ["red", "blue", "red", "mauve"],
}


def _one(reference: list[Any], current: list[Any]) -> ColumnQuality:
    """The verdict on one column that no schema knows."""
    found = check({"x": reference}, {"x": current})
    json.dumps(found.to_dict(), allow_nan=False)
    return found.columns[0]


def _faults(found: ColumnQuality) -> dict[str, float]:
    return {name: ratio for name, ratio in found.ratios.items() if ratio}


def test_sound_data_has_no_faults() -> None:
    """Values that the reference or the schema know are none of a check's business."""
    current: dict[str, list[Any]] = {"size": [10, 30.0, 15], "colour": ["green", "mauve", "red"]}
    found = check(REFERENCE, current, SCHEMA)
    assert [column.column for column in found.columns] == ["size", "colour"]
    assert [_faults(column) for column in found.columns] == [{}, {}]
    assert set(found.columns[0].ratios) == set(CHECKS)
    assert (found.duplicated, found.reference_duplicated, found.unexpected) == (0.0, 0.0, ())


def test_each_fault_is_found_as_itself() -> None:
    """Missing, out of range, new and of another type are distinguished, as shares of the rows."""
    size: list[Any] = [None, math.nan, 31.0, 9.0, math.inf, "12", True, 20.0, 21.0, 22.0]
    colour: list[Any] = ["teal", "teal", "pink", None, 7, "red", "blue", "red", "blue", "red"]
    found = check(REFERENCE, {"size": size, "colour": colour}, SCHEMA)
    numbers, texts = found.columns
    assert _faults(numbers) == {"missing": 0.2, "out_of_range": 0.3, "type_change": 0.2}
    assert _faults(texts) == {"missing": 0.1, "new_category": 0.3, "type_change": 0.1}
    assert texts.new == ("teal", "pink")


def test_schema_bounds_hold_where_the_reference_is_wider() -> None:
    """A reference that broke the schema's bounds does not widen them."""
    wide: dict[str, list[Any]] = {"size": [-50.0, 500.0], "colour": ["red", "red"]}
    numbers: dict[str, list[Any]] = {"size": [-1.0, 101.0, 50.0, 0.0], "colour": ["red"] * 4}
    found = check(wide, numbers, SCHEMA)
    assert _faults(found.columns[0])["out_of_range"] == 0.5


def test_column_that_became_constant_is_reported() -> None:
    """One value where there were several; one that always was so is no news, one row neither."""
    assert _faults(_one([1.0, 2.0], [1.5, 1.5])) == {"constant": 1.0}
    assert _faults(_one([1.0, 1.0], [1.0, 1.0])) == {}
    assert _faults(_one([1.0, 2.0], [1.5])) == {}
    assert _one([1.0, 2.0], [1.5, 1.5]).to_dict()["constant"] is True


def test_repeated_rows_are_counted_once_more() -> None:
    """A row counts as repeated when an earlier one equals it in every column."""
    current: dict[str, list[Any]] = {"size": [1, 1, 1, None, None], "colour": list("aabcc")}
    found = check({**REFERENCE, "size": [5, 5, 5, 5]}, current, SCHEMA)
    assert found.duplicated == pytest.approx(0.4)
    assert found.reference_duplicated == pytest.approx(0.25)


def test_absent_and_unexpected_columns_are_named() -> None:
    """A column that stopped is missing in every row; one that appeared is named."""
    current: dict[str, list[Any]] = {"colour": ["red", "blue"], "shape": [1, 2]}
    found = check(REFERENCE, current, SCHEMA)
    assert _faults(found.columns[0]) == {"missing": 1.0}
    assert found.unexpected == ("shape",)


def test_empty_window_is_a_result() -> None:
    """Without rows there is nothing to accuse, and a reference without rows expects nothing."""
    nothing: dict[str, list[Any]] = {}
    found = check(REFERENCE, nothing, SCHEMA)
    assert (found.rows, found.columns, found.duplicated) == (0, (), None)
    bare = check(nothing, REFERENCE, SCHEMA)
    assert _faults(bare.columns[0]) == {"missing": 0.25}
    assert _faults(bare.columns[1]) == {"new_category": 0.25}


@pytest.mark.parametrize(
    ("reference", "current", "faults"),
    [
        ([None, None], [None, None], {"missing": 1.0}),
        ([None, None], [1, "a"], {"type_change": 1.0}),
        ([date(2026, 1, 1), date(2026, 1, 2)], [date(2027, 1, 1), date(2027, 1, 3)], {}),
        ([1, 2], [datetime(2026, 1, 1, tzinfo=UTC), 2], {"type_change": 0.5}),
        ([1, "a", 2], [1, 2, "a", "b"], {"type_change": 0.5}),
        ([[1], [2]], [[1], {"k": 1}], {}),
        ([1, 2], [10**400, 2], {"out_of_range": 0.5}),
        ([True, False], [True, 1], {"type_change": 0.5}),
        ([Decimal("1.5"), Decimal(2)], [1.7, Decimal(3)], {"out_of_range": 0.5}),
        ([math.nan, math.inf], [math.inf, 1.0], {"out_of_range": 0.5}),
        ([1, 2], [np.array([1, 2]), 2], {"type_change": 0.5}),
    ],
)
def test_odd_columns_are_no_error(
    reference: list[Any], current: list[Any], faults: dict[str, float]
) -> None:
    """All missing, dates, mixed types, lists, giants: each has a stated result."""
    assert _faults(_one(reference, current)) == faults


def test_values_of_numpy_and_pandas_are_understood() -> None:
    """A column of a data frame gives the types that its values have in Python."""
    assert [is_missing(value) for value in (pd.NA, pd.NaT, np.nan, np.datetime64("NaT"))] == [
        True
    ] * 4
    values = [np.float32(1), np.int64(1), np.bool_(1), np.str_("a"), pd.Timestamp("2026-01-01")]
    assert [type_of(value) for value in values] == ["number", "number", "boolean", "text", "date"]
    assert type_of(np.datetime64("2026-01-01")) == "date"


def test_long_new_values_are_cut() -> None:
    """At most five new values are named, none longer than 40 characters."""
    found = _one(["a", "b"], [f"{number}" * 100 for number in range(9)])
    assert [len(value) for value in found.new] == [40] * 5


@pytest.mark.parametrize("gone", [[None] * 30, [math.nan] * 30, np.full(30, np.nan)])
@pytest.mark.parametrize("before", [["red", "blue"] * 20, [1.0, 2.0] * 20])
def test_column_that_went_missing_can_not_be_compared(before: Any, gone: Any) -> None:  # noqa: ANN401 - of any kind
    """Where the reference has values and the window none: its phrase asks for an alert."""
    found = check({"x": before}, {"x": gone})
    assert found.phrases == ("x: none of 30 rows has a value, 40 of the reference's 40 have",)
    assert found.with_unreadable({"y": "odd"}, {}).phrases == (*found.phrases, "y: odd")


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ([None] * 40, [None] * 30),  # as it was
        ([None] * 39 + [1.0], [None] * 30),  # by chance
        ([1.0] * 40, [None] * 29 + [1.0]),  # that is drift, and no column that went
        ([1.0] * 40, [None]),  # whose row may be the odd one
        ([], [None] * 30),
    ],
)
def test_column_that_may_be_missing_asks_for_nothing(before: list[Any], now: list[Any]) -> None:
    """A few rows, or a reference that has as good as no value either."""
    assert check({"x": before}, {"x": now}).phrases == ()

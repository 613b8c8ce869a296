"""Kinds of a reference's columns, and what they demand of other tables."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from testbed_domain.tables.columnkinds import days, kind_of, seconds, texts, without_blanks
from testbed_drift.rows.columns import PREDICTION
from testbed_drift.tables.pinning import choose, pin
from testbed_drift.tables.rows import TableRows
from testbed_drift.tables.schema import (
    MAX_CATEGORIES,
    OTHER,
    ColumnRoles,
    TableSchema,
    TableSchemaError,
)

DAY = dt.date(2024, 1, 31)


def _pin(frame: pd.DataFrame, roles: ColumnRoles | None = None, **options: bool) -> TableSchema:
    roles = roles or ColumnRoles()
    columns = [str(name) for name in frame if name not in roles.columns]
    given: dict[str, Any] = {"typed": False, "asked": False, **options}
    return pin(frame, columns, roles, **given)


@pytest.mark.parametrize(
    ("values", "typed", "kind"),
    [
        ([1, 2, None], True, "number"),
        (["1", " ", "2.5"], False, "number"),
        (["1", "2"], True, "category"),
        ([Decimal("1.5"), None, Decimal(2)], True, "number"),
        ([True, None, False], True, "boolean"),
        (["2024-01-31", None, "2024-02-01T10:00:00Z"], True, "date"),
        (["20240131", "20240201"], True, "category"),
        ([DAY, None], True, "date"),
        ([pd.Timestamp(DAY)], True, "date"),
        ([dt.timedelta(days=1)], True, "number"),
        (["a", 1], False, "category"),
        (["2024-13-31"], False, "category"),
        ([None, " "], False, None),
    ],
)
def test_kinds(values: list[Any], typed: bool, kind: str | None) -> None:  # noqa: FBT001 - a column
    """Types say it where there are any, and the text where there are none."""
    assert kind_of(without_blanks(pd.Series(values)), typed=typed) == kind


def test_a_category_of_pandas_stays_one() -> None:
    """What somebody declared a category is none of numbers, whatever it holds."""
    assert kind_of(pd.Series([1, 2, 1]).astype("category"), typed=True) == "category"


def test_dates_are_days_and_times_are_seconds() -> None:
    """Days since 1970 UTC; an offset counts, numbers are Unix seconds already."""
    column = pd.Series(["1970-01-02", "1970-01-03T01:00:00+01:00", None, "soon"])
    assert days(column).tolist() == pytest.approx([1, 2, np.nan, np.nan], nan_ok=True)
    assert seconds(column).tolist()[:2] == [86_400, 2 * 86_400]
    assert seconds(pd.Series([5, 6])).tolist() == [5, 6]
    assert days(pd.Series([DAY])).tolist() == [19_753]
    assert np.isnan(days(pd.Series([5.0, True]))).all()


def test_texts_are_the_same_whatever_the_type() -> None:
    """A class 1 is the same as 1.0 beside a missing one, and as text with spaces."""
    columns: list[Any] = [pd.Series([1, 0]), pd.Series([1.0, 0.0]), pd.Series(["1", " 0 "])]
    assert [texts(column).tolist() for column in columns] == [["1", "0"]] * 3
    assert texts(pd.Series([1.0, np.nan])).tolist() == ["1", None]


def test_what_says_nothing_is_left_out_with_its_reason() -> None:
    """Ids, row numbers, free text and empty columns, unless they were asked for by name."""
    rows = 1000
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "row": np.arange(rows),
            "customer_id": rng.permutation(rows) * 7,
            "name": [f"name {number}" for number in range(rows)],
            "nothing": [None] * rows,
            "age": rng.integers(20, 60, rows),
            "town": [f"town {number}" for number in rng.integers(0, 400, rows)],
            "constant": [1] * rows,
        }
    )
    found = _pin(frame)
    assert [column.name for column in found.columns] == ["age", "town", "constant"]
    assert set(found.left_out) == {"row", "customer_id", "name", "nothing"}
    assert "1000 different values" in found.left_out["name"]
    asked = _pin(frame, asked=True)
    assert set(asked.left_out) == {"nothing"}


def test_many_categories_are_the_top_ones_and_one_more() -> None:
    """The most frequent of the reference stand for themselves, all others and new ones for one."""
    rng = np.random.default_rng(1)
    common = [f"c{number}" for number in range(MAX_CATEGORIES)]
    rare = [f"r{number}" for number in range(100)]
    frame = pd.DataFrame({"town": rng.permutation(common * 5 + rare)})
    found = _pin(frame)
    (column,) = found.columns
    assert column.to_dict() == {"kind": "category", "values": 300, "retained": 200}
    assert set(column.retained) == set(common)
    now = TableRows.of(pd.DataFrame({"town": ["c1", "r1", "new", None]}), found)
    assert now.frame["town"].tolist()[:3] == ["c1", OTHER, OTHER]
    assert now.features["town"].tolist()[:3] == ["c1", "r1", "new"]
    assert now.frame["town"].isna().tolist() == [False, False, False, True]


def test_the_pinned_kinds_survive_json() -> None:
    """A schema that is kept is the same when it is read."""
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "y": [0, 1], "q": [0.1, 0.9]})
    found = _pin(frame, ColumnRoles("y", None, {"": "q"}))
    assert TableSchema.from_dict(found.to_dict()) == found


def test_classes_and_the_positive_one() -> None:
    """Classes come from labels and predictions, numbers in their order; of two the last counts."""
    frame = pd.DataFrame({"a": [1, 2, 2], "y": [10, 9, 9], "p": [9, 9, 10]})
    roles = ColumnRoles("y", "p")
    assert (_pin(frame, roles).classes, _pin(frame, roles).positive) == (("9", "10"), "10")
    assert _pin(frame, ColumnRoles("y", "p", positive="9")).positive == "9"
    three = frame.assign(y=["a", "b", "c"])
    assert _pin(three, ColumnRoles("y")).positive is None


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        (ColumnRoles("y", positive="z"), "no class 'z': choose from 0, 1"),
        (ColumnRoles("amount", task="classification"), "hold 60 different values, at most 50"),
        (ColumnRoles("words"), "hold 60 different values, at most 50"),
        (ColumnRoles("three", None, {"": "amount"}), "CLASS=COLUMN"),
    ],
)
def test_targets_that_can_not_be_evaluated(roles: ColumnRoles, message: str) -> None:
    """The line says what classes there are, or what to give instead."""
    frame = pd.DataFrame(
        {"a": [1] * 60, "y": [0, 1] * 30, "amount": range(60), "three": [*"abc"] * 20}
    ).assign(words=lambda table: "w" + table["amount"].astype(str))
    with pytest.raises(TableSchemaError, match=message):
        _pin(frame, roles)


def test_probabilities_become_predictions_where_there_are_none() -> None:
    """One column is of the positive class; a row without it has no prediction."""
    frame = pd.DataFrame({"a": [1, 2, 3], "y": ["no", "yes", "no"], "q": [0.2, 0.7, None]})
    found = TableRows.of(frame, _pin(frame, ColumnRoles("y", None, {"": "q"})))
    assert found.frame[PREDICTION].tolist()[:2] == ["no", "yes"]
    assert found.frame[PREDICTION].isna().tolist() == [False, False, True]
    assert found.probabilities["no"].tolist()[:2] == pytest.approx([0.8, 0.3])
    window = found.window("w")
    assert window.columns
    assert window.columns.label == ["no", "yes", "no"]
    with pytest.raises(TableSchemaError, match="not from 0 to 1"):
        TableRows.of(frame.assign(q=70), _pin(frame, ColumnRoles("y", None, {"": "q"})))


REFERENCE = pd.DataFrame(
    {
        "age": [1.0, 2.0],
        "town": ["a", "b"],
        "open": [True, False],
        "day": ["2024-01-01", "2024-01-02"],
        "code": ["1", "x"],
    }
)


@pytest.mark.parametrize(
    ("column", "values", "wrong"),
    [
        ("age", ["old", "young"], "age \\(number in the reference, category here\\)"),
        ("age", ["old", "3"], None),
        ("age", pd.to_datetime(["2024-01-01", "2024-01-02"]), "age \\(number in the ref.*date"),
        ("town", [5, 6], "town \\(category in the reference, number here\\)"),
        ("town", ["new", "newer"], None),
        ("open", ["maybe", "perhaps"], "open \\(boolean in the reference"),
        ("open", [1, 0], None),
        ("day", [5, 6], "day \\(date in the reference, number here\\)"),
        ("code", [5, 6], None),
        ("age", [None, None], None),
    ],
)
def test_another_type_is_an_error_that_names_the_column(
    column: str,
    values: Any,  # noqa: ANN401 - any values
    wrong: str | None,
) -> None:
    """A column of another kind is refused; single odd values are for the data quality to count."""
    now = REFERENCE.assign(**{column: values})
    schema = _pin(REFERENCE)
    if wrong is None:
        assert len(TableRows.of(now, schema)) == 2
        return
    with pytest.raises(TableSchemaError, match=wrong):
        TableRows.of(now, schema)


def test_odd_values_are_missing_to_drift_and_stay_for_the_quality() -> None:
    """A text among numbers is no number, and the data quality sees the text."""
    now = TableRows.of(REFERENCE.assign(age=["old", "3"]), _pin(REFERENCE))
    assert np.isnan(now.frame["age"].iloc[0])
    assert now.features["age"].tolist() == ["old", 3.0]


def test_rows_come_in_the_order_of_their_times() -> None:
    """Rows without a time are left out, and a column without any time is refused."""
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "t": ["2024-01-03", None, "2024-01-01"]})
    schema = _pin(frame[["a"]])
    rows = TableRows.of(frame, schema, time="t").in_order()
    assert rows.frame["a"].tolist() == [3.0, 1.0]
    with pytest.raises(TableSchemaError, match="column t holds no times"):
        TableRows.of(frame.assign(t="soon"), schema, time="t")


@pytest.mark.parametrize(
    ("names", "roles", "wanted", "message"),
    [
        (["a", "y"], ColumnRoles("z"), [], "no column z; it has a, y"),
        (["a", "y"], ColumnRoles("y"), ["b"], "no column b"),
        (["a", "y"], ColumnRoles("y"), ["y"], "can't be compared as columns: y"),
        (["y"], ColumnRoles("y"), [], "no columns beside target"),
        (["a", "a"], ColumnRoles(), [], "columns twice: a"),
    ],
)
def test_columns_that_can_not_be_chosen(
    names: list[str], roles: ColumnRoles, wanted: list[str], message: str
) -> None:
    """The line names the columns."""
    with pytest.raises(TableSchemaError, match=message):
        choose(names, roles, wanted, [])

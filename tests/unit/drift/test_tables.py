"""Reports of any two DataFrames, with the real Evidently."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from testbed_domain.tables.files import FileSource
from testbed_drift.storage.reports import ReportStore
from testbed_drift.tables.dataframes import (
    TableError,
    classification_report,
    combined_report,
    drift_report,
)
from testbed_drift.tables.reference import WantedReference, read_reference
from testbed_drift.tables.schema import ColumnRoles

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS: Any = {"target": "survived", "prediction": "predicted"}


def _table(seed: int, rows: int = 400, *, shift: float = 0.0, right: float = 0.9) -> pd.DataFrame:
    """Two inputs, a label, and predictions of which so many are right."""
    rng = np.random.default_rng(seed)
    label = rng.choice([0, 1], rows)
    hit = np.arange(rows) < round(right * rows)
    return pd.DataFrame(
        {
            "age": rng.normal(30 + 10 * shift, 10, rows),
            "sex": rng.choice(["male", "female"], rows),
            "survived": label,
            "predicted": np.where(hit, label, 1 - label),
        }
    )


def test_drift_is_found_in_the_column_that_moved() -> None:
    """Columns of numbers and of text are compared; labels and predictions are no inputs."""
    report = drift_report(_table(1), _table(2, shift=1), **COLUMNS)
    found = report.content["drift"]
    assert found["ratio"] == 0.5
    assert {name: column["drifted"] for name, column in found["columns"].items()} == {
        "age": True,
        "sex": False,
    }
    assert (found["target"]["drifted"], found["prediction"]["drifted"]) == (False, False)
    assert "classification" not in report.content


def test_tables_without_labels_and_predictions_will_do() -> None:
    """What is not there is not evaluated."""
    tables = [_table(seed).drop(columns=["survived", "predicted"]) for seed in (1, 2)]
    found = drift_report(*tables).content["drift"]
    assert (found["ratio"], found["target"], found["prediction"]) == (0, None, None)


@pytest.mark.slow  # imports Evidently
def test_quality_is_that_of_each_table() -> None:
    """Accuracy and the scores of the positive class are those counted by hand."""
    now = _table(2, right=0.7)
    found = classification_report(_table(1), now, **COLUMNS).content["classification"]
    assert found["positive"] == "1"
    assert (found["reference"]["accuracy"], found["current"]["accuracy"]) == (0.9, 0.7)
    hits = int(((now.predicted == 1) & (now.survived == 1)).sum())
    precision, recall = hits / int(now.predicted.sum()), hits / int(now.survived.sum())
    assert found["current"]["precision"] == pytest.approx(precision)
    assert found["current"]["recall"] == pytest.approx(recall)
    assert found["current"]["f1"] == pytest.approx(
        2 * hits / int(now.predicted.sum() + now.survived.sum())
    )
    assert set(found["current"]["by_class"]) == {"0", "1"}


@pytest.mark.slow  # imports Evidently
def test_missing_labels_are_left_out() -> None:
    """A column that holds 1.0 because labels are missing has the same classes as one of 1."""
    now = _table(2)
    now["survived"] = now["survived"].astype(float)
    now.loc[:99, "survived"] = np.nan
    found = classification_report(_table(1), now, **COLUMNS).content["classification"]
    assert (found["reference"]["rows"], found["current"]["rows"]) == (400, 300)
    assert found["current"]["accuracy"] == pytest.approx((360 - 100) / 300)


@pytest.mark.slow  # imports Evidently
def test_three_classes_have_no_positive_one() -> None:
    """Scores are means over the classes, one that is never predicted included."""
    before = pd.DataFrame({"predicted": list("aabbcc"), "survived": list("aabbca")})
    now = pd.DataFrame({"predicted": list("aabb"), "survived": list("aabc")})
    found = classification_report(before, now, **COLUMNS).content["classification"]
    assert found["positive"] is None
    assert found["reference"]["accuracy"] == pytest.approx(5 / 6)
    assert found["current"]["accuracy"] == 0.75
    assert found["current"]["recall"] == pytest.approx(2 / 3)
    assert found["current"]["by_class"]["c"] == {"f1": 0, "precision": 0, "recall": 0}


@pytest.mark.slow
def test_a_combined_report_is_saved_whole(tmp_path: Path) -> None:
    """One page and one JSON file hold both parts, named after the tables."""
    report = combined_report(_table(1), _table(2, shift=1, right=0.6), **COLUMNS)
    html, file = report.save(ReportStore(tmp_path), "january", "february")
    assert (html.name, file.name) == (
        "drift_january_vs_february.html",
        "drift_january_vs_february.json",
    )
    content = json.loads(file.read_text())
    assert content["drift"]["columns"]["age"]["drifted"]
    assert content["classification"]["current"]["accuracy"] == 0.6
    text = html.read_text()
    assert "Drift needs a significant test" in text
    assert "F1" in text
    assert "Precision" in text


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({"predicted": list("xxyy")}, COLUMNS, "say which class is positive: "),
        ({}, COLUMNS | {"positive": "z"}, "no class 'z': choose from 0, 1"),
        ({}, COLUMNS | {"target": "lived"}, "no column lived"),
        ({"survived": [None] * 4}, COLUMNS, "no row with both"),
    ],
)
def test_tables_that_can_not_be_evaluated(
    change: dict[str, Any], arguments: dict[str, Any], message: str
) -> None:
    """One line says what is wrong."""
    table = pd.DataFrame({"survived": [0, 1, 0, 1], "predicted": [0, 1, 1, 1]}).assign(**change)
    if "predicted" in change:
        table["survived"] = table["predicted"]
    with pytest.raises(TableError, match=message):
        classification_report(table, table, **arguments)


@pytest.mark.parametrize(("before", "now"), [("0101", "0000"), ("0000", "0101"), ("abc", "aab")])
def test_labels_of_too_few_classes_are_refused(before: str, now: str) -> None:
    """Evidently fails there with an error of its insides; the line names the table."""
    tables = [
        pd.DataFrame({"survived": list(text), "predicted": list(text)}) for text in (before, now)
    ]
    with pytest.raises(TableError, match=r"labels of the (reference|current) table hold only"):
        classification_report(*tables, **COLUMNS)


def test_tables_that_differ_are_refused() -> None:
    """Columns that only one table has are named, and empty tables are no tables."""
    with pytest.raises(TableError, match="sex"):
        drift_report(_table(1), _table(2).drop(columns="sex"))
    with pytest.raises(TableError, match="current table has no rows"):
        drift_report(_table(1), _table(2).head(0))


def test_the_same_columns_are_left_out_as_by_the_command(tmp_path: Path) -> None:
    """Ids and free text; and a column that holds something else is refused by both."""
    tables = [
        _table(seed).assign(
            customer_id=np.arange(400) * 7 + seed, note=[f"n{n}" for n in range(400)]
        )
        for seed in (1, 2)
    ]
    for table, name in zip(tables, "ab", strict=True):
        table.to_parquet(tmp_path / f"{name}.parquet")
    found = drift_report(*tables, **COLUMNS).content["drift"]
    before, now = (FileSource.of(tmp_path / f"{name}.parquet") for name in "ab")
    wanted = WantedReference(ColumnRoles("survived", "predicted"))
    reference = read_reference(before, wanted)
    assert found["left_out"] == reference.schema.left_out
    assert list(found["columns"]) == [column.name for column in reference.schema.columns]
    assert len(reference.current(now, wanted)) == 400
    with pytest.raises(TableError, match="columns hold something else: age"):
        drift_report(tables[0], tables[1].assign(age="old"), **COLUMNS)


def test_columns_beside_and_row_labels_are_as_in_the_command() -> None:
    """Further columns of the current table are named, labels and lists are no reason to fail."""
    tags: Any = [[1]] * 100
    before = _table(1, 100).assign(tags=tags)
    before.insert(0, "Unnamed: 0", np.arange(100)[::-1] // 2)
    now = before.assign(more=1)
    drift = drift_report(before, now).content["drift"]
    assert drift["unexpected_columns"] == ["more"]
    assert drift["left_out"]["Unnamed: 0"] == "it labels the rows, as the index of pandas does"
    assert "tags" in drift["columns"]
    with pytest.raises(TableError, match="the current table lacks these columns: more"):
        drift_report(now, before)

"""Windows, segments and versions of tables: a result each, in one ``run``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from testbed_drift.cli import main

from .table_place import ROLES, ROWS, make
from .table_place import clean_environment as clean_environment  # noqa: PLC0414 - a fixture
from .table_place import run as run  # noqa: PLC0414 - a fixture
from .table_place import tables as tables  # noqa: PLC0414 - a fixture

if TYPE_CHECKING:
    from pathlib import Path

    from .table_place import Run


def test_windows_of_rows_confirm_each_other(run: Run, tables: Path) -> None:
    """A line per window in the order of their times, with the memory of the windows before."""
    both = pd.concat([make(2, 600), make(3, 600, shift=1.0)], ignore_index=True)
    both["t"] = pd.date_range("2024-01-01", periods=1200, freq="min")
    both.sample(frac=1, random_state=1).to_parquet(tables / "both.parquet")
    code, found = run("both.parquet", "--window-rows", "300", "--columns", "age,town")
    assert code == 1
    assert [one["decision"] for one in found] == ["NO_ACTION", "NO_ACTION", "RETRAIN", "RETRAIN"]
    assert [one["windows"]["current"]["name"] for one in found][:2] == [
        "both-rows-1-300",
        "both-rows-301-600",
    ]
    sliding = ("--window-rows", "300", "--every", "150", "--confirm", "2", "--confirm-of", "2")
    _, found = run("both.parquet", *sliding, "--columns", "age,town")
    decisions = [one["decision"] for one in found]
    assert decisions == ["NO_ACTION"] * 4 + ["RETRAIN"] * 3
    assert "2 windows must agree" in " ".join(found[3]["reasons"])


def test_windows_without_times_confirm_each_other(
    tables: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each window of a file in its own order has its own vote."""
    sides = ("--reference", str(tables / "a.parquet"), "--current", str(tables / "moved.parquet"))
    votes = ("--confirm", "2", "--confirm-of", "2", "--window-rows", "200", "--columns", "age,town")
    assert main(["run", *sides, *votes, "--json"]) == 1
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["decision"] for one in found] == ["NO_ACTION", "RETRAIN", "RETRAIN"]


def test_an_alarm_that_is_over_is_an_alarm(run: Run, tables: Path) -> None:
    """Exit code 1 where any window asked for action, the last one or not."""
    both = pd.concat([make(3, 300, shift=1.0), make(2, 300)])
    both.to_parquet(tables / "both.parquet")
    sides = ("--columns", "age,town")
    code, found = run("both.parquet", *sides, "--segment", "open", "--min-rows", "9999")
    assert (code, {one["outcome"] for one in found}) == (2, {"insufficient_data"})
    both["t"] = range(600)
    both.to_parquet(tables / "both.parquet")
    code, found = run("both.parquet", *sides, "--window-rows", "300")
    assert [one["decision"] for one in found] == ["RETRAIN", "NO_ACTION"]
    assert code == 1


def test_windows_of_time_report_where_they_lie(run: Run) -> None:
    """Hours of a table of ten hours; each has its span, and rows of none are lost."""
    code, found = run("same.csv", "--window", "2h", "--min-rows", "50")
    assert code == 0
    windows = [one["windows"]["current"] for one in found]
    assert [window["rows"] for window in windows] == [120] * 5
    assert windows[0]["end"] - windows[0]["start"] == 7200
    assert windows[1]["name"] == "same-20240101T020000Z-20240101T040000Z"


def test_an_empty_hour_is_reported(run: Run, tables: Path) -> None:
    """A gap in the rows is a window with too few rows, and the others are evaluated."""
    table = make(2)
    table[(table.index < 120) | (table.index >= 240)].to_parquet(tables / "gap.parquet")
    code, found = run("gap.parquet", "--window", "2h", "--min-rows", "50")
    assert code == 0
    assert [one["outcome"] for one in found].count("insufficient_data") == 1
    assert "0 rows in gap-20240101T020000Z" in found[1]["message"]


def test_segments_are_compared_like_with_like(run: Run, tables: Path) -> None:
    """Only the town whose people are older drifts; one that the reference lacks is reported."""
    table = make(2, 1200)
    table.loc[table["town"] == "b", "age"] += 1
    table.loc[table["town"] == "c", "town"] = "d"
    table.to_parquet(tables / "towns.parquet")
    code, found = run("towns.parquet", "--segment", "town", "--columns", "age,open")
    assert code == 1
    outcomes = {one["group"]: one.get("decision") or one["outcome"] for one in found}
    assert outcomes == {
        "town=a": "NO_ACTION",
        "town=b": "RETRAIN",
        "town=rest": "insufficient_data",
    }


def test_versions_are_compared_with_the_whole_reference(run: Run, tables: Path) -> None:
    """Each version of the model has its own result, under its own name."""
    table = pd.concat([make(2).assign(v="one"), make(3, shift=1.0).assign(v="two")])
    table.to_parquet(tables / "versions.parquet")
    code, found = run("versions.parquet", *ROLES, "--version-column", "v")
    assert code == 1
    assert [(one["model_version"], one["decision"]) for one in found] == [
        ("one", "NO_ACTION"),
        ("two", "ALERT"),
    ]
    assert [one["windows"]["reference"]["rows"] for one in found] == [2 * ROWS] * 2


def test_segments_and_versions_exclude_each_other(run: Run) -> None:
    """One column distinguishes results."""
    code, [found] = run("same.csv", "--segment", "town", "--version-column", "town")
    assert (code, found["outcome"]) == (2, "error")
    assert "not both" in found["message"]

"""``run`` on tables, from the command line to what it prints, in one process."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from testbed_drift.cli import main
from testbed_drift.cli.tables import _since
from testbed_drift.evaluation.recordschema import DriftReport

from tests.support.schemas import schema_of

from .table_place import ROLES, ROWS, STUDIED, make
from .table_place import clean_environment as clean_environment  # noqa: PLC0414 - a fixture
from .table_place import run as run  # noqa: PLC0414 - a fixture
from .table_place import tables as tables  # noqa: PLC0414 - a fixture

if TYPE_CHECKING:
    from pathlib import Path

    from .table_place import Run


@pytest.mark.slow
def test_rows_like_the_reference_need_no_action(run: Run) -> None:
    """Exit code 0, and every key that is promised."""
    code, [found] = run("same.csv", *ROLES, *STUDIED)
    assert (code, found["decision"], found["drift_share"]) == (0, "NO_ACTION", 0)
    assert set(found["columns"]) == {"age", "town", "open", "day"}
    assert {name: kind["kind"] for name, kind in found["kinds"].items()} == {
        "age": "number",
        "town": "category",
        "open": "boolean",
        "day": "date",
    }
    assert not found["prediction_drift"]["drifted"]
    assert not found["target_drift"]["drifted"]
    assert found["windows"]["current"]["rows"] == found["windows"]["current"]["labels"] == ROWS
    performance = found["performance"]
    assert performance["realised"]["state"] == "measured"
    assert performance["estimated"]["state"] == "estimated"
    assert performance["realised"]["accuracy"] == pytest.approx(
        performance["estimated"]["accuracy"], abs=0.08
    )
    assert found["quality"]["columns"]["age"]["type_change"] == 0
    assert found["seconds"] > 0


@pytest.mark.slow
def test_a_moved_column_is_found(run: Run) -> None:
    """Exit code 1; prediction and target moved with it, and the model is no worse than expected."""
    code, [found] = run("moved.parquet", *ROLES, *STUDIED)
    assert code == 1
    assert found["decision"] == "ALERT"
    assert {name for name, column in found["columns"].items() if column["drifted"]} == {"age"}
    age = found["columns"]["age"]
    assert age["method"] == "wasserstein"
    assert age["score"] == pytest.approx(1.0, abs=0.2)
    assert age["score"] > age["threshold"]
    assert found["prediction_drift"]["drifted"]
    assert found["target_drift"]["drifted"]
    assert not found["concept_drift"]["drifted"]


def test_what_was_asked_for_is_compared(run: Run) -> None:
    """Only the named columns are, so they are the share."""
    code, [found] = run("moved.parquet", "--columns", "age,town")
    assert (code, found["drift_share"]) == (1, 0.5)
    assert found["performance"]["realised"]["state"] == "empty"
    assert found["target_drift"] is None


def test_a_window_without_labels_says_so(run: Run, tables: Path) -> None:
    """The estimate stands, the realised performance waits; with one class ROC AUC is none."""
    make(2).drop(columns="y").to_parquet(tables / "new.parquet")
    code, [found] = run("new.parquet", *ROLES)
    assert code == 0
    assert found["performance"]["realised"]["state"] == "no_labels"
    assert found["performance"]["estimated"]["accuracy"] > 0.5
    make(2).assign(y=1).to_parquet(tables / "new.parquet")
    _, [found] = run("new.parquet", *ROLES)
    assert found["performance"]["realised"]["state"] == "one_class"
    assert found["performance"]["realised"]["roc_auc"] is None


def test_rows_without_a_prediction_are_not_scored(run: Run, tables: Path) -> None:
    """They count for the drift of the inputs, not for the performance."""
    table = make(2)
    table["p"] = table["p"].astype(float).where(table.index >= 100)
    table.to_parquet(tables / "new.parquet")
    _, [found] = run("new.parquet", *ROLES)
    assert found["performance"]["realised"]["rows"] == ROWS - 100
    assert found["windows"]["current"]["rows"] == ROWS


@pytest.mark.parametrize(("rows", "needed"), [(0, 200), (54, 200)])
def test_too_few_rows_are_reported(run: Run, tables: Path, rows: int, needed: int) -> None:
    """Exit code 2, and how many rows it takes."""
    make(2, rows).to_parquet(tables / "few.parquet")
    code, [found] = run("few.parquet", *ROLES)
    assert (code, found["outcome"], found["rows_needed"]) == (2, "insufficient_data", needed)
    assert f"{rows} rows in few, {needed} needed" in found["message"]
    assert "decision" not in found


def test_an_empty_reference_is_reported(run: Run, tables: Path) -> None:
    """A header alone is no reference."""
    make(1, 0).to_parquet(tables / "a.parquet")
    code, [found] = run("same.csv", *ROLES)
    assert (code, found["outcome"]) == (2, "insufficient_data")
    assert "0 rows in" in found["message"]


def test_a_small_reference_is_reported(run: Run, tables: Path) -> None:
    """Too few rows to compare with are as useless as too few to evaluate."""
    make(1, 150).to_parquet(tables / "a.parquet")
    code, [found] = run("same.csv", *ROLES)
    assert (code, found["rows_needed"]) == (2, 200)
    assert "150 rows in a, 200 needed" in found["message"]
    assert run("same.csv", *ROLES, "--min-rows", "150")[0] != 2


def test_fewer_rows_can_be_allowed(run: Run, tables: Path) -> None:
    """The least number of rows is an option, and may exceed the log's most rows."""
    make(2, 60).to_parquet(tables / "few.parquet")
    assert run("few.parquet", *ROLES, "--min-rows", "50")[0] == 0
    code, [found] = run("same.csv", *ROLES, "--min-rows", "6000")
    assert (code, found["rows_needed"]) == (2, 6000)


def test_other_columns_are_an_error_that_names_them(
    run: Run, tables: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2; on standard output an object, on standard error the same line."""
    make(2).drop(columns=["town", "q"]).to_parquet(tables / "less.parquet")
    code, [found] = run("less.parquet", *ROLES)
    assert (code, found["outcome"]) == (2, "error")
    assert "lacks columns of" in found["message"]
    assert "town, q; it has age" in found["message"]
    make(2).assign(age="old").to_parquet(tables / "text.parquet")
    _, [found] = run("text.parquet", *ROLES)
    assert "text.parquet: columns hold something else: age" in found["message"]
    capsys.readouterr()


@pytest.mark.slow
def test_columns_that_the_reference_lacks_are_reported(
    run: Run, tables: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line and a list name them; not those that have a role, or that the reference has, too."""
    make(2).assign(note="x", extra=1).to_parquet(tables / "more.parquet")
    code, [found] = run("more.parquet", *ROLES)
    assert (code, found["quality"]["unexpected_columns"]) == (0, ["extra", "note"])
    sides = ("--reference", str(tables / "a.parquet"), "--current", str(tables / "more.parquet"))
    assert main(["run", *sides, "--columns", "age,town", "--segment", "open"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert "more.parquet has columns that " in line
    assert line.endswith("a.parquet lacks, left out: note, extra")
    assert run("same.csv", *ROLES)[1][0]["quality"]["unexpected_columns"] == []
    store = ("--store", str(tables / "kept"))
    kept = ["reference", "add", "a", str(tables / "a.parquet"), "--columns", "age,town", *store]
    assert main(kept) == 0
    assert main(["run", "--reference", "a", *sides[2:], *store]) == 0
    assert "lacks, left out: note, extra" in capsys.readouterr().err


def test_seconds_count_from_the_start_of_the_command() -> None:
    """Reading the tables belongs to the first result."""
    clock = _since(5.0)
    assert clock() == 5.0
    assert clock() > 1e9


@pytest.mark.slow
def test_reports_are_written_where_they_are_wanted(run: Run, tables: Path) -> None:
    """HTML, JSON and the record of the run; the JSON report follows its schema."""
    _, [found] = run("moved.parquet", *ROLES, "--report", str(tables / "reports"))
    files = {path.name for path in (tables / "reports").iterdir()}
    assert files == {
        "drift_a_vs_moved.html",
        "drift_a_vs_moved.json",
        "runs.jsonl",
    }
    assert (found["json"], found["html"]) == ("drift_a_vs_moved.json", "drift_a_vs_moved.html")
    report = json.loads((tables / "reports" / found["json"]).read_text())
    schema_of("drift-report.schema.json").validate(report)
    DriftReport.model_validate(report)
    assert report["columns"] == found["columns"]


@pytest.mark.slow
def test_without_json_there_are_a_table_and_one_line(
    tables: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """People see every column and the decision; the last line is for grep."""
    sides = ["--reference", str(tables / "a.parquet"), "--current", str(tables / "moved.parquet")]
    assert main(["run", *sides, *ROLES, "--time-column", "t"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[:3] == ["age", "number", "wasserstein"] for line in lines)
    [words] = [line for line in lines if line.startswith("ALERT: ")]
    limit = "the limit of ALERT (1 column, or 0.30)"
    assert f"1 of 4 columns drifted (drift_share 0.25), from {limit} on" in words
    assert "  1 of 4 columns drifted: age" in lines
    assert lines[-1].startswith("drift_share=0.25 decision=ALERT (>= 1 column) ")
    table = make(3, shift=1.0)
    table.loc[:99, "t"] = None
    table.to_parquet(tables / "moved.parquet")
    assert main(["run", *sides, "--time-column", "t", "--window-rows", "240"]) == 1
    output = capsys.readouterr()
    assert len(output.out.splitlines()) == 2
    assert output.err.splitlines() == [
        "drift: 100 rows without a time are left out",
        "drift: the last 20 rows fill no window",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--reference", "a.parquet"], "nothing to compare is given: say --current FILE"),
        (["--current", "a.parquet"], "nothing to compare is given: say --reference FILE"),
        (["--target", "y"], "--target is of tables: give --reference and --current"),
        (["--probability", "q"], "--probability is of tables"),
        (["--every", "5"], "--every needs"),
        (["--window", "soon"], "'soon' is not a valid duration"),
    ],
)
def test_options_that_don_t_go_together(
    tables: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    message: str,
) -> None:
    """Exit code 2 and one line."""
    monkeypatch.chdir(tables)
    assert main(["run", *options]) == 2
    output = capsys.readouterr()
    assert message in output.err
    assert output.err.count("\n") == 1
    assert not output.out


def test_settings_of_the_watching_job_are_its_own(
    run: Run, tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its segment, thresholds and windows don't reach tables; limits of decisions do."""
    monkeypatch.setenv("TESTBED_DRIFT_SEGMENT", "Age")
    monkeypatch.setenv("TESTBED_DRIFT_CALIBRATION", str(tables / "nowhere.json"))
    monkeypatch.setenv("TESTBED_DRIFT_REFERENCE_WINDOW", "2024-01-01/2024-01-31")
    monkeypatch.setenv("TESTBED_DRIFT_MAX_ROWS", "10")
    monkeypatch.setenv("TESTBED_DRIFT_MIN_ROWS", "5")
    assert run("same.csv")[0] == 0
    assert run("moved.parquet", *ROLES)[1][0]["bound"] == ">= 1 column"
    monkeypatch.setenv("TESTBED_DRIFT_ALERT_SHARE", "0.25")
    assert run("moved.parquet", *ROLES)[1][0]["bound"] == ">= 0.25"


def test_three_classes_have_a_probability_each(run: Run, tables: Path) -> None:
    """Predictions are the most probable classes, and the scores means over the classes."""
    rng = np.random.default_rng(7)
    for name, seed in (("a.parquet", 1), ("three.parquet", 2)):
        table = make(seed, 1000).drop(columns=["y", "p", "q"])
        chances = rng.dirichlet([1, 1, 1], 1000)
        for number, kind in enumerate("klm"):
            table[f"q_{kind}"] = chances[:, number]
        table["y"] = [rng.choice([*"klm"], p=row) for row in chances]
        table.to_parquet(tables / name)
    each = [f"--probability={kind}=q_{kind}" for kind in "klm"]
    code, [found] = run("three.parquet", "--target", "y", *each)
    assert code == 0
    assert set(found["columns"]) == {"age", "town", "open", "day"}
    performance = found["performance"]
    assert performance["realised"]["classes"] == ["k", "l", "m"]
    assert performance["realised"]["accuracy"] == pytest.approx(
        performance["estimated"]["accuracy"], abs=0.05
    )

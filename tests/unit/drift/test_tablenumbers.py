"""Tables whose target is a number: the same rule, error metrics and decision as of the log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics
from testbed_drift.cli import main
from testbed_drift.tables.dataframes import TableError, combined_report, drift_report

from tests.support.schemas import schema_of

from .table_place import RECORD, STUDIED
from .table_place import clean_environment as clean_environment  # noqa: PLC0414 - a fixture

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., tuple[int, list[dict[str, Any]], str]]

ROLES = ("--target", "price", "--prediction", "predicted")
ROWS = 600


def homes(seed: int, rows: int = ROWS, *, shift: float = 0.0, dearer: float = 0.0) -> pd.DataFrame:
    """Homes with a price and what a model said of it; its errors grow with the size.

    Args:
        seed: of all draws.
        rows: number of homes.
        shift: of the sizes, in their standard deviations.
        dearer: by how much all prices rise at the same sizes: concept drift.
    """
    rng = np.random.default_rng(seed)
    size = rng.normal(100 + 30 * shift, 30, rows)
    predicted = 2 * size + rng.normal(0, 1, rows)
    balcony = pd.array(rng.random(rows) < 0.5, dtype="boolean")
    balcony[rng.random(rows) < 0.1] = pd.NA
    return pd.DataFrame(
        {
            "size": size,
            "town": rng.choice(["a", "b", "c"], rows),
            "balcony": balcony,
            "t": pd.date_range("2024-01-01", periods=rows, freq="min"),
            "price": 2 * size + rng.normal(0, 0.1 * np.abs(size)) + dearer,
            "predicted": predicted,
        }
    )


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Compares two tables: exit code, objects checked by the schema, lines on standard error."""

    def play(
        reference: pd.DataFrame, current: pd.DataFrame, *options: str
    ) -> tuple[int, list[dict[str, Any]], str]:
        reference.to_parquet(tmp_path / "a.parquet")
        current.to_csv(tmp_path / "b.csv", index=False)
        sides = (f"--reference={tmp_path / 'a.parquet'}", f"--current={tmp_path / 'b.csv'}")
        code = main(["run", *sides, "--time-column=t", "--relations-rows=0", *options, "--json"])
        printed = capsys.readouterr()
        objects = [json.loads(line) for line in printed.out.splitlines()]
        for one in objects:
            RECORD.validate(one)
        return code, objects, printed.err

    return play


def test_a_target_of_many_numbers_is_a_regression(run: Run) -> None:
    """Its metrics are scikit-learn's, nothing drifted, and a line says what was inferred."""
    now = homes(2)
    code, [found], err = run(homes(1, 2 * ROWS), now, *ROLES, *STUDIED)
    assert (code, found["decision"], found["task"]) == (0, "NO_ACTION", "regression")
    assert "price and predicted: numbers of a regression" in err
    realised = found["performance"]["realised"]
    assert realised["labels"] == ROWS
    assert "accuracy" not in realised
    assert realised["mae"] == pytest.approx(metrics.mean_absolute_error(now.price, now.predicted))
    assert realised["rmse"] == pytest.approx(
        metrics.root_mean_squared_error(now.price, now.predicted)
    )
    assert realised["r2"] == pytest.approx(metrics.r2_score(now.price, now.predicted))
    assert realised["mean_error"] == pytest.approx((now.predicted - now.price).mean())
    assert not found["target_drift"]["drifted"]
    assert found["prediction_drift"]["method"] == "wasserstein"
    assert found["concept_drift"]["state"] == "tested"
    assert not found["concept_drift"]["errors"]["all"]["residual_drift"]
    assert found["contributions"]["basis"] == "surrogate"
    assert found["contributions"]["fidelity"] > 0.9
    assert max(found["contributions"]["columns"], key=lambda name: _reference(found, name)) == (
        "size"
    )


def _reference(found: dict[str, Any], name: str) -> float:
    value: float = found["contributions"]["columns"][name]["reference"]
    return value


def test_errors_that_inputs_explain_are_estimated_without_labels(run: Run) -> None:
    """Larger homes: more error, foreseen by the estimate, so no concept drift."""
    before, now = homes(1, 2 * ROWS), homes(3, shift=1)
    code, [found], _ = run(before, now, *ROLES)
    assert (code, found["decision"]) == (1, "RETRAIN")
    assert found["columns"]["size"]["drifted"]
    assert found["target_drift"]["drifted"]
    assert found["prediction_drift"]["drifted"]
    assert not found["concept_drift"]["drifted"]
    assert "the predicted number drifted" in found["reasons"]
    code, [unlabelled], _ = run(before, now.drop(columns="price"), *ROLES)
    predicted, told_too = (one["performance"]["estimated"] for one in (found, unlabelled))
    assert predicted == told_too
    assert unlabelled["performance"]["realised"]["state"] == "no_labels"
    missed = abs(predicted["mae"] - found["performance"]["realised"]["mae"])
    assert missed < 3 * predicted["standard_error"]


def test_prices_that_rose_are_concept_and_residual_drift(run: Run) -> None:
    """The inputs stay; residuals, target and decision say what happened."""
    code, [found], _ = run(homes(1, 2 * ROWS), homes(4, dearer=15), *ROLES, *STUDIED)
    assert (code, found["decision"]) == (1, "ALERT")
    assert set(found["causes"]) == {"concept", "target"}
    assert found["drift_share"] == 0
    concept = found["concept_drift"]
    assert concept["drifted"]
    assert concept["errors"]["all"]["residual_drift"]
    assert any(reason.startswith("concept drift: the error rose") for reason in found["reasons"])
    assert found["performance"]["realised"]["mean_error"] < -10


@pytest.mark.slow
def test_the_rule_is_that_of_train_and_may_be_overruled(run: Run) -> None:
    """Twenty different numbers are classes, twenty-one are not, and an option says it."""

    def with_numbers(seed: int, count: int) -> pd.DataFrame:
        table = homes(seed)
        table["price"] = np.random.default_rng(seed).permutation(np.arange(len(table)) % count)
        return table.drop(columns="predicted")

    def task(count: int, *options: str) -> str:
        tables = (with_numbers(seed, count) for seed in (1, 2))
        _, [found], _ = run(*tables, "--target", "price", *options)
        return str(found["task"])

    assert task(20) == "classification"
    assert task(21) == "regression"
    assert task(20, "--task", "regression") == "regression"
    assert task(21, "--task", "classification") == "classification"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--target", "price", "--task", "ranking"), "--task is classification or regression"),
        (("--target", "town", "--task", "regression"), "town holds other values than numbers"),
        (("--task", "regression"), "--task is of a target"),
        ((*ROLES, "--task", "classification"), "say --task regression where these are numbers"),
        ((*ROLES, "--task", "regression", "--positive", "1"), "neither probabilities nor a"),
        (("--target", "price", "--prediction", "town"), "town holds other values than numbers"),
    ],
)
def test_what_does_not_go_together_is_one_line(
    run: Run, options: tuple[str, ...], message: str
) -> None:
    """Exit code 2, and the line says what to do."""
    code, [failed], err = run(homes(1), homes(2), *options)
    assert code == 2
    assert message in err.splitlines()[-1]
    assert failed["outcome"] == "error"


def test_no_value_is_dropped_in_silence(run: Run) -> None:
    """Labels that are no numbers are missing, counted, named, and ask for ALERT."""
    now = homes(2)
    now["price"] = now["price"].astype(object)
    now.loc[:2, "price"] = "on request"
    now.loc[3, "predicted"] = np.inf
    code, [found], _ = run(homes(1), now, *ROLES)
    assert (code, found["decision"]) == (1, "ALERT")
    assert found["quality"]["unreadable"] == {
        "price": f"3 of {ROWS} values are of another type",
        "predicted": f"1 of {ROWS} values are of another type",
    }
    assert found["performance"]["realised"]["labels"] == ROWS - 4
    words = homes(2).assign(price="on request")
    code, _, err = run(homes(1), words, *ROLES)
    assert code == 2
    assert "price (number in the reference, category here)" in err


def test_numbers_are_read_as_those_of_features(tmp_path: Path, run: Run) -> None:
    """Decimal commas in a CSV file say the same as floats."""
    _, [plain], _ = run(homes(1), homes(2), *ROLES)
    table = homes(2)
    for name in ("size", "price", "predicted"):
        table[name] = table[name].map(lambda value: f"{value:.12f}".replace(".", ","))
    table.to_csv(tmp_path / "b2.csv", sep=";", index=False)
    found = drift_report(
        homes(1).drop(columns="t"),
        pd.read_csv(tmp_path / "b2.csv", sep=";", decimal=",").drop(columns="t"),
        target="price",
        prediction="predicted",
    )
    mae = plain["performance"]["realised"]["mae"]
    assert found.content["performance"]["realised"]["mae"] == pytest.approx(mae)
    code, [texts], _ = run(homes(1), table, *ROLES)
    assert code == 0
    assert texts["performance"]["realised"]["mae"] == pytest.approx(mae)


@pytest.mark.slow
def test_a_kept_reference_keeps_the_task(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Added and calibrated once; windows and segments are compared with it."""
    homes(1, 2000).drop(columns="t").to_parquet(tmp_path / "a.parquet")
    homes(3, 1500, dearer=15).to_parquet(tmp_path / "b.parquet")
    store = f"--store={tmp_path / 'kept'}"
    assert main(["reference", "add", "homes", str(tmp_path / "a.parquet"), *ROLES, store]) == 0
    assert "price and predicted: numbers of a regression" in capsys.readouterr().out
    few = ("--rows=300", "--draws=200", "--budget=0.05", "--shift=0.5", "--seed=1")
    assert main(["calibrate", "--reference=homes", *few, store]) == 0
    capsys.readouterr()
    sides = ("--reference=homes", f"--current={tmp_path / 'b.parquet'}", store)
    for options in (("--window-rows=500", "--time-column=t"), ("--segment=town",)):
        assert main(["run", *sides, *options, "--json"]) == 1
        objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert len(objects) == 3
        for found in objects:
            RECORD.validate(found)
            assert found["task"] == "regression"
            performance = found["performance"]
            assert performance["realised"]["mae"] > performance["reference"]["mae"]


@pytest.mark.slow
def test_report_and_terminal_say_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page, the JSON report and the lines hold error metrics and the reason."""
    homes(1).to_parquet(tmp_path / "a.parquet")
    homes(4, dearer=15).to_parquet(tmp_path / "b.parquet")
    sides = (f"--reference={tmp_path / 'a.parquet'}", f"--current={tmp_path / 'b.parquet'}")
    folder = tmp_path / "reports"
    assert main(["run", *sides, *ROLES, "--time-column=t", f"--report={folder}"]) == 1
    out = capsys.readouterr().out
    for text in ("mae", "rmse", "r2", "mean_error", "true number", "concept drift: the error rose"):
        assert text in out
    assert "accuracy" not in out
    [report] = folder.glob("*.json")
    content = json.loads(report.read_text())
    schema_of("drift-report.schema.json").validate(content)
    assert f"{content['performance']['realised']['mae']:.3f}" in out
    [page] = folder.glob("*.html")
    assert "concept drift: the error rose" in page.read_text()


@pytest.mark.slow
def test_drift_report_says_what_the_command_says(run: Run) -> None:
    """The same numbers in Python, and the page names the concept drift."""
    before, now = homes(1), homes(4, dearer=15)
    _, [found], _ = run(before, now, *ROLES, *STUDIED)
    report = drift_report(
        before.drop(columns="t"), now.drop(columns="t"), target="price", prediction="predicted"
    )
    assert report.content["task"] == "regression"
    assert report.content["concept_drift"]["drifted"]
    realised = report.content["performance"]["realised"]
    assert realised["mae"] == pytest.approx(found["performance"]["realised"]["mae"])
    assert report.content["drift"]["target"]["drifted"]
    assert json.loads(json.dumps(report.content, allow_nan=False)) == report.content
    assert "concept drift: the error rose" in report.html()
    with pytest.raises(TableError, match="say --task regression"):
        combined_report(before, now, target="price", prediction="predicted")

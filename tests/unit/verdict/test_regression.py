"""Predicted numbers in the verdict: the log, the model's own answers, counts and the drift job."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.stats import wasserstein_distance
from testbed.facts.answers import Answer
from testbed.facts.driftquality import faults
from testbed.facts.driftrules import Rules
from testbed.facts.driftrules import faults as rule_faults
from testbed.facts.expectations import (
    Crew,
    ExpectedDecision,
    expected_distances,
    expected_numbers,
    expected_predictions,
)
from testbed.truth import Request
from testbed_domain.features import Feature, FeatureSchema
from testbed_domain.logrows import Columns
from testbed_domain.training import TrainingOptions, train
from testbed_domain.use_cases import get_use_case
from testbed_drift.evaluation.assessment import Assessor
from testbed_drift.rows.frames import kinds_of

from .playedrun import PlayedRun, played_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testbed_domain.artefact import Artefact
    from testbed_domain.logrows import PredictionRow

PROGRESSION = get_use_case("progression").schema
SCHEMA = FeatureSchema((Feature("x", "number", ""),), "y", (), task="regression")


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    """A small model that predicts numbers; read only."""
    out = tmp_path_factory.mktemp("numbers") / "model"
    return train(get_use_case("progression"), None, 7, out, TrainingOptions(8, 5))


@pytest.fixture
def run(artefact: Artefact, tmp_path: Path) -> PlayedRun:
    """A run of it that passes."""
    return played_run(tmp_path / "run", artefact, requests=200)


def _reported(request: Request) -> Request:
    assert isinstance(request.prediction, float)
    return replace(request, prediction=request.prediction + 0.5)


def test_a_run_of_numbers_passes(run: PlayedRun) -> None:
    """No check of content passes in silence: all apply."""
    results = run.check()
    assert [r.summary for r in results.values() if not r.passed or not r.applicable] == []
    assert "or the number" in results["content predictions"].summary


@pytest.mark.parametrize(
    ("change", "failed", "words"),
    [
        (lambda row: row._replace(prediction="1.5"), {"content predictions"}, "was answered"),
        (lambda row: row._replace(prediction="high"), {"content predictions"}, "was answered"),
        (lambda row: row._replace(probability=0.5), {"content predictions"}, "not a number"),
        (
            lambda row: row._replace(probabilities={"1": 1.0}),
            {"content predictions"},
            "not a number without probabilities",
        ),
    ],
)
def test_rows_of_the_log_that_hold_something_else(
    run: PlayedRun,
    change: Callable[[PredictionRow], PredictionRow],
    failed: set[str],
    words: str,
) -> None:
    """The log's link is named, and what is wrong with the rows."""
    run.change_rows(change, every=7)
    found = run.failed()
    assert set(found) == failed
    assert words in found["content predictions"]


def test_answers_that_the_model_does_not_give(run: PlayedRun) -> None:
    """Half a point beside the model's own number is another answer, in log and reply alike."""
    run.change_requests(_reported, every=9)
    answered = {request.request_id: str(request.prediction) for request in run.requests}
    run.change_rows(lambda row: row._replace(prediction=answered[str(row.request_id)]))
    found = run.failed()
    assert set(found) == {"content answers"}
    assert "another number than its model gives" in found["content answers"]


def test_a_label_that_is_not_the_true_number(run: PlayedRun) -> None:
    """Labels are compared as the API stores them."""
    key, label, time = run.labels[3]
    run.labels[3] = (key, str(float(label) + 1), time)
    assert set(run.failed()) == {"content labels"}


def _answer(number: int, prediction: float) -> Answer:
    request = Request(
        f"r{number}", "p", 1.0, 1.0, 2.0, 200, None, f"p{number}", seq=number,
        prediction=prediction,
    )  # fmt: skip
    return Answer(request, "api-1", "v1", None)


def test_predictions_are_expected_without_a_class_and_in_buckets() -> None:
    """By the numbers in the answers."""
    crew = Crew([_answer(0, 90.0), _answer(1, 150.0), _answer(2, -3.0)], {}, regression=True)
    (counted,) = (
        child
        for key, child in expected_predictions(crew).items()
        if key[1] == "ml_predictions_total"
    )
    children = expected_numbers(crew)
    version = ("model_version", "v1")

    def total(part: str, *labels: tuple[str, str]) -> float:
        events = children["api-1", f"ml_prediction_value_{part}", tuple(sorted((version, *labels)))]
        return events.total

    assert counted.total == 3
    assert total("count") == 3
    assert total("sum") == 237
    assert total("bucket", ("le", "0.0")) == 1
    assert total("bucket", ("le", "100.0")) == 2
    assert total("bucket", ("le", "inf")) == 3


def test_absolute_errors_are_expected_as_labels_come() -> None:
    """By prediction and label; those whose label may not have come are no certain ones."""
    crew = Crew([], {}, regression=True)
    decided = [
        ExpectedDecision("v1", "10.0", "12.5", 1.0, 2.0),
        ExpectedDecision("v1", "4.0", "3.0", 1.0, 2.0),
    ]
    children = expected_distances(decided, crew)
    key = ("", "ml_prediction_absolute_error_sum", (("model_version", "v1"),))
    assert children[key].total == 3.5
    assert any(name.endswith("_bucket") for _, name, _ in children)
    unsure = expected_distances([replace(decided[0], sure=False)], crew)
    assert unsure[key].total == 0
    assert not any(name.endswith("_bucket") for _, name, _ in unsure)


ROWS = Columns(
    {"x": [1.0, 2.0, 3.0]},
    ["1.0", "2.0", "4.0"],
    [0.0] * 3,
    ["1.5", "2.0", "3.0"],
    ["a", "b", "c"],
    [1.0, 2.0, 3.0],
    [{}] * 3,
    [10.0, 11.0, 12.0],
)


def _record(**changes: float) -> dict[str, Any]:
    said = {"mae": 0.5, "rmse": (1.25 / 3) ** 0.5, "r2": 1 - 1.25 / (7 / 6), "mean_error": 0.5 / 3}
    performance = {"labels": 3, **said, **changes, "classes": [], "confusion": []}
    return {
        "started": 100.0,
        "time": 101.0,
        "columns": {"x": {}},
        "performance": {"reference": {}, "realised": performance},
    }


def test_errors_that_the_job_states_are_computed_again() -> None:
    """From the log's rows, each by its definition."""
    assert faults(_record(), ROWS, ROWS, SCHEMA, 2.0) == ()
    for name in ("mae", "rmse", "r2", "mean_error"):
        (line,) = faults(_record(**{name: 9.0}), ROWS, ROWS, SCHEMA, 2.0)
        assert line.startswith(f"realised {name} is ")


def test_residuals_that_the_job_states_are_computed_again() -> None:
    """The distance from the reference's, of the newest rows and of all."""
    moved = replace(ROWS, prediction=["2.0", "2.0", "5.0"])
    labels = np.array(ROWS.label, float)
    before, now = (np.array(rows.prediction, float) - labels for rows in (ROWS, moved))
    distance = float(wasserstein_distance(before, now) / before.std())

    def record(said: float) -> dict[str, Any]:
        scores = {"all_residuals_wasserstein": {"score": said, "threshold": 0.1}}
        plain = _record()
        del plain["performance"]["realised"]
        return plain | {"concept_drift": {"errors": {"all": {"scores": scores}}}}

    assert faults(record(distance), moved, ROWS, SCHEMA, 2.0) == ()
    (line,) = faults(record(0.0), moved, ROWS, SCHEMA, 2.0)
    assert line.startswith(f"all_residuals_wasserstein is {distance:.4g} by the log's rows")


def _drawn(rows: int, seed: int, shift: float = 0.0, *, logged: bool = True) -> Columns:
    """Rows of the use case, of which one in seven has no label yet where they are logged."""
    rng = np.random.default_rng(seed)
    features = {name: rng.normal(50, 5, rows).tolist() for name in PROGRESSION.names}
    true = rng.normal(150, 40, rows)
    reported = true + rng.normal(shift, 30, rows)
    times = [1000 + place / 1000 for place in range(rows)] if logged else []
    labels = [None if logged and not place % 7 else str(one) for place, one in enumerate(true)]
    came = [None if not place % 7 else time + 2 for place, time in enumerate(times)]
    ids = [str(place) for place in range(rows)]
    return Columns(
        features,
        [str(one) for one in reported],
        [0.0] * rows,
        labels,
        ids,
        times,
        [{}] * rows,
        came,
    )


def test_a_sound_job_on_numbers_agrees() -> None:
    """The job's own code on more rows than the newest, with labels that have not come."""
    reference, current = _drawn(300, 1, logged=False), _drawn(1500, 2, shift=20.0)
    record = Assessor(PROGRESSION, kinds_of(PROGRESSION)).assess(reference, current).to_dict()
    record |= {"columns": {name: {} for name in PROGRESSION.names}}
    record |= {"started": 1010.0, "time": 1011.0}
    assert faults(record, current, reference, PROGRESSION, 2.0) == ()
    errors = record["concept_drift"]["errors"]
    assert errors["newest"]["residual_drift"]
    for part, said in errors.items():
        said["scores"][f"{part}_residuals_wasserstein"]["score"] = 0.0
    assert len(faults(record, current, reference, PROGRESSION, 2.0)) == 2


def test_a_prediction_that_is_no_number_is_a_fault_and_no_crash() -> None:
    """The damaged row leaves nothing to compare with."""
    broken = replace(ROWS, prediction=["1.0", "two", "4.0"])
    lines = faults(_record(), broken, ROWS, SCHEMA, 2.0)
    assert any(line.startswith("realised mae is nan") for line in lines)


def test_limits_of_errors_of_numbers_are_their_own() -> None:
    """Least rise and least distance of residuals, written down once more."""

    def record(rise: float, distance: float) -> dict[str, Any]:
        scores = {
            "all_error_rise": {"score": 0.0, "threshold": rise},
            "all_residuals_wasserstein": {"score": 0.0, "threshold": distance},
        }
        return {
            "outcome": "success",
            "columns": {},
            "drift_share": 0.0,
            "decision": "NO_ACTION",
            "prediction_drift": {"drifted": False, "scores": []},
            "concept_drift": {"errors": {"all": {"residual_drift": False, "scores": scores}}},
        }

    assert list(rule_faults([record(0.05, 0.1)], Rules())) == []
    assert len(list(rule_faults([record(0.02, 0.2)], Rules()))) == 2

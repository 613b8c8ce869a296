"""A regression's errors, residuals and estimate, on rows whose truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics
from testbed_domain.features import Feature, FeatureSchema
from testbed_domain.logrows import Columns
from testbed_drift.evaluation.assessment import Assessment, Assessor
from testbed_drift.evaluation.decision import Action, Cause, Policy, decide
from testbed_drift.evaluation.detection import Detector
from testbed_drift.relations.contributions import _mean_distance
from testbed_drift.relations.labelrelation import evaluate_relation
from testbed_drift.rows.columns import PREDICTION, TARGET, ColumnKind
from testbed_drift.rows.frames import declare, outcome_of
from testbed_drift.scoring.calibration import CalibrationPlan, calibrate
from testbed_drift.scoring.scores import DriftRule

SCHEMA = FeatureSchema(
    (Feature("x", "number", ""), Feature("kind", "category", "", categories=("a", "b"))),
    "y",
    (),
    task="regression",
)
KINDS: dict[str, ColumnKind] = {"x": "numeric", "kind": "category"}
LABELS = 300


def window(
    seed: int, rows: int, shift: float = 0.0, bias: float = 0.0, labels: int | None = None
) -> Columns:
    """The model says 10 x; errors grow with x, so a window of larger x has larger ones."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 1, rows) ** (1 / (1 + shift))
    y = 10 * x + rng.normal(0, 0.2 + 2 * x) + bias
    known = rows if labels is None else labels
    return Columns(
        {"x": x.tolist(), "kind": ["ab"[n % 2] for n in range(rows)]},
        [repr(value) for value in (10 * x).tolist()],
        [0.0] * rows,
        [repr(value) for value in y[:known].tolist()] + [None] * (rows - known),
        [f"p-{n}" for n in range(rows)],
        [float(n) for n in range(rows)],
        [{}] * rows,
        [n + 60.0 if n < known else None for n in range(rows)],
    )


def assessed(reference: Columns, current: Columns, segment: str | None = None) -> Assessment:
    """What the job says of the two."""
    return Assessor(SCHEMA, KINDS, segment).assess(reference, current)


def frame(columns: Columns) -> pd.DataFrame:
    """Rows as the job compares them."""
    raw = {**columns.features, PREDICTION: columns.prediction, TARGET: columns.label}
    return declare(pd.DataFrame(raw), KINDS, outcome_of(SCHEMA))


def test_scores_are_scikit_learns() -> None:
    """Of the labelled rows only; the window says how many those are."""
    current = window(2, 500, labels=LABELS)
    found = assessed(window(1, 1000), current)
    true = np.array([value for value in current.label if value is not None], float)
    predicted = np.array(current.prediction[:LABELS], float)
    assert (found.current.rows, found.current.labels) == (500, LABELS)
    assert found.current.scores == pytest.approx(
        {
            "mae": metrics.mean_absolute_error(true, predicted),
            "rmse": metrics.root_mean_squared_error(true, predicted),
            "r2": metrics.r2_score(true, predicted),
            "mean_error": (predicted - true).mean(),
        }
    )
    record = found.to_dict()["performance"]
    assert "accuracy" not in record["realised"]
    assert record["labels"]["coverage"] == pytest.approx(LABELS / 500)
    assert record["labels"]["delay_seconds"] == {"0.5": 60.0, "0.95": 60.0}


@pytest.mark.parametrize("shift", [0.0, 1.0, 3.0])
@pytest.mark.slow
def test_the_estimate_needs_no_labels_and_states_its_error(shift: float) -> None:
    """Windows of fresh rows, drifted and not, are within twice the stated error 19 times in 20."""
    reference = window(1, 2000)
    misses = []
    for seed in range(100, 150):
        current = window(seed, 400, shift=shift)
        unlabelled = window(seed, 400, shift=shift, labels=0)
        found = assessed(reference, unlabelled).estimate
        assert found.state == "estimated"
        assert found.scores
        assert found.standard_error
        predicted, true = (
            np.array(values, float) for values in (current.prediction, current.label)
        )
        misses.append(
            (found.scores["mae"] - np.abs(predicted - true).mean()) / found.standard_error
        )
    assert np.mean(np.abs(misses) <= 2) >= 0.9
    assert abs(np.mean(misses)) < 1
    # And the error is no larger than it must be: most estimates are not far inside of it.
    assert np.std(misses) > 0.4


def test_an_estimate_sees_a_harder_population_and_no_concept_drift() -> None:
    """The inputs explain the first rise of the error, nothing explains the second."""
    reference = window(1, 2000)
    harder = assessed(reference, window(2, 1000, shift=3.0))
    usual = harder.reference.scores["mae"]
    assert harder.estimate.scores
    assert harder.estimate.scores["mae"] > 1.2 * usual
    assert harder.concept.state == "tested"
    assert not harder.concept.drifted
    assert harder.concept.reason is not None
    assert harder.concept.reason.endswith("as the inputs explain")
    other = assessed(reference, window(3, 1000, bias=3.0))
    assert other.estimate.scores
    assert other.estimate.scores["mae"] < 1.1 * usual
    assert other.concept.drifted
    assert other.current.scores["mean_error"] == pytest.approx(-3.0, abs=0.3)
    scores = [score for rise in other.concept.rises for score in rise.scores]
    limits = {score.threshold for score in scores if score.method.endswith("_rise")}
    assert limits == {0.05}  # of the usual error: it has no unit that two models share


def test_residual_drift_is_named_where_the_error_hardly_rose() -> None:
    """A bias moves every residual, and the mean absolute error by less than matters."""
    reference = window(1, 2000)
    found = assessed(reference, window(3, 1000, bias=0.3)).concept
    assert not found.drifted
    assert found.reason is not None
    assert found.reason.startswith("residuals drifted, while the error went from")
    assert all(rise["residual_drift"] for rise in found.to_dict()["errors"].values())
    assert assessed(reference, window(4, 1000)).concept.reason is None


def test_copies_are_no_further_witnesses() -> None:
    """A window of ten rows again and again states the error of ten rows."""
    once, again = window(5, 10), window(5, 10)
    many = Columns(
        {name: list(values) * 40 for name, values in again.features.items()},
        list(again.prediction) * 40,
        [0.0] * 400,
        [None] * 400,
        [str(n) for n in range(400)],
        [float(n) for n in range(400)],
    )
    reference = window(1, 2000)
    errors = [assessed(reference, columns).estimate.standard_error for columns in (once, many)]
    assert errors[0] == pytest.approx(errors[1])


def test_too_few_labels_are_said_to_be_too_few() -> None:
    """Each state has its name, and nothing is made up."""
    few = assessed(window(1, 99), window(2, 300))
    assert (few.estimate.state, few.concept.state) == ("no_reference", "no_reference")
    none = assessed(window(1, 500), window(2, 300, labels=0))
    assert (none.current.state, none.concept.state) == ("no_labels", "few_labels")
    assert none.current.scores == {}


def test_segments_have_scores_and_estimates() -> None:
    """Of each category its own rows."""
    found = assessed(window(1, 1000), window(2, 400), "kind")
    assert {name: part.rows for name, part in found.segments.items()} == {
        "kind=a": 200,
        "kind=b": 200,
    }
    assert all(part.scores and part.scores["mae"] > 0 for part in found.estimates.values())


def test_predictions_and_labels_are_compared_as_numbers() -> None:
    """By the numeric test; both ask for ALERT, and the reason says number."""
    reference, still, moved = (frame(window(*args)) for args in ((1, 1000), (2, 800), (3, 800, 3)))
    detector = Detector({"kind": "category"})
    calm, found = detector.detect(reference, still), detector.detect(reference, moved)
    assert not calm.scores.prediction.drifted
    assert found.scores.prediction.drifted
    assert found.scores.target is not None
    assert found.scores.target.drifted
    decision = decide(found.scores, Policy())
    assert decision.action is Action.ALERT
    assert {Cause.PREDICTION, Cause.TARGET} == set(decision.causes)
    assert "the predicted number drifted" in decision.reasons


def test_a_calibration_holds_numbers_to_the_numeric_effect() -> None:
    """Prediction and target are calibrated as columns of numbers are."""
    found = calibrate(
        frame(window(1, 500)),
        KINDS,
        DriftRule(),
        CalibrationPlan(200, 0.01, draws=300, power_draws=20),
        "v1",
    )
    assert found.effects[PREDICTION] == found.effects[TARGET] == DriftRule().numeric_effect
    assert found.effects["kind"] == DriftRule().category_effect
    assert 0 < found.alphas[PREDICTION] < 0.1


def test_the_test_of_classes_at_the_same_inputs_is_named_as_not_applicable() -> None:
    """It knows classes only; errors and residuals stand in its place."""
    reference = frame(window(1, 500))
    assert evaluate_relation(reference, reference, KINDS).state == "not_applicable"


def test_what_shuffling_everything_would_change() -> None:
    """The mean distance of two rows, by the definition; of classes the most that there can be."""
    predicted = np.array([[1.0], [4.0], [6.0], [-2.0]])
    assert _mean_distance(predicted) == pytest.approx(np.abs(predicted - predicted.T).mean())
    assert _mean_distance(np.array([[0.5, 0.5], [0.1, 0.9]])) == 2.0

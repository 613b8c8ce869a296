"""How far estimated performance is from the realised one and from NannyML's; concept drift.

Run it with ``pytest tests/bench/test_estimation.py --benchmark-enable -s``. NannyML
is installed into an environment of its own, since its pins don't fit ours (``peers``).
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
from testbed_drift.quality.concept import evaluate
from testbed_drift.quality.estimation import Estimator
from testbed_drift.quality.outcomes import UNKNOWN, Outcomes
from testbed_drift.quality.performance import measure
from testbed_drift.rows.segments import Segmentation
from testbed_load import drifts
from testbed_load.statistics import reference_statistics

from .peers.environments import EnvironmentMissingError, environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testbed_domain.artefact import Artefact
    from testbed_domain.features import Row
    from testbed_domain.use_cases import Generator

WINDOWS: Final = 200
ROWS: Final = 1_000
CONCEPT_WINDOWS: Final = 40
# Segments are quartiles; a window of so many rows leaves the error of the calibration.
SEGMENTED: Final = ("Age", "BMI", "Glucose")
REFERENCES: Final = (1_000, 5_000)
LARGE: Final = 20_000
DRAWS: Final = 8
# The bar: mean error of the estimated accuracy, in points.
MAX_ERROR: Final = 0.01
SHIFTS: Final = (
    ("covariate_shift", 0.0),
    ("covariate_shift", 0.25),
    ("covariate_shift", 0.5),
    ("covariate_shift", 1.0),
    ("single_column", 1.0),
)
# Both calibrate by isotonic regression; the area under the curve adds up in another order.
MAX_DIFFERENCE: Final = 1e-6

NANNYML: Final = """
import json
import nannyml

reference, analysis, _ = nannyml.load_synthetic_car_loan_dataset()
scores = ["accuracy", "precision", "recall", "f1", "roc_auc"]
estimator = nannyml.CBPE(
    y_pred_proba="y_pred_proba", y_pred="y_pred", y_true="repaid", metrics=scores,
    chunk_size=5000, problem_type="classification_binary",
).fit(reference)
found = estimator.estimate(analysis).filter(period="analysis").to_df()
print(json.dumps({
    "reference": {name: reference[name].astype(float).tolist()
                  for name in ("y_pred_proba", "y_pred", "repaid")},
    "analysis": {name: analysis[name].astype(float).tolist()
                 for name in ("y_pred_proba", "y_pred")},
    "estimates": {name: found[(name, "value")].tolist() for name in scores},
}))
"""


@dataclass(frozen=True)
class Model:
    """A forest, its generator, and rows that it predicts."""

    artefact: Artefact
    generator: Generator
    probabilities: Callable[[list[Row]], np.ndarray]

    def outcomes(self, rows: list[Row], truth: np.ndarray) -> Outcomes:
        """What the forest says of the rows, beside the truth (1 is the positive class)."""
        chances = np.clip(self.probabilities(rows), 0, 1)
        chances /= chances.sum(axis=1, keepdims=True)
        missing = np.full(len(rows), np.nan)
        return Outcomes(("0", "1"), 1, chances.argmax(axis=1), truth, chances, missing)


@pytest.fixture
def model(benchmark: Any, tmp_path: Path) -> Model:  # noqa: ANN401 - half of its interface has no types
    """The diabetes forest of the generator, with 5,000 reference rows."""
    if benchmark.disabled:
        pytest.skip("benchmarks are off; turn them on with --benchmark-enable")
    from testbed_domain.encoding import encode  # noqa: PLC0415 - slow to import
    from testbed_domain.onnxsession import OnnxSession  # noqa: PLC0415 - the same
    from testbed_domain.training import train  # noqa: PLC0415 - the same
    from testbed_domain.use_cases import get_use_case  # noqa: PLC0415 - the same

    use_case = get_use_case("diabetes")
    artefact = train(use_case, None, 1, tmp_path / "model")
    session = OnnxSession(artefact.model_file)

    def probabilities(rows: list[Row]) -> np.ndarray:
        return session.outputs(encode(artefact.schema, rows)).astype(float)

    assert use_case.generator is not None
    return Model(artefact, use_case.generator, probabilities)


def test_estimate_under_covariate_shift(benchmark: Any, model: Model) -> None:  # noqa: ANN401 - half of its interface has no types
    """Mean error within a point of realised accuracy; labels are drawn anew for moved rows.

    So the relation of inputs and label stays the generator's. (The load's drifts keep the label of
    the row as it was: to the model that is concept drift as well.)
    """
    schema = model.artefact.schema
    reference = list(model.artefact.reference())
    rows: list[Row] = [dict(row.features) for row in reference]
    truth = np.array([int(row.label) for row in reference])
    statistics = reference_statistics(schema, rows)
    rng = np.random.default_rng(11)
    estimator = Estimator.learn(model.outcomes(rows, truth))
    report: dict[str, dict[str, float]] = {}

    def play() -> None:
        for name, severity in SHIFTS:
            errors, realised, perfect = [], [], []
            for _ in range(WINDOWS):
                drawn, labels = model.generator.sample(rng, ROWS)
                moved, _ = drifts.apply(
                    name,
                    drawn,
                    labels,
                    severity=severity,
                    schema=schema,
                    statistics=statistics,
                    rng=rng,
                )
                chance = model.generator.probability(moved)
                window = model.outcomes(moved, (rng.random(ROWS) < chance).astype(int))
                found = measure(window).scores["accuracy"]
                guess = estimator.estimate(window).scores or {}
                right = np.where(window.predicted == 1, chance, 1 - chance)
                errors.append(guess["accuracy"] - found)
                perfect.append(right.mean() - found)
                realised.append(found)
            report[f"{name} {severity:g}"] = {
                "realised_accuracy": float(np.mean(realised)),
                "mean_error": float(np.mean(errors)),
                "mean_absolute_error": float(np.mean(np.abs(errors))),
                "mean_absolute_error_of_a_perfect_estimator": float(np.mean(np.abs(perfect))),
                "windows_off_by_2_points": float(np.mean(np.abs(errors) > 0.02)),
            }

    benchmark.pedantic(play, rounds=1, iterations=1)
    benchmark.extra_info["shifts"] = report
    print(json.dumps(report, indent=1))  # noqa: T201 - what the run is for
    for name, found in report.items():
        assert abs(found["mean_error"]) <= MAX_ERROR, name


def test_estimate_of_segments(benchmark: Any, model: Model) -> None:  # noqa: ANN401 - half of its interface has no types
    """By the calibration of all reference rows, and by one of the segment's own, beside it."""
    rng = np.random.default_rng(13)
    report: dict[str, dict[str, float]] = {}

    def play() -> None:
        for column, size in itertools.product(SEGMENTED, REFERENCES):
            errors: dict[str, list[float]] = {"of_all_rows": [], "of_its_own": []}
            for _ in range(DRAWS):
                before, labels = model.generator.sample(rng, size)
                drawn, _ = model.generator.sample(rng, LARGE)
                known = model.outcomes(list(before), np.array(labels, dtype=int))
                chance = model.generator.probability(drawn)
                window = model.outcomes(list(drawn), np.full(LARGE, UNKNOWN))
                right = np.where(window.predicted == 1, chance, 1 - chance)
                learnt = Segmentation.learn(column, "numeric", [row[column] for row in before])
                old = learnt.groups([row[column] for row in before])
                everywhere = Estimator.learn(known)
                for name, chosen in learnt.groups([row[column] for row in drawn]).items():
                    alone = Estimator.learn(known.where(old[name]))
                    for kind, estimator in (("of_all_rows", everywhere), ("of_its_own", alone)):
                        guess = estimator.estimate(window.where(chosen)).scores or {}
                        errors[kind].append(guess["accuracy"] - right[chosen].mean())
            report[f"{column}, {size} reference rows"] = {
                kind: float(np.sqrt(np.mean(np.square(found)))) for kind, found in errors.items()
            }

    benchmark.pedantic(play, rounds=1, iterations=1)
    benchmark.extra_info["root_mean_square_errors"] = report
    print(json.dumps(report, indent=1))  # noqa: T201 - what the run is for
    for name, found in report.items():
        assert found["of_all_rows"] <= 2 * MAX_ERROR, name


def test_concept_drift_is_not_covariate_shift(benchmark: Any, model: Model) -> None:  # noqa: ANN401 - half of its interface has no types
    """Moved rows are concept drift with the labels that they had, not with those of the formula.

    There the estimate is wrong, by points that the test counts, because nothing that it looks at
    has changed with the labels: this is where it can't work.
    """
    schema = model.artefact.schema
    reference = list(model.artefact.reference())
    rows: list[Row] = [dict(row.features) for row in reference]
    before = model.outcomes(rows, np.array([int(row.label) for row in reference]))
    statistics = reference_statistics(schema, rows)
    estimator = Estimator.learn(before)
    rng = np.random.default_rng(12)
    report: dict[str, dict[str, float]] = {}

    def play() -> None:
        for severity in (0.0, 0.5, 1.0):
            found = {"risen": 0.0, "drifted": 0.0, "drifted_with_old_labels": 0.0}
            wrong = []
            for _ in range(CONCEPT_WINDOWS):
                drawn, labels = model.generator.sample(rng, ROWS)
                moved, old = drifts.apply(
                    "covariate_shift",
                    drawn,
                    labels,
                    severity=severity,
                    schema=schema,
                    statistics=statistics,
                    rng=rng,
                )
                new = (rng.random(ROWS) < model.generator.probability(moved)).astype(int)
                fair = evaluate(before, model.outcomes(moved, new), estimator)
                stale = model.outcomes(moved, np.array(old, dtype=int))
                turned = evaluate(before, stale, estimator)
                guess = estimator.estimate(stale).scores or {}
                wrong.append(guess["accuracy"] - measure(stale).scores["accuracy"])
                found["risen"] += any(rise.risen for rise in fair.rises)
                found["drifted"] += fair.drifted
                found["drifted_with_old_labels"] += turned.drifted
            found["mean_error_with_old_labels"] = float(np.mean(wrong))
            report[f"{severity:g}"] = found

    benchmark.pedantic(play, rounds=1, iterations=1)
    benchmark.extra_info["severities"] = report
    print(json.dumps(report, indent=1))  # noqa: T201 - what the run is for
    assert sum(found["drifted"] for found in report.values()) == 0
    assert report["0"]["drifted_with_old_labels"] == 0
    assert report["1"]["drifted_with_old_labels"] == CONCEPT_WINDOWS
    assert report["1"]["mean_error_with_old_labels"] > 5 * MAX_ERROR


def test_estimates_agree_with_nannyml(benchmark: Any) -> None:  # noqa: ANN401 - half of its interface has no types
    """On NannyML's car-loan data, chunk by chunk, every score is NannyML's."""
    if benchmark.disabled:
        pytest.skip("benchmarks are off; turn them on with --benchmark-enable")
    try:
        python = environment("nannyml") / "python"
    except EnvironmentMissingError as error:
        pytest.skip(str(error))
    settings = {**os.environ, "NML_DISABLE_USAGE_LOGGING": "1"}
    answer = subprocess.run(
        [python, "-c", NANNYML], env=settings, capture_output=True, text=True, check=True
    )
    given = json.loads(answer.stdout.splitlines()[-1])
    reference, analysis = given["reference"], given["analysis"]
    estimator = Estimator.learn(_loans(reference))
    window = _loans(analysis)
    chunks = np.arange(len(window)) // 5_000

    def play() -> list[dict[str, float]]:
        found = (estimator.estimate(window.where(chunks == chunk)) for chunk in range(10))
        return [dict(one.scores or {}) for one in found]

    ours = benchmark.pedantic(play, rounds=1, iterations=1)
    gaps = {
        name: max(abs(one[name] - their) for one, their in zip(ours, values, strict=True))
        for name, values in given["estimates"].items()
    }
    benchmark.extra_info["largest_difference"] = gaps
    print(json.dumps(gaps, indent=1))  # noqa: T201 - what the run is for
    assert max(gaps.values()) <= MAX_DIFFERENCE, gaps


def _loans(table: dict[str, list[float]]) -> Outcomes:
    reported = np.array(table["y_pred_proba"])
    predicted = np.array(table["y_pred"], dtype=int)
    truth = np.array(table.get("repaid", np.full(len(reported), UNKNOWN)), dtype=int)
    chances = np.column_stack([1 - reported, reported])
    return Outcomes(("0", "1"), 1, predicted, truth, chances, np.full(len(reported), np.nan))

"""Performance on labelled rows: scikit-learn's values, and stated results where there are none."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics
from testbed_domain.logstore import Columns
from testbed_drift.quality.outcomes import STRANGE, Outcomes
from testbed_drift.quality.performance import SCORES, label_flow, measure
from testbed_drift.rows.segments import MAX, Segmentation


def _columns(classes: int, rows: int, *, seed: int = 1, labelled: float = 1.0) -> Columns:
    """Rows of a model that is right more often than not, and says how sure it is."""
    rng = np.random.default_rng(seed)
    chances = rng.dirichlet(np.full(classes, 0.6), rows)
    predicted = chances.argmax(axis=1)
    true = np.array([rng.choice(classes, p=row) for row in chances])
    came = rng.random(rows) < labelled
    return Columns(
        features={"size": rng.normal(size=rows).tolist()},
        prediction=[str(value) for value in predicted],
        probability=chances.max(axis=1).tolist(),
        label=[str(value) if known else None for value, known in zip(true, came, strict=True)],
        id=[str(number) for number in range(rows)],
        time=[float(number) for number in range(rows)],
        probabilities=[{str(k): float(p) for k, p in enumerate(row)} for row in chances],
        label_time=[number + 10.0 if known else None for number, known in enumerate(came)],
    )


def _arrays(columns: Columns) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, predictions and probabilities of the labelled rows, as scikit-learn takes them."""
    known = [number for number, label in enumerate(columns.label) if label is not None]
    true = np.array([int(columns.label[number] or 0) for number in known])
    predicted = np.array([int(columns.prediction[number]) for number in known])
    chances = np.array([list(columns.probabilities[number].values()) for number in known])
    return true, predicted, chances


@pytest.mark.parametrize("seed", range(5))
def test_binary_scores_are_those_of_scikit_learn(seed: int) -> None:
    """Every score and the confusion matrix of two classes, on the rows with a label only."""
    columns = _columns(2, 700, seed=seed, labelled=0.7)
    found = measure(Outcomes.of(columns, (0, 1), 1))
    true, predicted, chances = _arrays(columns)
    expected = {
        "accuracy": metrics.accuracy_score(true, predicted),
        "precision": metrics.precision_score(true, predicted),
        "recall": metrics.recall_score(true, predicted),
        "f1": metrics.f1_score(true, predicted),
        "roc_auc": metrics.roc_auc_score(true, chances[:, 1]),
        "log_loss": metrics.log_loss(true, chances),
        "brier": metrics.brier_score_loss(true, chances[:, 1]),
    }
    assert (found.state, found.rows, found.labels) == ("measured", 700, len(true))
    assert {name: found.scores[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert found.confusion.tolist() == metrics.confusion_matrix(true, predicted).tolist()


def test_scores_of_several_classes_are_those_of_scikit_learn() -> None:
    """Means over the classes, as scikit-learn's macro averages; ROC AUC is one against the rest."""
    columns = _columns(4, 900)
    found = measure(Outcomes.of(columns, (0, 1, 2, 3)))
    true, predicted, chances = _arrays(columns)
    expected = {
        "accuracy": metrics.accuracy_score(true, predicted),
        "precision": metrics.precision_score(true, predicted, average="macro"),
        "recall": metrics.recall_score(true, predicted, average="macro"),
        "f1": metrics.f1_score(true, predicted, average="macro"),
        "roc_auc": metrics.roc_auc_score(true, chances, multi_class="ovr"),
        "log_loss": metrics.log_loss(true, chances),
        "brier": metrics.brier_score_loss(true, chances),
    }
    assert {name: found.scores[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert found.confusion.tolist() == metrics.confusion_matrix(true, predicted).tolist()


def test_tied_probabilities_count_half() -> None:
    """ROC AUC with many equal probabilities is still scikit-learn's."""
    columns = _columns(2, 400)
    rounded = [{"0": round(row["0"], 1), "1": round(row["1"], 1)} for row in columns.probabilities]
    found = measure(Outcomes.of(replace(columns, probabilities=rounded), (0, 1), 1))
    true, _, _ = _arrays(columns)
    expected = metrics.roc_auc_score(true, [row["1"] for row in rounded])
    assert found.scores["roc_auc"] == pytest.approx(expected, abs=1e-12)


def test_calibration_error_is_the_gap_between_sureness_and_truth() -> None:
    """A model that is 90 % sure and right in 60 % of the rows is 0.3 off; a fair one is near 0."""
    count = 1000
    sure = Columns(
        features={},
        prediction=["1"] * count,
        probability=[0.9] * count,
        label=["1" if number % 10 < 6 else "0" for number in range(count)],
        id=[],
        time=[],
        probabilities=[{"0": 0.1, "1": 0.9}] * count,
    )
    assert measure(Outcomes.of(sure, (0, 1), 1)).scores["ece"] == pytest.approx(0.3)
    fair = measure(Outcomes.of(_columns(2, 20_000), (0, 1), 1))
    assert fair.scores["ece"] < 0.02


def test_window_without_labels_says_so() -> None:
    """No label: no score, an empty matrix, and the state reports why."""
    found = measure(Outcomes.of(_columns(2, 50, labelled=0.0), (0, 1), 1))
    assert (found.state, found.rows, found.labels) == ("no_labels", 50, 0)
    assert found.scores == {}
    assert found.confusion.sum() == 0
    assert all(found.to_dict()[name] is None for name in SCORES)


def test_empty_window_says_so() -> None:
    """No row at all is a result, too, and so is its flow of labels."""
    empty = Outcomes.of(Columns({}, [], [], [], [], []), ("a", "b"), "a")
    assert measure(empty).state == "empty"
    flow = label_flow(empty)
    assert (flow.coverage, flow.delay) == (None, {})


def test_one_class_leaves_out_what_is_not_defined() -> None:
    """With one class among the labels there is an accuracy but no ROC AUC."""
    columns = _columns(2, 60)
    found = measure(Outcomes.of(replace(columns, label=["0"] * 60), (0, 1), 1))
    assert found.state == "one_class"
    assert "roc_auc" not in found.scores
    assert "recall" not in found.scores
    assert found.scores["accuracy"] == columns.prediction.count("0") / 60
    assert found.to_dict()["roc_auc"] is None


def test_label_that_the_model_does_not_know_counts_as_wrong() -> None:
    """A class outside the model's is one more row and column of the matrix, and never right."""
    columns = _columns(2, 10)
    strange = replace(columns, label=["2", "cat", *columns.prediction[2:]])
    found = measure(Outcomes.of(strange, (0, 1), 1))
    assert found.classes == ("0", "1", STRANGE)
    assert found.confusion[2].sum() == 2
    assert found.scores["accuracy"] == 0.8
    assert math.isfinite(found.scores["log_loss"])


def test_rows_without_probabilities_keep_their_other_scores() -> None:
    """A log that holds no probabilities still has an accuracy."""
    columns = replace(_columns(2, 100), probabilities=[])
    found = measure(Outcomes.of(columns, (0, 1), 1))
    assert set(found.scores) == {"accuracy", "precision", "recall", "f1"}
    half = replace(columns, probabilities=[{}] * 50 + [{"0": 0.4, "1": 0.6}] * 50)
    assert set(measure(Outcomes.of(half, (0, 1), 1)).scores) >= {"accuracy", "log_loss"}


def test_flow_of_labels() -> None:
    """Coverage counts rows; delays are those of the labels that came, never negative."""
    columns = _columns(2, 4)
    labels: list[str | None] = ["1", None, "0", "0"]
    came: list[float | None] = [5.0, None, 22.0, -97.0]
    flow = label_flow(Outcomes.of(replace(columns, label=labels, label_time=came), (0, 1), 1))
    assert flow.coverage == 0.75
    assert flow.delay == pytest.approx({0.5: 5.0, 0.95: 18.5})
    early = replace(columns, label=["1"] * 4, label_time=[-9.0] * 4)
    assert set(label_flow(Outcomes.of(early, (0, 1), 1)).delay.values()) == {0.0}
    assert flow.to_dict() == {"coverage": 0.75, "delay_seconds": {"0.5": 5.0, "0.95": 18.5}}


def test_segments_of_a_category_are_bounded() -> None:
    """The most frequent values of the reference have a segment, all others share one."""
    reference = [f"v{number:02}" for number in range(30) for _ in range(30 - number)]
    learnt = Segmentation.learn("shop", "category", reference)
    groups = learnt.groups(["v00", "v29", "new", None, "v00"])
    assert len(learnt.values) == MAX
    assert {name: rows.tolist() for name, rows in groups.items()} == {
        "shop=v00": [True, False, False, False, True],
        "shop=rest": [False, True, True, False, False],
        "shop=missing": [False, False, False, True, False],
    }


def test_segments_of_numbers_are_quarters_of_the_reference() -> None:
    """Numbers fall into the reference's quarters, wherever the current window lies."""
    learnt = Segmentation.learn("age", "numeric", [*range(1, 102), None])
    groups = learnt.groups([26, 27, 51.5, 1000, None, "odd"])
    assert {name: rows.tolist().index(True) for name, rows in groups.items()} == {
        "age<=26": 0,
        "26<age<=51": 1,
        "51<age<=76": 2,
        "age>76": 3,
        "age=missing": 4,
    }
    constant = Segmentation.learn("age", "numeric", [7, 7, 7])
    assert set(constant.groups([6, 7, 8])) == {"age<=7", "age>7"}
    unknown = Segmentation.learn("age", "numeric", [None])
    assert set(unknown.groups([1.0, None])) == {"age=rest", "age=missing"}

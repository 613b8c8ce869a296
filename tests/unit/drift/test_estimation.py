"""Estimated performance: right under covariate shift, blind to concept drift, never a traceback."""

from __future__ import annotations

import numpy as np
import pytest
from testbed_drift.quality.estimation import MIN_REFERENCE, Estimator
from testbed_drift.quality.outcomes import Outcomes
from testbed_drift.quality.performance import measure


def _outcomes(
    rng: np.random.Generator, rows: int, *, shift: float = 0.0, flipped: float = 0.0
) -> Outcomes:
    """Rows of a logistic truth, predicted by a model that is far too sure of itself.

    Args:
        rng: source of all randomness.
        rows: number of rows.
        shift: where the inputs lie; the relation to the label stays.
        flipped: share of the labels that are the other class; the inputs stay.
    """
    inputs = rng.normal(shift, 1, rows)
    true = rng.random(rows) < 1 / (1 + np.exp(-1.5 * inputs))
    reported = 1 / (1 + np.exp(-6 * inputs))
    label = (true ^ (rng.random(rows) < flipped)).astype(int)
    chances = np.column_stack([1 - reported, reported])
    return Outcomes(("0", "1"), 1, chances.argmax(axis=1), label, chances, np.full(rows, np.nan))


def _without_labels(outcomes: Outcomes) -> Outcomes:
    unknown = np.full(len(outcomes), -1)
    return Outcomes(
        outcomes.classes,
        outcomes.positive,
        outcomes.predicted,
        unknown,
        outcomes.probabilities,
        outcomes.delay,
    )


@pytest.mark.parametrize("shift", [0.0, 0.5, -1.0])
def test_estimate_is_right_under_covariate_shift(shift: float) -> None:
    """200 windows of 1,000 rows: mean accuracy within a point, the other scores within two."""
    rng = np.random.default_rng(3)
    estimator = Estimator.learn(_outcomes(rng, 20_000))
    windows = [_outcomes(rng, 1_000, shift=shift) for _ in range(200)]
    pairs = [
        (estimator.estimate(_without_labels(one)).scores or {}, measure(one).scores)
        for one in windows
    ]
    for score in ("accuracy", "precision", "recall", "f1", "roc_auc"):
        gap = np.mean([estimated[score] - realised[score] for estimated, realised in pairs])
        assert abs(gap) <= (0.01 if score == "accuracy" else 0.02), score


def test_estimate_needs_its_calibration() -> None:
    """The model's own probabilities promise far more than it keeps; the estimate does not."""
    rng = np.random.default_rng(4)
    estimator = Estimator.learn(_outcomes(rng, 20_000))
    window = _outcomes(rng, 20_000)
    realised = measure(window).scores["accuracy"]
    assert window.probabilities.max(axis=1).mean() - realised > 0.1
    assert (estimator.estimate(window).scores or {})["accuracy"] == pytest.approx(
        realised, abs=0.01
    )


def test_standard_error_is_the_spread_of_realised_accuracy() -> None:
    """Realised accuracy of windows without drift spreads about as the estimate says."""
    rng = np.random.default_rng(5)
    estimator = Estimator.learn(_outcomes(rng, 20_000))
    windows = [_outcomes(rng, 500) for _ in range(400)]
    found = [estimator.estimate(one) for one in windows]
    misses = [
        measure(one).scores["accuracy"] - (guess.scores or {})["accuracy"]
        for one, guess in zip(windows, found, strict=True)
    ]
    reported = np.mean([guess.standard_error for guess in found])
    assert np.std(misses) == pytest.approx(reported, rel=0.15)


def test_estimate_cannot_see_concept_drift() -> None:
    """Labels that turn while the inputs stay: accuracy falls by 15 points, the estimate stays."""
    rng = np.random.default_rng(6)
    estimator = Estimator.learn(_outcomes(rng, 20_000))
    before, after = _outcomes(rng, 20_000), _outcomes(rng, 20_000, flipped=0.4)
    fell = measure(before).scores["accuracy"] - measure(after).scores["accuracy"]
    assert fell > 0.15
    estimates = [(estimator.estimate(one).scores or {})["accuracy"] for one in (before, after)]
    assert estimates[0] == pytest.approx(estimates[1], abs=0.01)


def test_several_classes_are_estimated() -> None:
    """One class against the rest, probabilities made to add up to one again."""
    rng = np.random.default_rng(7)

    def draw(rows: int) -> Outcomes:
        chances = rng.dirichlet((1.0, 0.7, 0.4), rows)
        label = (chances.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1)
        reported = chances**3 / (chances**3).sum(axis=1, keepdims=True)
        classes = ("a", "b", "c")
        return Outcomes(
            classes, None, reported.argmax(axis=1), label, reported, np.full(rows, np.nan)
        )

    estimator, window = Estimator.learn(draw(20_000)), draw(20_000)
    assert estimator._calibrated(window).sum(axis=1) == pytest.approx(1.0)
    realised = measure(window).scores
    expected = {name: realised[name] for name in ("accuracy", "precision", "recall", "f1")}
    found = dict(estimator.estimate(window).scores or {})
    assert found.pop("roc_auc") == pytest.approx(realised["roc_auc"], abs=0.02)
    assert found == pytest.approx(expected, abs=0.02)


def test_what_cannot_be_estimated_is_a_state() -> None:
    """Empty windows, no probabilities, and references that teach nothing say so."""
    rng = np.random.default_rng(8)
    whole = _outcomes(rng, 1_000)
    blind = Outcomes(
        whole.classes,
        whole.positive,
        whole.predicted,
        whole.label,
        np.full((1_000, 2), np.nan),
        whole.delay,
    )
    nothing = whole.where(np.zeros(1_000, dtype=bool))
    fitted = Estimator.learn(whole)
    assert fitted.estimate(nothing).state == "empty"
    assert fitted.estimate(blind).state == "no_probabilities"
    few = whole.where(np.arange(1_000) < MIN_REFERENCE - 1)
    alike = whole.where(whole.label == 1)
    for reference in (nothing, blind, few, alike, _without_labels(whole)):
        found = Estimator.learn(reference).estimate(whole)
        assert (found.state, found.scores) == ("no_reference", None)
        assert found.to_dict()["accuracy"] is None


def test_classes_that_only_one_window_has_do_not_matter() -> None:
    """A label outside the model's classes, in either window, leaves the estimate in place."""
    rng = np.random.default_rng(9)
    whole, now = _outcomes(rng, 5_000), _outcomes(rng, 5_000)

    def stranger(outcomes: Outcomes) -> Outcomes:
        wide = np.column_stack([outcomes.probabilities, np.zeros(len(outcomes))])
        label = np.where(np.arange(len(outcomes)) == 0, 2, outcomes.label)
        classes = (*outcomes.classes, "other")
        return Outcomes(classes, 1, outcomes.predicted, label, wide, outcomes.delay)

    plain = (Estimator.learn(whole).estimate(now).scores or {})["accuracy"]
    for reference, window in ((stranger(whole), now), (whole, stranger(now))):
        found = Estimator.learn(reference).estimate(window).scores or {}
        assert found["accuracy"] == pytest.approx(plain, abs=0.01)

"""Concept drift: found by labels and soon, never claimed for what the inputs explain."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from testbed_drift.evaluation.decision import Policy, decide
from testbed_drift.quality.concept import MIN_LABELS, NEWEST, RISE, evaluate, rise_p_value
from testbed_drift.quality.estimation import Estimator
from testbed_drift.quality.outcomes import Outcomes
from testbed_drift.scoring.levels import CONCEPT

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed_drift.quality.concept import ConceptDrift
    from testbed_drift.scoring.scores import DriftScores

STEP = 25  # labels from one run to the next


def _draw(
    rng: np.random.Generator, rows: int, *, at: float = 2.0, flipped: float = 0.0
) -> Outcomes:
    """Rows on both sides of the border of a model that knows the truth.

    Args:
        rng: source of all randomness.
        rows: number of rows.
        at: distance of the inputs from the border: near it the model errs more.
        flipped: share of the labels that are the other class than they would be.
    """
    inputs = rng.normal(at, 0.5, rows) * rng.choice([-1, 1], rows)
    label = rng.random(rows) < 1 / (1 + np.exp(-3 * inputs))
    label ^= rng.random(rows) < flipped
    reported = 1 / (1 + np.exp(-3 * inputs))
    chances = np.column_stack([1 - reported, reported])
    missing = np.full(rows, np.nan)
    return Outcomes(("0", "1"), 1, chances.argmax(axis=1), label.astype(int), chances, missing)


def _evaluate(reference: Outcomes, current: Outcomes) -> ConceptDrift:
    return evaluate(reference, current, Estimator.learn(reference))


def _join(first: Outcomes, second: Outcomes) -> Outcomes:
    """The rows of one after those of the other."""
    arrays = (
        np.concatenate([getattr(first, name), getattr(second, name)])
        for name in ("predicted", "label", "probabilities", "delay")
    )
    return Outcomes(first.classes, first.positive, *arrays)


def _reference(rng: np.random.Generator) -> Outcomes:
    """Rows like those of training, and some nearer to the border, so that both are calibrated."""
    return _join(_draw(rng, 5_000), _draw(rng, 500, at=0.5))


def test_p_value_is_that_of_fishers_exact_test() -> None:
    """One-sided: as scipy's table test says, and 1 where there is no error at all."""
    from scipy.stats import fisher_exact  # noqa: PLC0415 - the oracle of this test only

    expected = fisher_exact([[60, 740], [250, 4750]], alternative="greater").pvalue
    assert rise_p_value(250, 5000, 60, 800) == pytest.approx(expected, rel=1e-9)
    assert rise_p_value(0, 5000, 0, 800) == 1.0


def _alarms(errors: np.ndarray, reference_errors: int, reference_rows: int) -> np.ndarray:
    """For each run on a stream, whether the test against the reference speaks for drift."""
    ends = np.arange(NEWEST, len(errors) + 1, STEP)
    totals = np.concatenate([[0], np.cumsum(errors)])
    recent = totals[ends] - totals[ends - NEWEST]
    p_values = rise_p_value(reference_errors, reference_rows, recent, NEWEST)
    rises = recent / NEWEST - reference_errors / reference_rows
    return np.asarray((p_values <= CONCEPT) & (rises >= RISE))


@pytest.mark.slow
def test_steady_streams_raise_no_alarm() -> None:
    """100 streams of 10,000 labels at an accuracy of 0.95, a run every 25 labels: none."""
    rng = np.random.default_rng(1)
    alarms = 0
    for _ in range(100):
        reference = int((rng.random(5_000) < 0.05).sum())
        alarms += int(_alarms(rng.random(10_000) < 0.05, reference, 5_000).any())
    assert alarms == 0


def test_fall_of_accuracy_is_found_within_800_labels() -> None:
    """Accuracy 0.95 to 0.90: median of 30 streams; all of them are found."""
    rng = np.random.default_rng(2)
    found = []
    for _ in range(30):
        reference = int((rng.random(5_000) < 0.05).sum())
        error = np.where(np.arange(5_000) < 2_000, 0.05, 0.10)
        alarms = _alarms(rng.random(5_000) < error, reference, 5_000)
        assert alarms.any()
        found.append(NEWEST + STEP * int(alarms.argmax()) - 2_000)
    assert 0 < np.median(found) <= 800


def test_labels_that_turn_are_concept_drift() -> None:
    """Inputs as ever, one label in ten turned: found, with its reason, and strict JSON."""
    rng = np.random.default_rng(3)
    found = _evaluate(_reference(rng), _draw(rng, 1_000, flipped=0.1))
    assert found.drifted
    assert found.reason
    assert found.reason.startswith("concept drift: the error rose from 0.0")
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["drifted"] is True


def test_newest_rows_show_what_all_rows_hide() -> None:
    """A change in the last 800 of 10,000 labels is found in them."""
    rng = np.random.default_rng(4)
    both = _join(_draw(rng, 9_200), _draw(rng, 800, flipped=0.08))
    newest, every = _evaluate(_reference(rng), both).rises
    assert (newest.rows, newest.drifted) == ("newest", True)
    assert (every.rows, every.drifted) == ("all", False)


def test_errors_that_the_inputs_explain_are_no_concept_drift() -> None:
    """Inputs move to the model's border: the error rises much, and the estimate knew."""
    rng = np.random.default_rng(5)
    found = _evaluate(_reference(rng), _draw(rng, 2_000, at=0.5))
    assert found.rises[0].risen
    assert not found.drifted
    assert found.reason
    assert found.reason.endswith("as the inputs explain")


def test_without_probabilities_the_error_alone_decides() -> None:
    """A log without probabilities has no estimate; a risen error is then taken for drift."""
    rng = np.random.default_rng(6)

    def blind(outcomes: Outcomes) -> Outcomes:
        missing = np.full_like(outcomes.probabilities, np.nan)
        return Outcomes(
            outcomes.classes, 1, outcomes.predicted, outcomes.label, missing, outcomes.delay
        )

    found = _evaluate(blind(_reference(rng)), blind(_draw(rng, 1_000, flipped=0.1)))
    assert found.rises[0].against_estimate is None
    assert found.drifted


@pytest.mark.parametrize(("which", "state"), [(0, "no_reference"), (1, "few_labels")])
def test_too_few_labels_are_a_state(which: int, state: str) -> None:
    """Below the least number of labels on either side nothing is tested."""
    rng = np.random.default_rng(7)
    windows = [_draw(rng, 1_000), _draw(rng, 1_000, flipped=0.5)]
    windows[which] = windows[which].where(np.arange(1_000) < MIN_LABELS - 1)
    found = _evaluate(*windows)
    assert (found.state, found.drifted, found.reason, found.rises) == (state, False, None, ())


@pytest.mark.parametrize(("drifted", "action"), [(0, "ALERT"), (4, "RETRAIN")])
def test_decision_names_concept_drift(
    scores_of: Callable[..., DriftScores], drifted: int, action: str
) -> None:
    """Concept drift alone is an ALERT; with wide drift of the inputs it asks for retraining."""
    rng = np.random.default_rng(8)
    concept = _evaluate(_reference(rng), _draw(rng, 1_000, flipped=0.1))
    decision = decide(scores_of(drifted), Policy(), concept)
    assert decision.action == action
    assert decision.reasons[-1] == concept.reason


def test_explained_errors_are_a_reason_but_no_action(scores_of: Callable[..., DriftScores]) -> None:
    """Where the inputs explain the errors, the decision says so and stays what it was."""
    rng = np.random.default_rng(9)
    concept = _evaluate(_reference(rng), _draw(rng, 2_000, at=0.5))
    decision = decide(scores_of(0), Policy(), concept)
    assert decision.action == "NO_ACTION"
    assert decision.reasons[-1].endswith("as the inputs explain")

"""The comparison of champion and challenger, and what is reported of it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest, ttest_rel
from testbed_drift.quality.trial import (
    FALL,
    GAIN,
    LEVEL,
    Retraining,
    Trial,
    compare,
    compare_numbers,
)


def _chances(predicted: np.ndarray[Any, Any], sure: float = 0.9) -> np.ndarray[Any, Any]:
    found = np.full((len(predicted), 2), 1 - sure)
    found[np.arange(len(predicted)), predicted] = sure
    return found


def _models(rows: int, right: float, right_too: float, seed: int) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, rows)
    first, second = (
        np.where(rng.random(rows) < ratio, truth, 1 - truth) for ratio in (right, right_too)
    )
    return truth, first, second


def test_p_value_is_that_of_the_exact_test() -> None:
    """McNemar's exact test is the binomial test of the rows on which one model alone is right."""
    truth, first, second = _models(400, 0.8, 0.85, seed=3)
    trial = compare(truth, _chances(first), _chances(second), first)
    only, other = ((second == truth) & (first != truth)).sum(), 0
    other = int(((first == truth) & (second != truth)).sum())
    expected = binomtest(int(only), int(only) + other, 0.5, alternative="greater").pvalue
    assert trial.p_value == pytest.approx(expected)
    assert trial.champion["accuracy"] == (first == truth).mean()
    assert trial.gain == pytest.approx((second == truth).mean() - (first == truth).mean())


def test_equal_models_are_seldom_taken_for_better() -> None:
    """Of two equally good models the challenger wins at most as often as the level says."""
    trials = []
    for seed in range(400):
        truth, first, second = _models(300, 0.8, 0.8, seed)
        trials.append(compare(truth, _chances(first), _chances(second), first))
    assert sum(trial.better for trial in trials) <= 3 * LEVEL * len(trials)


def test_much_better_one_wins() -> None:
    """Ten points more are found on 300 rows nearly always."""
    found = 0
    for seed in range(50):
        truth, first, second = _models(300, 0.75, 0.87, seed)
        found += compare(truth, _chances(first), _chances(second), first).better
    assert found >= 45


@pytest.mark.parametrize(
    ("champion", "challenger", "p_value", "better"),
    [
        ({"accuracy": 0.8, "log_loss": 0.5}, {"accuracy": 0.9, "log_loss": 0.4}, 0.001, True),
        ({"accuracy": 0.8, "log_loss": 0.5}, {"accuracy": 0.9, "log_loss": 0.6}, 0.001, False),
        ({"accuracy": 0.8, "log_loss": 0.5}, {"accuracy": 0.9, "log_loss": 0.4}, 0.02, False),
        ({"accuracy": 0.8}, {"accuracy": 0.8 + GAIN / 2, "log_loss": 0.4}, 0.001, False),
        ({"accuracy": 0.8}, {"accuracy": 0.9, "log_loss": 0.4}, 0.001, True),
        # of numbers: a fall of the error that matters, and no larger root mean square error
        ({"mae": 10.0, "rmse": 13.0}, {"mae": 9.0, "rmse": 12.0}, 0.001, True),
        ({"mae": 10.0, "rmse": 13.0}, {"mae": 9.0, "rmse": 14.0}, 0.001, False),
        ({"mae": 10.0, "rmse": 13.0}, {"mae": 9.0, "rmse": 12.0}, 0.02, False),
        ({"mae": 10.0, "rmse": 13.0}, {"mae": 10 - 5 * FALL, "rmse": 12.0}, 0.001, False),
        ({"mae": 0.0, "rmse": 0.0}, {"mae": 0.0, "rmse": 0.0}, 0.001, False),
    ],
)
def test_rule_of_promotion(
    champion: dict[str, float],
    challenger: dict[str, float],
    p_value: float,
    better: bool,  # noqa: FBT001 - a table
) -> None:
    """A gain that matters, no chance, and no worse probabilities where both are known."""
    assert Trial(300, champion, challenger, p_value).better is better


def test_unknown_class_is_never_right() -> None:
    """A logged class that the model does not have counts as a mistake of the champion."""
    truth = np.array([0, 1, 1])
    trial = compare(truth, np.full((3, 2), np.nan), _chances(truth), np.array([-1, 1, -1]))
    assert trial.champion == {"accuracy": pytest.approx(1 / 3)}
    assert trial.challenger["accuracy"] == 1.0


def _errors(rows: int, scale: float, scale_too: float, seed: int) -> tuple[Any, Any, Any]:
    """True numbers, and two models whose errors have long tails and something in common."""
    rng = np.random.default_rng(seed)
    truth, shared = rng.normal(100, 30, rows), rng.standard_t(3, rows)
    first, second = (
        truth + size * (0.5 * shared + rng.standard_t(3, rows)) for size in (scale, scale_too)
    )
    return truth, first, second


def test_p_value_of_numbers_is_that_of_the_paired_test() -> None:
    """Diebold and Mariano's test, one step ahead, is the paired t-test of the absolute errors."""
    truth, first, second = _errors(300, 10, 9, seed=3)
    trial = compare_numbers(truth, first, second)
    before, now = abs(first - truth), abs(second - truth)
    assert trial.p_value == pytest.approx(ttest_rel(before, now, alternative="greater").pvalue)
    assert trial.champion == {
        "mae": pytest.approx(before.mean()),
        "rmse": pytest.approx(np.sqrt((before**2).mean())),
    }
    assert trial.gain == pytest.approx(1 - now.mean() / before.mean())
    assert "mean absolute error" in trial.words
    assert compare_numbers(truth, first, first).p_value == 1.0
    assert not compare_numbers(truth, truth, truth).better


def test_equally_good_models_of_numbers_are_seldom_promoted() -> None:
    """At most as often as the level says, with errors of long tails and few rows."""
    trials = [compare_numbers(*_errors(150, 10, 10, seed)) for seed in range(1000)]
    assert sum(trial.p_value <= LEVEL for trial in trials) <= 2 * LEVEL * len(trials)
    assert sum(trial.better for trial in trials) <= 2 * LEVEL * len(trials)


def test_much_smaller_errors_win() -> None:
    """A third less error is found on 300 rows nearly always, for all its long tails."""
    found = [compare_numbers(*_errors(300, 10, 6.7, seed)).better for seed in range(50)]
    assert sum(found) >= 45


@pytest.mark.parametrize(
    ("trial", "header"),
    [
        (None, ("accuracy", "log loss")),
        (Trial(9, {"accuracy": 0.5}, {"accuracy": 0.6}, 0.4), ("accuracy", "log loss")),
        (Trial(9, {"mae": 5.5, "rmse": 7.0}, {"mae": 5.0, "rmse": 6.0}, 0.4), ("mae", "rmse")),
    ],
)
def test_retraining_survives_json(trial: Trial | None, header: tuple[str, ...]) -> None:
    """What the process prints is what the job reads, and the report shows the scores it has."""
    found = Retraining("kept", "why", "rf-1", 5.0, 1.5, "rf-2", trial)
    assert Retraining.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    assert found.table().rows[1][:2] == ("challenger", "rf-2")
    assert found.table().header[2:] == header


@pytest.mark.parametrize("change", [{"outcome": "danced"}, {"trial": {"rows": 1}}, {"trial": 3}])
def test_other_form_is_refused(change: dict[str, object]) -> None:
    """Anything else is a ValueError, whatever it is."""
    good = Retraining("kept", "why", "rf-1", 5.0).to_dict()
    with pytest.raises(ValueError, match=r".+"):
        Retraining.from_dict(good | change)
    with pytest.raises(ValueError, match="no retraining"):
        Retraining.from_dict({})

"""Calibration: thresholds that keep a budget, from a reference alone, and the file of them."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from testbed_drift.evaluation.detection import Detector
from testbed_drift.rows.columns import PREDICTION, TARGET
from testbed_drift.rows.frames import declare
from testbed_drift.scoring.calibration import (
    Calibration,
    CalibrationError,
    CalibrationPlan,
    calibrate,
    false_positives_allowed,
    reference_hash,
    summary,
)
from testbed_drift.scoring.resampling import Resampler
from testbed_drift.scoring.scores import DriftRule

if TYPE_CHECKING:
    from pathlib import Path

    from testbed_drift.rows.columns import ColumnKind

KINDS: dict[str, ColumnKind] = {"x": "numeric", "count": "numeric", "colour": "category"}
PLAN = CalibrationPlan(rows=300, budget=0.02, draws=400, power_draws=20)


def _frame(rows: int, seed: int, shift: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    weight = rng.normal(shift, 1, rows)
    weight[rng.random(rows) < 0.1] = math.nan
    raw = {
        "x": weight,
        "count": rng.poisson(4, rows),
        "colour": rng.choice([*"abcdef"], rows),
        PREDICTION: rng.choice(["0", "1"], rows),
        TARGET: [None] * rows,
    }
    return declare(pd.DataFrame(raw), KINDS)


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    """A calibration for windows of 300 rows, at a budget of 2 %."""
    return calibrate(_frame(1000, 1), KINDS, DriftRule(), PLAN, "rf-1")


@pytest.mark.parametrize(
    ("draws", "budget", "allowed"),
    [(2995, 0.001, 0), (10_000, 0.001, 4), (400, 0.02, 3), (59, 0.05, 0)],
)
def test_few_false_positives_prove_a_small_share(draws: int, budget: float, allowed: int) -> None:
    """So many among the draws, and no more, put the upper 95 % bound of their share below it."""
    assert false_positives_allowed(draws, budget) == allowed


def test_too_few_draws_are_refused() -> None:
    """The message says how many a budget needs."""
    with pytest.raises(CalibrationError, match=r"0\.001 needs at least 2995 draws"):
        false_positives_allowed(2994, 0.001)


@pytest.mark.slow
def test_drift_free_windows_keep_the_budget(calibration: Calibration) -> None:
    """300 fresh windows against the reference: at most 5 % of them alarm at a budget of 2 %."""
    detector = Detector(KINDS, DriftRule(alphas=calibration.alphas))
    reference = _frame(1000, 1)
    found = [detector.detect(reference, _frame(300, seed)).scores for seed in range(100, 400)]
    alarms = sum(scores.ratio > 0 or scores.prediction.drifted for scores in found)
    assert alarms <= 15
    shifted = detector.detect(reference, _frame(300, 2, 0.6)).scores
    assert shifted.drifted_columns == ("x",)
    assert shifted.ratio >= calibration.alert_share


def test_every_column_has_its_thresholds(calibration: Calibration) -> None:
    """Features and prediction; the target is left out, for the reference has no labels."""
    assert {*calibration.alphas} == {*calibration.effects} == {*KINDS, PREDICTION}
    assert {*calibration.alphas.values()} <= {min(calibration.alphas.values())}
    assert 0 < min(calibration.alphas.values()) <= 0.01
    limits = DriftRule(alphas={"x": 1e-5}).feature_limits("x", "numeric", 3)
    assert (limits.alpha, limits.effect) == (1e-5, 0.1)
    assert DriftRule(alphas={PREDICTION: 1e-5}).class_limits(PREDICTION).alpha == 1e-5


@pytest.mark.slow
def test_the_draws_are_seeded(calibration: Calibration) -> None:
    """The same plan gives the same thresholds, another seed others."""
    again = calibrate(_frame(1000, 1), KINDS, DriftRule(), PLAN, "rf-1")
    assert again == calibration
    other = calibrate(
        _frame(1000, 1), KINDS, DriftRule(), dataclasses.replace(PLAN, seed=2), "rf-1"
    )
    assert other.alphas != calibration.alphas


def test_larger_windows_have_more_power(calibration: Calibration) -> None:
    """Power grows with the rows, and the rows needed are where it reaches 90 % everywhere."""
    for ratios in calibration.power.values():
        assert ratios[min(ratios)] <= ratios[max(ratios)]
        assert ratios[calibration.rows_needed] >= 0.9 if calibration.rows_needed in ratios else True
    assert calibration.rows_needed in {200, 300, 500}
    assert calibration.min_rows == max(300, calibration.rows_needed)
    assert f"less than {calibration.min_rows} rows" in summary(calibration)


def test_file_holds_all(calibration: Calibration, tmp_path: Path) -> None:
    """What is read is what was written, and no other file is left."""
    calibration.save(tmp_path / "calibration.json")
    assert Calibration.load(tmp_path / "calibration.json") == calibration
    assert [path.name for path in tmp_path.iterdir()] == ["calibration.json"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema_version": 1, "plan": {"a": 1}}'])
def test_broken_file_says_what_to_do(tmp_path: Path, text: str) -> None:
    """A file that is none is one line that names the command."""
    path = tmp_path / "calibration.json"
    path.write_text(text)
    with pytest.raises(CalibrationError, match="run testbed drift calibrate"):
        Calibration.load(path)


def test_foreign_and_stale_calibrations_are_refused(calibration: Calibration) -> None:
    """Of another model, or of a reference with one other value."""
    reference = _frame(1000, 1)
    calibration.verify("rf-1", reference)
    with pytest.raises(CalibrationError, match="of model rf-1, not of rf-2: run"):
        calibration.verify("rf-2", reference)
    for column, value in (("count", 77.0), ("colour", "z"), ("colour", None), ("x", math.nan)):
        changed = reference.copy()
        changed.loc[changed[column].notna().idxmax(), column] = value
        with pytest.raises(CalibrationError, match="another reference: run"):
            calibration.verify("rf-1", changed)


def test_hash_does_not_depend_on_how_a_frame_was_made() -> None:
    """Numbers as integers or texts of them, and rows numbered from elsewhere, are the same rows."""
    frame = _frame(50, 1)
    raw = frame.assign(count=frame["count"].astype(int)).set_axis(range(7, 57))
    assert reference_hash(declare(raw, KINDS)) == reference_hash(frame)


def test_drawn_windows_are_no_drift() -> None:
    """About 5 % of the drawn windows pass a test at 5 %: the reference's own noise is in.

    Drawing only the window would let hardly any pass, and give thresholds that real windows break.
    """
    kinds: dict[str, ColumnKind] = {"x": "numeric"}
    frame = declare(pd.DataFrame({"x": np.random.default_rng(1).normal(0, 1, 500)}), kinds)
    sampler = Resampler(frame, kinds, DriftRule(numeric_effect=0.0), np.random.default_rng(2))
    passed = float((sampler.quiet(500, 1000) <= 0.05).mean())
    assert 0.025 <= passed <= 0.065


@pytest.mark.parametrize("shift", [0.25, 0.5, 1.0])
def test_tilted_windows_have_the_shift(shift: float) -> None:
    """The mean of numbers moves so many deviations, the commonest category by half so much."""
    frame = _frame(5000, 3)
    sampler = Resampler(frame, KINDS, DriftRule(), np.random.default_rng(4))
    for name in ("x", "count"):
        weights = sampler._columns[name].tilted(shift)
        assert weights is not None
        known = frame[name].notna()
        mean = np.average(frame.loc[known, name], weights=weights[known])
        moved = (mean - frame[name].mean()) / frame[name].std(ddof=0)
        assert moved == pytest.approx(shift, abs=1e-6)
    weights = sampler._columns[PREDICTION].tilted(shift)
    if shift < 1:
        assert weights is not None
        common = frame[PREDICTION].value_counts().idxmax()
        after = weights[frame[PREDICTION] == common].sum()
        before = (frame[PREDICTION] == common).mean()
        assert abs(after - before) == pytest.approx(shift / 2, abs=1e-6)


def test_constants_cannot_move() -> None:
    """A column of one value has no power to speak of, and does not hold up the others."""
    kinds: dict[str, ColumnKind] = {"x": "numeric", "y": "category"}
    frame = declare(pd.DataFrame({"x": [1.0] * 200, "y": "a"}), kinds)
    found = calibrate(frame, kinds, DriftRule(), PLAN, "rf-1")
    assert found.power == {}
    assert found.min_rows == PLAN.rows


@pytest.mark.parametrize("change", [{"rows": 0}, {"budget": 0.0}, {"budget": 1.0}, {"shift": 0.0}])
def test_impossible_plans_are_refused(change: dict[str, float]) -> None:
    """They are one line, not a traceback."""
    plan = dataclasses.replace(PLAN, **change)  # type: ignore[arg-type]
    with pytest.raises(CalibrationError, match="above 0"):
        calibrate(_frame(100, 1), KINDS, DriftRule(), plan, "rf-1")

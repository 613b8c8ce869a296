"""Windows with copies, computed again as the real drift job scores them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from testbed.facts.driftcopies import MIN, witnesses
from testbed.facts.driftwindows import KS, RecomputedScore, smirnov
from testbed_drift.evaluation.detection import Detector
from testbed_drift.rows.columns import PREDICTION, TARGET
from testbed_drift.scoring.scores import DriftRule

KINDS: Any = {"size": "numeric", "age": "numeric", "colour": "category"}


def _frame(rows: int, shift: float, seed: int, repeated: float) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    once = max(1, round(rows * (1 - repeated)))
    drawn = {
        "size": rng.normal(shift, 1, once),
        "age": rng.normal(0, 1, once),
        "colour": rng.choice(["red", "blue"], once),
        PREDICTION: rng.choice(["0", "1"], once),
        TARGET: rng.choice(["0", "1"], once),
    }
    frame = pd.DataFrame(drawn)
    return pd.concat([frame, frame.iloc[: rows - once]], ignore_index=True)


def _features(frame: pd.DataFrame) -> dict[str, Any]:
    return {name: frame[name].tolist() for name in KINDS}


@pytest.mark.parametrize("shift", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("before", "now"), [(0.0, 0.0), (0.0, 0.5), (0.3, 0.4), (0.5, 0.0)])
def test_p_values_count_copies_once(shift: float, before: float, now: float) -> None:
    """Half of a window repeated, or of the reference, or nothing: the job's own values."""
    reference, window = _frame(900, 0.0, 1, before), _frame(600, shift, 2, now)
    found = Detector(KINDS, DriftRule()).detect(reference, window).scores
    ratios = witnesses(_features(reference), _features(window), KINDS)
    assert list(ratios) == pytest.approx([1 - before, 1 - now])
    for column in found.columns:
        recorded = {score.method: score.value for score in column.scores}
        if KS in recorded:
            values = reference[column.column].to_numpy(), window[column.column].to_numpy()
            p_value = smirnov(*values, ratios)
            score = RecomputedScore(
                column=column.column, method=KS, recorded=recorded[KS], computed=p_value
            )
            assert score.apart < 0.5, score


def test_a_window_that_stands_still_has_witnesses_left() -> None:
    """One row again and again counts as 40 % of its rows."""
    still: dict[str, Any] = {"size": [1.0] * 100, "age": [2.0] * 100, "colour": ["red"] * 100}
    moving = _features(_frame(100, 0.0, 3, 0.0))
    assert witnesses(moving, still, KINDS) == (1.0, MIN)


def test_rows_of_few_categories_are_no_copies() -> None:
    """They are equal by chance, within a window as between both."""
    rng = np.random.default_rng(4)
    first, second = ({"colour": rng.choice(["red", "blue"], 500).tolist()} for _ in range(2))
    assert witnesses(first, second, ["colour"]) == (1.0, 1.0)

"""One level for all tests of a window."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import numpy as np
import pandas as pd
import pytest
from testbed_drift.relations.correlations import Correlations
from testbed_drift.rows.columns import PREDICTION, TARGET
from testbed_drift.rows.frames import declare
from testbed_drift.scoring.levels import WEIGHTS, Levels
from testbed_drift.scoring.limits import ColumnLimits
from testbed_drift.settings import DriftSettings

KINDS: Any = {"a": "numeric", "b": "numeric", "c": "numeric"}


def _frame(rows: int, seed: int, together: float) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    first, other, third = rng.normal(size=(3, rows))
    second = together * first + np.sqrt(1 - together**2) * other
    raw = {"a": first, "b": second, "c": third, PREDICTION: "0", TARGET: "0"}
    return declare(pd.DataFrame(raw), KINDS)


def test_the_parts_of_a_level_add_up_to_it() -> None:
    """Columns count twice, for values and for those that miss; the error in two sets of rows."""
    assert sum(WEIGHTS.values()) + WEIGHTS["columns"] + WEIGHTS["concept"] == pytest.approx(1.0)
    assert all(
        mine <= usual
        for mine, usual in zip(astuple(Levels.of(0.9)), astuple(Levels()), strict=True)
    )
    assert Levels.of(None) == Levels()


def test_a_level_binds_the_rule_and_a_calibration(tmp_path: Any) -> None:  # noqa: ANN401 - a path
    """Prediction, target and each column's share; nothing changes where no level is set."""
    given: Any = {"log_url": "-", "artefact": tmp_path}
    rule = ColumnLimits.of(DriftSettings(**given, level=1e-4), None).rule
    assert rule.feature_limits("a", "numeric", 4).alpha == pytest.approx(5e-6)
    assert rule.class_limits(PREDICTION).alpha == pytest.approx(5e-6)
    assert rule.class_limits(TARGET).alpha == pytest.approx(5e-6)
    usual = ColumnLimits.of(DriftSettings(**given), None).rule
    assert usual.feature_limits("a", "numeric", 4).alpha == pytest.approx(0.00025)


def test_pairs_keep_a_level_that_their_draws_cannot_hold() -> None:
    """Beyond the draws their tail decides: a change that is certain is found, chance is not."""
    reference = _frame(2000, 1, 0.6)
    pairs = Correlations(reference, KINDS, draws=3000, budget=1e-5)
    found = pairs.compare(_frame(800, 2, 0.0))
    assert found.comparison
    assert found.comparison.test.threshold == 1e-5
    assert found.comparison.test.value < 1e-12
    assert [(pair.first, pair.second) for pair in found.drifted] == [("a", "b")]
    quiet = [pairs.compare(_frame(800, seed, 0.6)).comparison for seed in range(3, 43)]
    assert min(one.test.value for one in quiet if one) > 1e-3

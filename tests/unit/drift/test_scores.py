"""Scores: a column drifted when test and effect both say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from testbed_drift.scoring.scores import (
    ColumnDrift,
    ColumnScore,
    Comparison,
    DriftRule,
    DriftScores,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def _comparison(p_value: float, distance: float, method: str = "wasserstein") -> Comparison:
    return Comparison(
        ColumnScore("ks", p_value, 0.01, "p_value"), ColumnScore(method, distance, 0.1, "distance")
    )


@pytest.mark.parametrize(
    ("p_value", "distance", "drifted"),
    [
        (0.001, 0.5, True),
        (0.01, 0.1, True),
        (0.001, 0.09, False),
        (0.02, 0.5, False),
        (float("nan"), 0.5, False),
        (0.001, float("nan"), False),
    ],
)
def test_drift_needs_test_and_effect(p_value: float, distance: float, drifted: bool) -> None:  # noqa: FBT001 - a column of the table
    """A significant but tiny difference is no drift, nor is a large but random one."""
    assert _comparison(p_value, distance).drifted is drifted


def test_the_drifted_comparison_leads() -> None:
    """The score to show is that of the comparison that drifted, else of the values."""
    calm, wild = _comparison(0.5, 0.01), _comparison(0.0, 0.6, "missing_ratio")
    leading = ColumnDrift("x", (calm, wild)).leading
    assert leading
    assert leading.method == "missing_ratio"
    leading = ColumnDrift("x", (calm, _comparison(0.5, 0.02, "missing_ratio"))).leading
    assert leading
    assert leading.method == "wasserstein"
    assert ColumnDrift("x", ()).leading is None


def test_share_counts_features_only(scores_of: Callable[..., DriftScores]) -> None:
    """Prediction and target are no part of the share; no features give a share of 0."""
    assert scores_of(1, columns=4, prediction=True, target=True).ratio == 0.25
    assert scores_of(0, columns=0).ratio == 0.0


def test_columns_share_the_significance() -> None:
    """More columns make each single test stricter."""
    assert DriftRule().feature_limits("x", "numeric", 8).alpha == pytest.approx(0.000125)
    assert DriftRule().feature_limits("x", "numeric", 0).alpha == pytest.approx(0.001)

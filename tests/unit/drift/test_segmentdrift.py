"""Drift within segments: found where it is, stated where rows are too few, alone in its failure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from testbed_domain.logrows import Columns
from testbed_drift.evaluation import segmentdrift
from testbed_drift.evaluation.points import OF_SEGMENTS, of_segments
from testbed_drift.evaluation.segmentdrift import SegmentScorer, shared_out, table
from testbed_drift.rows.columns import PREDICTION, TARGET, ColumnKind
from testbed_drift.rows.frames import declare
from testbed_drift.rows.windows import Window
from testbed_drift.scoring.scores import DriftRule
from testbed_drift.workers import Workers
from testbed_otel import names

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS: dict[str, ColumnKind] = {"size": "numeric", "age": "numeric", "shop": "category"}


def _window(
    name: str, rows: Mapping[str, int], seed: int, moved: Mapping[str, float] | None = None
) -> Window:
    """Rows per shop; the sizes of a moved shop by so many standard deviations."""
    rng = np.random.default_rng(seed)
    shops = np.repeat(list(rows), list(rows.values()))
    features: dict[str, Any] = {
        "size": rng.normal(0, 1, len(shops)) + np.array([(moved or {}).get(s, 0.0) for s in shops]),
        "age": rng.normal(0, 1, len(shops)),
        "shop": shops,
    }
    classes = rng.choice(["0", "1"], len(shops))
    frame = declare(pd.DataFrame({**features, PREDICTION: classes, TARGET: classes}), KINDS)
    lists = {column: values.tolist() for column, values in features.items()}
    count = len(shops)
    columns = Columns(lists, classes.tolist(), [0.8] * count, classes.tolist(), [], [0.0] * count)
    return Window(name, frame, columns=columns)


BEFORE = _window("reference", {"a": 1000, "b": 1000, "c": 150}, 1)
NOW = _window("now", {"a": 600, "b": 500, "c": 900, "d": 300}, 2, {"b": 1.0})
SCORER = SegmentScorer("shop", KINDS, DriftRule(), min_rows=200)


def test_drift_is_found_in_its_segment_only() -> None:
    """One shop's sizes moved: it stands first, and the other shops' columns did not drift."""
    found = SCORER.score(BEFORE, NOW)
    assert [(one.name, one.state, one.rows, one.reference_rows) for one in found] == [
        ("shop=b", "scored", 500, 1000),
        ("shop=c", "insufficient_data", 900, 150),
        ("shop=a", "scored", 600, 1000),
        ("shop=rest", "insufficient_data", 300, 0),
    ]
    scores = {one.name: one.scores for one in found}
    assert scores["shop=b"] is not None
    assert scores["shop=b"].drifted_columns == ("size",)
    assert scores["shop=a"] is not None
    assert scores["shop=a"].drifted_columns == ()


def test_too_few_rows_are_stated() -> None:
    """Either window's rows may be too few; the message has all three numbers."""
    found = {one.name: one.to_dict() for one in SCORER.score(BEFORE, NOW)}
    few = found["shop=c"]
    assert few["state"] == "insufficient_data"
    assert few["message"] == "900 rows, 150 in the reference, 200 needed"
    assert "columns" not in few
    assert found["shop=b"]["drifted"] == ["size"]
    json.dumps(found, allow_nan=False)


@pytest.mark.slow
def test_workers_find_the_same() -> None:
    """Two processes give the very scores that one gives."""
    with Workers(2) as workers:
        scorer = SegmentScorer("shop", KINDS, DriftRule(), 200, workers=workers)
        assert scorer.score(BEFORE, NOW) == SCORER.score(BEFORE, NOW)


def test_a_broken_segment_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A segment that can't be scored is an error of its own."""
    score = segmentdrift.score_segment

    def break_some(task: segmentdrift.SegmentTask) -> Any:  # noqa: ANN401 - as the original
        if len(task.current) == 600:
            raise ValueError("odd rows")
        return score(task)

    monkeypatch.setattr(segmentdrift, "score_segment", break_some)
    found = {one.name: one for one in SCORER.score(BEFORE, NOW)}
    assert (found["shop=a"].state, found["shop=a"].message) == ("error", "ValueError: odd rows")
    assert found["shop=b"].state == "scored"


def test_segments_share_the_budget_of_false_positives() -> None:
    """The thresholds of n segments are an n-th of the window's, calibrated ones as well."""
    rule = shared_out(DriftRule(alpha=0.01, class_alpha=0.02, alphas={"size": 0.004}), 4)
    assert (rule.alpha, rule.class_alpha, rule.alphas) == (0.0025, 0.005, {"size": 0.001})
    assert rule.numeric_effect == DriftRule().numeric_effect
    [found] = [one for one in SCORER.score(BEFORE, NOW) if one.name == "shop=b"]
    assert found.scores is not None
    assert found.scores.columns[0].comparisons[0].test.threshold == pytest.approx(0.001 / 3 / 2)


def test_segments_are_published_the_worst_first() -> None:
    """Shares and scores of what was scored, rows of all, and how many are in each state."""
    points = list(of_segments(SCORER.score(BEFORE, NOW)))
    assert {metric for metric, _, _ in points} == set(OF_SEGMENTS)
    for metric, _, attributes in points:
        assert {*attributes, names.MODEL_VERSION} == {*metric.attributes}
    ratios = [
        (attributes[names.SEGMENT], value)
        for metric, value, attributes in points
        if metric is names.DRIFT_SEGMENT_RATIO
    ]
    assert ratios == [("shop=b", pytest.approx(1 / 3)), ("shop=a", 0.0)]
    states = {
        attributes[names.STATE]: value
        for metric, value, attributes in points
        if metric is names.DRIFT_SEGMENTS
    }
    assert states == {"scored": 2, "insufficient_data": 2, "error": 0}
    assert list(of_segments(())) == []


def test_report_names_the_drifted_segments() -> None:
    """The table lists drifted segments only, and its title counts all."""
    shown = table(SCORER.score(BEFORE, NOW))
    assert shown.title == "1 of 4 segments drifted (2 scored, 2 insufficient data, 0 error)"
    assert shown.rows == (("shop=b", "500", "1000", "size"),)


def test_most_values_are_segments_of_their_own() -> None:
    """Beyond the most frequent ones, values are the rest together."""
    scorer = SegmentScorer("shop", KINDS, DriftRule(), 200, maximum=1)
    assert {one.name for one in scorer.score(BEFORE, NOW)} == {"shop=a", "shop=rest"}

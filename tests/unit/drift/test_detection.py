"""Detection: rates of the rule on seeded draws, the traps, and reports by the real Evidently."""

from __future__ import annotations

import importlib
import json
import math
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from testbed_drift.evaluation.detection import Detector
from testbed_drift.formatting import ReportTable
from testbed_drift.rows.columns import PREDICTION, TARGET
from testbed_drift.rows.frames import declare

if TYPE_CHECKING:
    from testbed_drift.evaluation.detection import Detection
    from testbed_drift.rows.columns import ColumnKind
    from testbed_drift.scoring.scores import ColumnDrift

NUMERIC: dict[str, ColumnKind] = {f"x{index}": "numeric" for index in range(8)}
TWO: dict[str, ColumnKind] = {"x0": "numeric", "x1": "numeric"}


def _numbers(rng: np.random.Generator, rows: int, shift: float = 0.0) -> pd.DataFrame:
    """Eight independent standard normal columns, moved by ``shift`` standard deviations."""
    frame = pd.DataFrame(rng.normal(shift, 1, (rows, 8)), columns=list(NUMERIC))
    return frame.assign(**{PREDICTION: rng.choice(["0", "1"], rows, p=[0.65, 0.35])})


def _detect(
    kinds: dict[str, ColumnKind], reference: pd.DataFrame, current: pd.DataFrame
) -> Detection:
    return Detector(kinds).detect(declare(reference, kinds), declare(current, kinds))


def _columns(detection: Detection) -> dict[str, ColumnDrift]:
    return {column.column: column for column in detection.scores.columns}


def _one(
    kind: ColumnKind, reference: list[Any], current: list[Any], filler: str = "0"
) -> ColumnDrift:
    """The verdict on one column with given values."""
    frames = [
        pd.DataFrame({"x": pd.Series(values, dtype=object), PREDICTION: filler})
        for values in (reference, current)
    ]
    detection = _detect({"x": kind}, *frames)
    json.dumps(detection.metrics(), allow_nan=False)
    assert "<html" in detection.html()
    return detection.scores.columns[0]


@pytest.mark.slow  # imports Evidently
def test_evidently_may_not_report_usage() -> None:
    """Importing what draws reports switches Evidently's usage reports off."""
    importlib.import_module("testbed_drift.rendering.figures")
    assert os.environ["DO_NOT_TRACK"]


def test_no_false_positives_without_drift() -> None:
    """8 draws of 8 columns, reference 5,000, window 500: at most one of 64 columns drifts."""
    rng = np.random.default_rng(1)
    reference = _numbers(rng, 5000)
    found = [_detect(NUMERIC, reference, _numbers(rng, 500)).scores for _ in range(8)]
    assert sum(len(scores.drifted_columns) for scores in found) <= 1
    assert not any(scores.prediction.drifted for scores in found)


def test_half_a_standard_deviation_is_found() -> None:
    """3 draws of 8 columns moved by half a deviation, 1,000 against 500 rows: all 24 drift."""
    rng = np.random.default_rng(2)
    reference = _numbers(rng, 1000)
    found = [_detect(NUMERIC, reference, _numbers(rng, 500, 0.5)).scores for _ in range(3)]
    assert [scores.ratio for scores in found] == [1.0] * 3


def test_categories_give_no_false_positives() -> None:
    """20 columns of 20 categories, reference 500, window 500: none drifts in one draw.

    Evidently's own chi-square flags about three of four such columns at p < 0.05.
    """
    rng = np.random.default_rng(3)
    kinds: dict[str, ColumnKind] = {f"c{index}": "category" for index in range(20)}

    def frame() -> pd.DataFrame:
        values = rng.integers(0, 20, (500, 20)).astype(str)
        return pd.DataFrame(values, columns=list(kinds)).assign(**{PREDICTION: "0"})

    assert _detect(kinds, frame(), frame()).scores.drifted_columns == ()


def test_ten_points_of_the_positive_rate_are_found() -> None:
    """Predictions and labels from 35 % to 45 %, 5,000 against 1,000 rows: both drift.

    Evidently's default, Jensen-Shannon from 0.1, finds this in 1 to 17 % of the windows.
    """
    rng = np.random.default_rng(4)
    kinds: dict[str, ColumnKind] = {"x": "numeric"}

    def frame(rows: int, rate: float) -> pd.DataFrame:
        classes = [rng.choice(["0", "1"], rows, p=[1 - rate, rate]) for _ in range(2)]
        columns = {"x": rng.normal(0, 1, rows), PREDICTION: classes[0], TARGET: classes[1]}
        return pd.DataFrame(columns)

    scores = _detect(kinds, frame(5000, 0.35), frame(1000, 0.45)).scores
    assert scores.prediction.drifted
    assert scores.target
    assert scores.target.drifted
    assert scores.ratio == 0


def test_methods_do_not_change_with_the_size() -> None:
    """The same methods at 100 and at 2,000 rows; Evidently's own choice changes at 1,000."""
    rng = np.random.default_rng(5)
    for rows in (100, 2000):
        frame = _numbers(rng, rows)
        scores = _detect(TWO, frame, frame).scores
        assert {score.method for column in scores.columns for score in column.scores} == {
            "ks",
            "wasserstein",
        }
        assert [score.method for score in scores.prediction.scores] == [
            "chi_square_two_sample",
            "total_variation",
        ]


def test_target_waits_for_labels() -> None:
    """Below 100 labels in a window there is no target drift, from 100 on there is."""
    rng = np.random.default_rng(6)
    reference = _numbers(rng, 200).assign(**{TARGET: "0"})
    current = _numbers(rng, 200).assign(**{TARGET: np.repeat([None, "1"], [101, 99])})
    assert _detect(TWO, reference, current).scores.target is None
    current = current.assign(**{TARGET: np.repeat([None, "1"], 100)})
    target = _detect(TWO, reference, current).scores.target
    assert target
    assert target.drifted


@pytest.mark.parametrize(
    ("kind", "reference", "current", "drifted"),
    [
        ("numeric", [math.nan] * 200, [math.nan] * 200, False),
        ("numeric", list(range(200)), [None] * 200, True),
        ("numeric", [None] * 200, list(range(200)), True),
        ("numeric", list(range(200)), [None, *range(1, 200)], False),
        ("numeric", list(range(200)), [math.inf] * 60 + list(range(60, 200)), True),
        ("numeric", [7] * 200, [7] * 200, False),
        ("numeric", [7] * 200, [8] * 200, True),
        ("numeric", list(range(200)), [1e308, -1e308, *range(2, 200)], False),
        ("numeric", list(range(200)), [5.0] + [None] * 199, True),
        ("category", ["a"] * 200, ["a"] * 200, False),
        ("category", ["a"] * 200, ["b"] * 200, True),
        ("category", [None] * 200, [None] * 200, False),
        ("category", ["a", "b"] * 100, ["a", None] * 100, True),
        ("category", [str(n) for n in range(200)], [str(n) for n in range(200, 400)], False),
        ("category", ["a"] * 199 + ["rare"], ["a"] * 200, False),
    ],
)
@pytest.mark.slow
def test_traps(
    kind: ColumnKind, reference: list[Any], current: list[Any], *, drifted: bool
) -> None:
    """Empty, constant, missing, infinite and rare values give a verdict and strict JSON."""
    assert _one(kind, reference, current).drifted is drifted


def test_absent_column_is_a_missing_one() -> None:
    """A feature that no row of the window carries drifted by its missing share."""
    rng = np.random.default_rng(7)
    detection = _detect(TWO, _numbers(rng, 200), _numbers(rng, 200).drop(columns="x1"))
    column = _columns(detection)["x1"]
    assert column.drifted
    assert column.leading
    assert (column.leading.method, column.leading.value) == ("missing_ratio", 1.0)


@pytest.mark.slow  # imports Evidently
def test_report_shows_the_rule_and_every_column() -> None:
    """The HTML names every column and both methods, and needs no other file."""
    rng = np.random.default_rng(8)
    html = _detect(TWO, _numbers(rng, 200), _numbers(rng, 200)).html()
    for text in (*TWO, "wasserstein", "speaks for drift", PREDICTION):
        assert text in html
    assert 'src="http' not in html


@pytest.mark.slow  # imports Evidently
def test_report_shows_further_tables_above_its_own() -> None:
    """What a run adds stands above the verdicts and the figures."""
    rng = np.random.default_rng(6)
    detection = _detect(TWO, _numbers(rng, 200), _numbers(rng, 200))
    html = detection.html(
        tables=[ReportTable("How it did", ("what", "score"), (("accuracy", "0.987"),))]
    )
    assert "0.987" in html
    assert html.index("How it did") < html.index("Drift needs a significant test")


def test_a_large_window_is_sampled_by_a_fixed_seed() -> None:
    """Above the cap as many rows are evaluated, the same ones each time, from the whole window."""
    rng = np.random.default_rng(9)
    reference, current = (declare(_numbers(rng, rows), TWO) for rows in (1000, 3000))
    detector = Detector(TWO, cap=500)
    first = detector.detect(reference, current)
    assert len(first.current) == 500
    assert first.scores == detector.detect(reference, current).scores
    assert first.scores != Detector(TWO).detect(reference, current).scores
    whole = set(current["x0"])
    assert set(first.current["x0"]) <= whole
    assert not set(first.current["x0"]) <= set(current["x0"][:1500])
    assert len(detector.detect(reference, current[:500]).current) == 500


def test_statistics_of_the_reference_are_kept() -> None:
    """A second window takes the same reference without reading it; another is read."""
    rng = np.random.default_rng(10)
    detector = Detector(TWO)
    reference, other = (declare(_numbers(rng, 500, shift), TWO) for shift in (0.0, 2.0))
    window = declare(_numbers(rng, 500), TWO)
    assert detector.detect(reference, window).scores.ratio == 0
    kept = detector._before
    assert detector.detect(reference, declare(_numbers(rng, 500, 2.0), TWO)).scores.ratio == 1
    assert detector._before is kept
    assert detector.detect(other, window).scores.ratio == 1


@pytest.mark.slow
def test_scoring_leaves_evidently_out() -> None:
    """A process that scores does not import Evidently, which takes seconds."""
    code = (
        "import sys, pandas; from testbed_drift.evaluation.detection import Detector\n"
        "from testbed_drift.rows.frames import declare\n"
        "frame = declare(pandas.DataFrame({'x': [1.0, 2.0]}), {'x': 'numeric'})\n"
        "Detector({'x': 'numeric'}).detect(frame, frame)\n"
        "sys.exit('evidently' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.slow  # imports Evidently
def test_a_column_of_identifiers_is_scored_but_not_drawn() -> None:
    """Evidently would take minutes; the column stands in the table of the verdicts."""
    kinds: dict[str, ColumnKind] = {"x": "numeric", "account": "category"}
    frames = [
        pd.DataFrame({"x": range(900), "account": range(first, first + 900), PREDICTION: "0"})
        for first in (0, 900)
    ]
    detection = _detect(kinds, *frames)
    assert len(_columns(detection)["account"].scores) == 2
    assert {item["config"]["column"] for item in detection.metrics()} == {"x", PREDICTION}
    assert "account" in detection.html()

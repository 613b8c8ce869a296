"""The head of a report: verdict first, then what drifted; the rest is folded."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from testbed_drift.evaluation.decision import Policy, decide
from testbed_drift.evaluation.detection import Detection, Detector
from testbed_drift.evaluation.heading import heading
from testbed_drift.formatting import ReportHeading, ReportTable
from testbed_drift.quality.data import check
from testbed_drift.rendering.overview import overview
from testbed_drift.rendering.sketches import HEIGHT, OTHERS, CategoryBars, Histogram, sketch
from testbed_drift.rows.columns import PREDICTION, TARGET
from testbed_drift.rows.frames import declare
from testbed_drift.rows.windows import Window

if TYPE_CHECKING:
    from testbed_drift.rows.columns import ColumnKind

KINDS: dict[str, ColumnKind] = {"calm": "numeric", "town": "category", "moved": "numeric"}


@pytest.fixture(scope="module")
def detection() -> Detection:
    """Three columns, of which the last drifted."""

    def frame(seed: int, shift: float) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        columns = {
            "calm": rng.normal(0, 1, 600),
            "town": rng.choice(["Ulm", "<b>"], 600),
            "moved": rng.normal(shift, 1, 600),
        }
        return declare(pd.DataFrame(columns | {PREDICTION: None, TARGET: None}), KINDS)

    return Detector(KINDS).detect(frame(1, 0), frame(2, 1))


def test_verdict_names_and_dates_stand_before_what_drifted(detection: Detection) -> None:
    """Then the drifted column with its figure; what is calm is folded, what is empty left out."""
    decision = decide(detection.scores, Policy(alert_columns=1))
    windows = (
        Window("january", detection.reference, times=(1.7e9, 1.7e9 + 60)),
        Window("february", detection.current),
    )
    tables = [
        ReportTable("Shown", ("a",), (("1",),)),
        ReportTable("On request", ("a",), (("1",),), folded=True),
        ReportTable("Empty", ("a",), (), folded=True),
    ]
    frames = (detection.reference, detection.current)
    html = overview(heading(decision, *windows), detection.scores, frames, tables)
    order = [
        "Drift report: february compared with january",
        "ALERT",
        "1 of 3 columns drifted (drift_share 0.33)",
        "january: 2023-11-14 22:13:20 to 2023-11-14 22:14:20 UTC, 600 rows",
        "february: times not known, 600 rows",
        "<h3>moved</h3>",
        "<h2>Shown</h2>",
        "2 columns without drift",
        "<h3>town</h3>",
        "On request",
    ]
    places = [html.index(text) for text in order]
    assert places == sorted(places)
    folded = re.findall(r"<details>.*?</details>", html, re.DOTALL)
    assert not any("<h3>moved</h3>" in part for part in folded)
    assert [part for part in folded if "<h3>calm</h3>" in part]
    assert "Empty" not in html
    assert "&lt;b&gt;" in html
    assert "<b></span>" not in html


@pytest.mark.parametrize("times", [(-9e10, -8.9e10), (1.7e9, 1e30), (0.0, 9e11)])
def test_times_beyond_all_years_are_shown_as_they_are(
    detection: Detection, times: tuple[float, float]
) -> None:
    """As of a column of milliseconds before 1970: nothing that was found is lost over it."""
    windows = (Window("a", detection.reference, times=times), Window("b", detection.current))
    found = heading(decide(detection.scores, Policy()), *windows)
    assert f"{times[0]:.10g} to {times[1]:.10g} s, 600 rows" in found.compared[0][1]


def test_a_report_that_decides_nothing_has_no_verdict(detection: Detection) -> None:
    """That of two tables in a notebook: its title says what was found."""
    html = overview(ReportHeading("Two tables"), detection.scores)
    assert "<h1>Two tables</h1>" in html
    assert 'class="verdict' not in html


def test_numbers_share_bins_and_far_ones_do_not_hide_the_others() -> None:
    """Reference and current are drawn over the same axis; an outlier is in the last bin."""
    rng = np.random.default_rng(3)
    shape = sketch(
        pd.Series([*rng.normal(0, 1, 999), 1e9]), pd.Series([*rng.normal(3, 1, 999), np.nan])
    )
    assert isinstance(shape, Histogram)
    assert -4 < shape.low < -1 < 4 < shape.high < 8
    assert shape.reference.startswith(f"M0 {HEIGHT}")
    assert shape.means[1] == pytest.approx(3, abs=0.2)


def test_categories_beyond_the_most_frequent_are_one() -> None:
    """Every row is in a bar."""
    shape = sketch(pd.Series(list("aabbccddeeffgghhijk")), pd.Series(list("aaaa")))
    assert isinstance(shape, CategoryBars)
    assert (shape.bars[0].name, shape.bars[0].current) == ("a", 1.0)
    assert shape.bars[-1].name == OTHERS
    assert sum(bar.reference for bar in shape.bars) == pytest.approx(1.0)
    assert sketch(pd.Series([None]), pd.Series([None])) is None


@pytest.mark.parametrize(
    ("before", "now", "worse"),
    [
        ([1.0, 2.0, None] * 100, [1.0, 2.0, None] * 100, ()),
        ([1.0, 2.0] * 100, [1.0, 2.0, None] * 100, ("missing",)),
        ([*range(200)], [*range(199), 900], ()),
        ([*range(200)], [*range(150), *range(300, 350)], ("out_of_range",)),
        (["a", "b"] * 100, ["a", "c"] * 100, ("new_category",)),
        ([1.0, 2.0] * 100, [1.0] * 200, ("constant",)),
    ],
)
def test_data_is_worse_only_where_it_differs_from_the_reference(
    before: list[object], now: list[object], worse: tuple[str, ...]
) -> None:
    """Values that lack there as often are nothing new, and one of many is beyond any range."""
    [found] = check({"x": before}, {"x": now}).columns
    assert found.worse == worse

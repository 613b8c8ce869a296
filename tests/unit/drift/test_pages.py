"""The drift job's HTML in a real browser: no text of a row or a column runs as a script."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from testbed_drift.evaluation.detection import Detector
from testbed_drift.formatting import ReportHeading, ReportTable
from testbed_drift.rendering.page import escaped, json_in_script
from testbed_drift.rows.columns import PREDICTION
from testbed_drift.rows.frames import declare
from testbed_drift.tables.dataframes import classification_report, drift_report

from tests.browser import EVERYTHING, HOSTILE, visit, width_needed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testbed_drift.rows.columns import ColumnKind

NUMBER, CATEGORY = f"number {EVERYTHING}", f"category {EVERYTHING}"


def _frame(seed: int, shift: float) -> pd.DataFrame:
    """Rows whose names of columns, categories and classes are hostile."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            NUMBER: rng.normal(shift, 1, 300),
            CATEGORY: rng.choice([*HOSTILE, "tame"], 300),
            PREDICTION: rng.choice([f"no {EVERYTHING}", f"yes {EVERYTHING}"], 300),
        }
    )


@pytest.mark.slow
def test_hostile_text_runs_where_it_is_not_escaped(
    tmp_path: Path, program: Callable[..., str]
) -> None:
    """The other tests can fail: what they look for is there in a page that escapes nothing."""
    browser = program("chromium", "google-chrome")
    for number, text in enumerate(HOSTILE[:2]):
        page = tmp_path / f"{number}.html"
        script = f"<script>var a = {json.dumps(text)};</script>"
        page.write_text(f"<!doctype html>{script}<p>{text}", encoding="utf-8")
        assert visit(browser, page.as_uri(), tmp_path / "profile").attacked, text


@pytest.mark.slow
def test_a_report_of_hostile_rows_runs_nothing(tmp_path: Path, program: Callable[..., str]) -> None:
    """Columns, categories, classes, tables and figures are shown as the text that they are."""
    kinds: dict[str, ColumnKind] = {NUMBER: "numeric", CATEGORY: "category"}
    detection = Detector(kinds).detect(declare(_frame(1, 0), kinds), declare(_frame(2, 1), kinds))
    table = ReportTable(EVERYTHING, ("what", EVERYTHING), ((EVERYTHING, "1"),))
    path = tmp_path / "report.html"
    path.write_text(
        detection.html(ReportHeading(EVERYTHING, EVERYTHING, EVERYTHING, (EVERYTHING,)), [table]),
        encoding="utf-8",
    )
    page = visit(program("chromium", "google-chrome"), path.as_uri(), tmp_path / "profile")
    assert not page.attacked
    assert "Drift needs a significant test" in page.dom
    assert page.dom.count('class="main-svg"') >= 2  # the figures are drawn
    assert "&lt;/script&gt;" in page.dom
    browser = program("chromium", "google-chrome")
    assert width_needed(browser, path, tmp_path / "phone", 420) <= 420


@pytest.mark.slow
def test_a_report_of_hostile_tables_runs_nothing(
    tmp_path: Path, program: Callable[..., str]
) -> None:
    """Reports on two tables of one's own: drift, and the quality of the predictions."""
    before, now = (
        _frame(seed, shift).assign(label=lambda frame: frame[PREDICTION].to_numpy()[::-1])
        for seed, shift in ((1, 0), (2, 1))
    )
    positive = f"yes {EVERYTHING}"
    browser = program("chromium", "google-chrome")
    for number, report in enumerate(
        (
            drift_report(before, now, prediction=PREDICTION, target="label"),
            classification_report(
                before, now, prediction=PREDICTION, target="label", positive=positive
            ),
        )
    ):
        path = tmp_path / f"{number}.html"
        path.write_text(report.html(), encoding="utf-8")
        page = visit(browser, path.as_uri(), tmp_path / "profile")
        assert not page.attacked
        assert page.dom.count('class="main-svg"') >= 2


@pytest.mark.parametrize("text", [*HOSTILE, "a & b\u2028"])
def test_json_in_a_script_means_the_same_and_ends_nothing(text: str) -> None:
    """What the browser reads is the text that was written."""
    written = json_in_script(json.dumps({"text": text}, ensure_ascii=False))
    assert json.loads(written) == {"text": text}
    assert not set("<>&\u2028") & set(written)


@pytest.mark.parametrize("text", [*HOSTILE, "}; var additional_graphs_metric_1 = {}; </script>"])
def test_data_of_evidentlys_template_is_escaped_to_its_end(text: str) -> None:
    """Whatever a text of it looks like; all around it stays as it was."""
    data, figures = {"text": text}, {"a": [text]}
    page = (
        "<head><style></style><script>\n    var metric_1 = {};\n"
        "    var additional_graphs_metric_1 = {};\n</script></head><script>run(metric_1)</script>"
    )
    written = escaped(page.replace("{}", "%s") % (json.dumps(data), json.dumps(figures)))
    decoder = json.JSONDecoder()
    first, end = decoder.raw_decode(written, written.index("{"))
    second, _ = decoder.raw_decode(written, written.index("{", end))
    assert (first, second) == (data, figures)
    assert written.count("<") == page.count("<")


@pytest.mark.parametrize("text", ["", "<script>var metric_1 = {};</script>"])
def test_a_template_without_the_data_is_no_page(text: str) -> None:
    """Another Evidently, whose data would go out as it is, fails here."""
    with pytest.raises(ValueError, match="no single place"):
        escaped(text)

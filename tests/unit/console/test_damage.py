"""A run whose files are damaged, gone, or hold what no time and no number can be."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from testbed.consoleapp import lines
from testbed.consoleapp.asking import logs_page, trace_page, traces_page
from testbed.consoleapp.lines import NOTICE, SPAN, FittingTail, fits
from testbed.consoleapp.overview import Overview
from testbed.consoleapp.pages import NONE, clock, moment, render
from testbed.consoleapp.runfolder import RunFolder
from testbed.layout import RunLayout

from tests.support.ports import free_port
from tests.unit.console.test_traces import span
from tests.unit.console.test_views import NOTICE as WHOLE

if TYPE_CHECKING:
    from pathlib import Path

ODD = ("{", "[]", "{}", '"x"', "null", '{"trace_id": 7, "body": 7}', "\x00", "[" * 5000)
"""Lines of which each is something else than it should be."""


@pytest.fixture
def layout(tmp_path: Path) -> RunLayout:
    """A run of `up` whose Prometheus is gone."""
    folder = RunLayout(tmp_path / "runs" / "one").create()
    endpoints = {"prometheus:9090": f"127.0.0.1:{free_port()}"}
    folder.run_file.write_text(json.dumps({"scenario": "up", "endpoints": endpoints}))
    folder.truth.mkdir(exist_ok=True)
    return folder


def _parts(layout: RunLayout) -> dict[str, str]:
    run = RunFolder(layout)
    return Overview(run, layout.root.parent, None).parts()


def _damaged(page: dict[str, Any]) -> int:
    return int(page["lines"].damaged)


def test_damaged_lines_are_counted_and_the_others_shown(layout: RunLayout) -> None:
    """Of notifications, spans, log records and the timeline: one page for all of them stays."""
    for file in (layout.notifications, layout.messages, layout.timeline, layout.traces):
        file.write_text("\n".join((*ODD, "")))
    layout.log_records.write_text("\n".join((*ODD, "")))
    (layout.truth / "requests.jsonl").write_text("\n".join((*ODD, "")))
    for file, line in ((layout.notifications, WHOLE), (layout.traces, span("aa", "1"))):
        file.write_text(f"{file.read_text()}{json.dumps(line)}\n")
    parts = _parts(layout)
    assert "HighErrorRate" in parts["notifications"]
    assert f"{2 * len(ODD)} damaged lines" in parts["notifications"]
    traces: Any = traces_page(RunFolder(layout), {})
    assert [row.id for row in traces["found"].rows] == ["aa"]
    assert traces["lines"].damaged == len(ODD) - 1  # a line of another kind is none
    assert _damaged(logs_page(RunFolder(layout), {})) == len(ODD) - 1
    page = render("traces", run="one", here="/traces", **traces | {"ratio": 0.01})
    assert "7 damaged lines of the run's spans" in page


@pytest.mark.parametrize("name", ["stack.json", "run.json", "verdict.json", "scenario.yaml"])
@pytest.mark.parametrize("content", ["{", "[]", '{"urls": [], "components": 3, "passed": 1}'])
def test_a_damaged_file_takes_no_page_away(layout: RunLayout, name: str, content: str) -> None:
    """It is as if it were not there."""
    if name != "run.json":
        (layout.root / name).write_text(content)
        assert _parts(layout)["components"]
        return
    folder = RunLayout(layout.root.parent / "two").create()
    folder.run_file.write_text(content)
    assert "two" in _parts(layout)["runs"]


def test_a_run_whose_folder_is_gone_is_still_shown(layout: RunLayout) -> None:
    """What was read of it before stays."""
    layout.notifications.write_text(json.dumps(WHOLE) + "\n")
    overview = Overview(run := RunFolder(layout), layout.root.parent, None)
    overview.parts()
    shutil.rmtree(layout.root.parent)
    layout.root.parent.write_text("no folder")
    assert "HighErrorRate" in overview.parts()["notifications"]
    assert _damaged(traces_page(run, {})) == 0


def test_a_pipe_in_place_of_a_file_holds_up_nothing(layout: RunLayout) -> None:
    """Whoever opens one waits for its writer."""
    for path in (layout.traces, layout.log_records, layout.notifications):
        os.mkfifo(path)
    assert _damaged(traces_page(RunFolder(layout), {})) == 0
    assert _parts(layout)["notifications"]


def test_a_file_that_is_cut_is_read_on_from_its_new_end(tmp_path: Path) -> None:
    """Nothing is raised while it is shorter."""
    tail = FittingTail(path := tmp_path / "lines", NOTICE)
    path.write_text(json.dumps(WHOLE) + "\n")
    assert len(tail.read()) == 1
    path.write_text("")
    assert tail.read() == []


def test_no_time_and_no_number_of_a_span_breaks_a_page(layout: RunLayout) -> None:
    """Times that no clock has are a dash; what is not finite is no span."""
    far = span("aa", "1", start=1e21, duration=-5.0)
    layout.traces.write_text(json.dumps(far) + "\n")
    traces: Any = traces_page(RunFolder(layout), {})
    assert "aa" in render("traces", run="one", here="/traces", **traces | {"ratio": 0.01})
    assert (clock(1e300), moment(-1e300), moment(1e21)) == (NONE, NONE, NONE)
    assert not fits(span("aa", "1", start=float("nan")), SPAN)
    assert not fits(span("aa", "1", duration=float("inf")), SPAN)


def test_of_many_spans_the_latest_are_searched_and_each_trace_is_found(
    layout: RunLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of 50 MB would take seconds of the processor, and gigabytes where ten are open."""
    text = [json.dumps(span(f"trace{i}", "1", start=float(i))) + "\n" for i in range(20)]
    layout.traces.write_text("".join(text))
    for cut in (0, 1, 5):  # at the end of a line, within one
        monkeypatch.setattr(lines, "SEARCHED", len("".join(text[10:])) + cut)
        page: Any = traces_page(RunFolder(layout), {})
        assert [row.id for row in page["found"].rows] == [f"trace{i}" for i in range(19, 9, -1)]
    assert trace_page(RunFolder(layout), "trace3")
    shown = render("traces", run="one", here="/traces", **page | {"ratio": 0.01})
    assert "before them are not" in shown

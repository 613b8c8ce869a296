"""What turns the direction of writing is written out wherever a person reads it."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from markupsafe import Markup
from testbed.console import errors, out
from testbed.templates import html_environment
from testbed_domain.direction import readable, written_out
from testbed_drift.cli.ending import warn, write
from testbed_drift.formatting import ReportHeading
from testbed_drift.rendering.overview import overview
from testbed_receiver.page import render_page

TURNED = "a\u202eb \u2067c"
WRITTEN = "a\\u202eb \\u2067c"


def test_it_is_written_out_and_nothing_else_is() -> None:
    """As JSON does, so that what is printed as JSON means the same."""
    assert written_out(TURNED) == WRITTEN
    assert written_out("é\u05d0\u200b 1") == "é\u05d0\u200b 1"
    assert json.loads(written_out(json.dumps(TURNED, ensure_ascii=False))) == TURNED
    assert readable(Markup("\u202e")) == "\u202e"
    assert (readable(TURNED), readable(1)) == (WRITTEN, 1)


def test_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """By every command, on both streams."""
    for console in (out, errors):
        console.print(TURNED, markup=False)
    write(TURNED)
    warn(TURNED)
    captured = capsys.readouterr()
    for text in captured:
        assert text.count(WRITTEN) == 2
        assert "\u202e" not in text


def test_on_pages() -> None:
    """Of a run's report, a drift report and the receiver."""
    report = html_environment("testbed.report").from_string("<p>{{ text }}</p>")
    assert report.render(text=TURNED) == f"<p>{WRITTEN}</p>"
    assert f"<h1>{WRITTEN}</h1>" in overview(ReportHeading(TURNED))
    notification: Any = SimpleNamespace(
        received_at=0.0,
        status="firing",
        receiver="r",
        alertname=TURNED,
        labels=SimpleNamespace(severity=""),
        annotations=SimpleNamespace(summary="", description=""),
    )
    assert f"<td>{WRITTEN}</td>" in render_page([notification], [])

"""Spans: what START/END means and what a window is called."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from testbed_drift.rows.spans import Period, SpanError
from testbed_drift.storage.reports import report_name


def _unix(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> float:
    return datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()


def test_days_are_included_and_name_the_span_by_the_last() -> None:
    """A month of days covers its last day and is named after it, as in the churn preset's files."""
    january = Period.parse("2024-01-01/2024-01-31")
    assert (january.start, january.end) == (_unix(2024, 1, 1), _unix(2024, 2, 1))
    february = Period.parse("2024-02-01/2024-02-29")
    assert report_name(january.name, february.name, "html") == "drift_2024-01-31_vs_2024-02-29.html"


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T10:15:00Z/2026-11-21T10:20:00Z",
        "2026-11-21T10:15:00/2026-11-21T10:20:00",
        "2026-11-21T11:15:00+01:00/2026-11-21T11:20:00+01:00",
        " 20261121T101500Z/20261121T102000Z ",
    ],
)
def test_times_are_utc_unless_they_say_otherwise(text: str) -> None:
    """Times name the span in UTC, without characters that file systems dislike."""
    span = Period.parse(text)
    assert span.start == _unix(2026, 11, 21, 10, 15)
    assert span.end - span.start == 300
    assert span.name == "20261121T101500Z-20261121T102000Z"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "2024-01-01",
        "2024-02-30/2024-03-01",
        "2024-01-31/2024-01-01",
        "yesterday/today",
        "2024-01-01T00:00Z/2024-01-01T00:00Z",
        "9999-12-31/9999-12-31",
        "2024-01-01/2024-01-02/2024-01-03",
    ],
)
def test_no_window_is_refused_with_the_forms_that_work(text: str) -> None:
    """What is no span is refused, and the message shows how to write one."""
    with pytest.raises(SpanError, match="START/END"):
        Period.parse(text)

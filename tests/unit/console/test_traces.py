"""Traces: searched, and as a waterfall."""

from __future__ import annotations

from typing import Any

from testbed.consoleapp.traces import SPANS, TraceSearch, find_traces, trace_row, waterfall


def span(trace: str, number: str, parent: str = "", **more: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of many types
    """A span as the receiver stores it."""
    return {
        "trace_id": trace,
        "span_id": number,
        "parent_id": parent,
        "name": f"span {number}",
        "kind": "INTERNAL",
        "service": "ml-api",
        "start": 100.0,
        "duration": 1.0,
        "status": "UNSET",
        "attributes": {},
    } | more


def test_a_search_goes_by_id_service_error_and_duration() -> None:
    """Each narrows the traces, and the order is the caller's."""
    spans = [
        span("aa", "1", start=100.0, duration=0.5),
        span("bb", "2", start=200.0, duration=0.1, service="drift", status="ERROR"),
        span("cc", "3", start=150.0, duration=2.0, attributes={"http.route": "/predict"}),
    ]

    def ids(**search: Any) -> list[str]:  # noqa: ANN401 - fields of many types
        return [row.id for row in find_traces(spans, TraceSearch(**search)).rows]

    assert ids() == ["bb", "cc", "aa"]
    assert ids(slowest=True) == ["cc", "aa", "bb"]
    assert ids(text="CC") == ["cc"]
    assert ids(text="/predict") == ["cc"]
    assert ids(service="drift") == ids(errors=True) == ["bb"]
    assert ids(text="nothing") == []
    assert find_traces(spans, TraceSearch(text="nothing")).services == ["drift", "ml-api"]


def test_children_stand_below_their_parents() -> None:
    """In the order of their beginnings, each at its place of the whole trace."""
    spans = [
        span("t", "child", "root", start=100.5, duration=0.25),
        span("t", "root", start=100.0, duration=1.0),
        span("t", "other", "gone", start=100.75, duration=0.25),
        span("t", "grandchild", "child", start=100.5, duration=0.125),
    ]
    bars = waterfall(spans)
    assert [(bar.span["span_id"], bar.depth) for bar in bars] == [
        ("root", 0),
        ("child", 1),
        ("grandchild", 2),
        ("other", 0),
    ]
    assert (bars[1].left, bars[1].width) == (0.5, 0.25)
    row = trace_row(spans)
    assert (row.name, row.spans, row.duration) == ("span root", 4, 1.0)


def test_a_broken_trace_has_an_end() -> None:
    """A span that is its own parent, and more spans than a page holds."""
    assert len(waterfall([span("t", "1", "1")])) == 1
    assert len(waterfall(span("t", str(number)) for number in range(SPANS + 9))) == SPANS
    assert waterfall([]) == []

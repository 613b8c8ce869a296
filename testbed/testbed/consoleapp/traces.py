"""Traces of the spans that a stack keeps: searched, and as a waterfall. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from heapq import nlargest
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Line = Mapping[str, Any]

LISTED: Final = 50
"""Traces of a list at most."""
SPANS: Final = 500
"""Spans of a waterfall at most."""


@dataclass(frozen=True, slots=True)
class TraceSummary:
    """One trace.

    Attributes:
        id: of it.
        name: of its first span without a stored parent.
        services: of its spans, in their order.
        start: Unix time.
        duration: seconds from its first beginning to its last end.
        spans: how many.
        errors: how many of them have the status ERROR.
    """

    id: str
    name: str
    services: tuple[str, ...]
    start: float
    duration: float
    spans: int
    errors: int


@dataclass(frozen=True, slots=True)
class WaterfallBar:
    """One span of a waterfall.

    Attributes:
        span: its line.
        depth: of its parents.
        left: where it begins, 0 to 1 of the trace.
        width: of it, likewise.
    """

    span: Line
    depth: int
    left: float
    width: float


@dataclass(frozen=True, slots=True)
class TraceSearch:
    """Which traces are wanted.

    Attributes:
        text: of the trace's id, a span's name or an attribute's value; empty takes all.
        service: that it touches; empty takes all.
        errors: whether only those with an error.
        slowest: whether the slowest come first, and not the latest.
    """

    text: str = ""
    service: str = ""
    errors: bool = False
    slowest: bool = False


@dataclass(slots=True)
class TraceList:
    """Traces of a search.

    Attributes:
        rows: at most :data:`LISTED`.
        total: how many there are.
        services: of all traces.
    """

    rows: list[TraceSummary] = field(default_factory=list)
    total: int = 0
    services: list[str] = field(default_factory=list)


def find_traces(spans: Iterable[Line], search: TraceSearch) -> TraceList:
    """The traces that a search wants."""
    traces: dict[str, list[Line]] = defaultdict(list)
    for span in spans:
        traces[span["trace_id"]].append(span)
    services = sorted({span["service"] for found in traces.values() for span in found})
    rows = [trace_row(found) for found in traces.values() if _wanted(found, search)]
    key = (lambda row: row.duration) if search.slowest else (lambda row: row.start)
    return TraceList(nlargest(LISTED, rows, key=key), len(rows), services)


def trace_row(spans: Iterable[Line]) -> TraceSummary:
    """One trace from its spans."""
    ordered = sorted(spans, key=lambda span: span["start"])
    known = {span["span_id"] for span in ordered}
    first = next((span for span in ordered if span["parent_id"] not in known), ordered[0])
    start = ordered[0]["start"]
    return TraceSummary(
        ordered[0]["trace_id"],
        first["name"],
        tuple(dict.fromkeys(span["service"] for span in ordered)),
        start,
        max(span["start"] + span["duration"] for span in ordered) - start,
        len(ordered),
        sum(span["status"] == "ERROR" for span in ordered),
    )


def waterfall(spans: Iterable[Line]) -> list[WaterfallBar]:
    """The spans of one trace, each below its parent, in the order of their beginnings."""
    ordered = sorted(spans, key=lambda span: span["start"])
    if not ordered:
        return []
    known = {span["span_id"] for span in ordered}
    children: dict[str, list[Line]] = defaultdict(list)
    for span in ordered:
        parent = span["parent_id"]
        children[parent if parent in known and parent != span["span_id"] else ""].append(span)
    start = ordered[0]["start"]
    length = max(span["start"] + span["duration"] for span in ordered) - start or 1e-9
    bars: list[WaterfallBar] = []
    waiting = [(span, 0) for span in reversed(children[""])]
    while waiting and len(bars) < SPANS:
        span, depth = waiting.pop()
        bars.append(
            WaterfallBar(span, depth, (span["start"] - start) / length, span["duration"] / length)
        )
        below = children.pop(span["span_id"], [])
        waiting += [(child, depth + 1) for child in reversed(below)]
    return bars


def _wanted(spans: list[Line], search: TraceSearch) -> bool:
    if search.errors and not any(span["status"] == "ERROR" for span in spans):
        return False
    if search.service and not any(span["service"] == search.service for span in spans):
        return False
    text = search.text.strip().lower()
    return not text or any(_holds(span, text) for span in spans)


def _holds(span: Line, text: str) -> bool:
    values = (span["trace_id"], span["name"], *map(str, span["attributes"].values()))
    return any(text in value.lower() for value in values)

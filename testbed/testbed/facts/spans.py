"""Spans of a run, held against what the load saw of the same requests."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from heapq import nlargest
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field
from testbed_otel import names

from testbed.charts import PREDICT_ROUTE, StoredModel
from testbed.facts.clockoffsets import ClockComparison, ClockOffset
from testbed.facts.loadspans import LoadSpans, load_spans, spans_of_load

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from testbed.truth import Request

Line = dict[str, Any]

EXAMPLES: Final = 3
SLOWEST: Final = 10
"""Requests that are listed with their traces."""
SLOW: Final = 1.0
"""Seconds from which the API traces a request whatever was sampled, as its default has it."""
OVERLAP: Final = 0.25
"""Seconds by which a span may leave the time in which its client waited: threads take turns."""
NESTING: Final = 0.05
"""The same for a span and its parent, in one process."""
SERVER_ERROR: Final = 500
_ROUTE, _STATUS = names.HTTP_ROUTE, names.HTTP_STATUS


class Found(StoredModel):
    """How many spans or records have a fault, and what the first few are like."""

    count: int = 0
    examples: tuple[str, ...] = ()


class SlowRequest(StoredModel):
    """One of the slowest requests, and where its trace is found.

    Attributes:
        request_id: of the request.
        phase: its phase.
        scheduled_at: Unix time at which it was due.
        latency: seconds from then to its end.
        status: HTTP status, or None.
        error: why there was no answer, or None.
        trace_id: of its trace; None where it was sent without one.
        spans: stored spans of that trace.
        sent: whether the load's own is among them, in which the trace begins.
    """

    request_id: str
    phase: str
    scheduled_at: float
    latency: float
    status: int | None
    error: str | None = None
    trace_id: str | None = None
    spans: int = 0
    sent: bool = False


class SpanFacts(StoredModel):
    """Spans of ``POST /predict`` beside the requests that they are of.

    Attributes:
        requests: answered requests whose spans must have arrived.
        joined: spans of requests of the load.
        ordinary: requests whose tracing is left to chance alone: answered in time, without error.
        sampled: those of them that have a span.
        failed: requests that were answered 5xx, which always have a span.
        untraced: those of them that have none.
        faults: kind of fault to the spans that have it.
        excess: median of a span's duration minus what its client waited, in seconds.
        slowest: the slowest requests, with their traces.
        clocks: processes whose stamps are of another clock than the load's.
        load: spans of the load itself; None where it sends none.
    """

    requests: int = 0
    joined: int = 0
    ordinary: int = 0
    sampled: int = 0
    failed: int = 0
    untraced: Found = Found()
    faults: dict[str, Found] = Field(default_factory=dict)
    excess: float | None = None
    slowest: tuple[SlowRequest, ...] = ()
    clocks: tuple[ClockOffset, ...] = ()
    load: LoadSpans | None = None


@dataclass
class SpanFaults:
    """Collects faults by kind, in the order in which they are first found."""

    found: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, example: str) -> None:
        """Count one more."""
        self.counts[kind] += 1
        if len(self.found[kind]) < EXAMPLES:
            self.found[kind].append(example)

    def freeze(self) -> dict[str, Found]:
        """Kind to what was found of it."""
        return {
            kind: Found(count=self.counts[kind], examples=tuple(examples))
            for kind, examples in self.found.items()
        }


@dataclass(frozen=True, slots=True)
class Setting:
    """What holds of a run.

    Attributes:
        requests: of the load, by id.
        instances: ``service.instance.id`` of each start of the API.
        start: Unix time.
        end: Unix time.
        arrived: Unix time; what ended before it must have arrived.
        slowed: stretches of time in which each prediction takes so many seconds at least.
        ratio: share of requests that are to be sampled; None where that is unknown.
        load: id of the run whose load sends spans; None where it sends none.
    """

    requests: Mapping[str, Request]
    instances: frozenset[str]
    start: float
    end: float
    arrived: float
    slowed: tuple[tuple[float, float, float], ...] = ()
    ratio: float | None = None
    load: str | None = None


def request_of(line: Line) -> str | None:
    """The id by which the load knows the request of a span."""
    found = line["attributes"].get(names.REQUEST_ID)
    if isinstance(found, list):
        found = found[0] if found else None
    return None if found is None else str(found)


def span_facts(lines: Sequence[Line], setting: Setting) -> SpanFacts:
    """Join spans with requests.

    Args:
        lines: spans as the receiver writes them.
        setting: the run.
    """
    faults = SpanFaults()
    mine = list(_of_this_run(lines, setting, faults))
    for line in mine:
        _check_server(line, faults)
    sent = {r.trace_id for r in setting.requests.values() if r.trace_id}
    begun = min((r.sent_at for r in setting.requests.values()), default=0.0)
    # A stack that has answered before stored spans whose requests no truth of this run holds.
    sent |= {line["trace_id"] for line in mine if line["start"] < begun}
    _check_relations(mine, sent, faults)
    traced: dict[str, Line] = {}
    for line in mine:
        identity = request_of(line)
        if identity in setting.requests and identity is not None:
            traced.setdefault(identity, line)
    excess, clocks = [], ClockComparison()
    for identity, line in traced.items():
        request = setting.requests[identity]
        _check_request(line, request, faults)
        _check_time(line, request, setting, faults)
        clocks.add(line["instance"], line["start"], line["start"] + line["duration"], request)
        if request.status is not None:
            excess.append(line["duration"] - (request.finished_at - request.sent_at))
    ours = [] if setting.load is None else spans_of_load(lines, setting.load)
    settled = [r for r in setting.requests.values() if r.finished_at <= setting.arrived]
    answered = [r for r in settled if r.status is not None]
    ordinary = [r for r in answered if not r.failed and r.finished_at - r.sent_at < SLOW]
    failed = [r for r in answered if r.failed]
    without = [r.request_id for r in failed if r.request_id not in traced]
    return SpanFacts(
        requests=len(answered),
        joined=len(traced),
        ordinary=len(ordinary),
        sampled=sum(r.request_id in traced for r in ordinary),
        failed=len(failed),
        untraced=Found(count=len(without), examples=tuple(without[:EXAMPLES])),
        faults=faults.freeze(),
        excess=statistics.median(excess) if excess else None,
        slowest=tuple(slowest(setting.requests.values(), [*ours, *mine])),
        clocks=clocks.offsets(),
        load=None if setting.load is None else load_spans(ours, traced.values(), setting.requests),
    )


def slowest(requests: Iterable[Request], lines: Iterable[Line]) -> Iterator[SlowRequest]:
    """The requests with the highest latency, and how many spans of their traces are stored."""
    spans: Counter[str] = Counter()
    sent = set()
    for line in lines:
        spans[line["trace_id"]] += 1
        if line["service"] == names.SERVICE_LOAD:
            sent.add(line["trace_id"])
    for request in nlargest(SLOWEST, requests, key=lambda each: each.latency):
        yield SlowRequest(
            request_id=request.request_id,
            phase=request.phase,
            scheduled_at=request.scheduled_at,
            latency=request.latency,
            status=request.status,
            error=request.error,
            trace_id=request.trace_id,
            spans=spans[request.trace_id] if request.trace_id else 0,
            sent=request.trace_id in sent,
        )


def _of_this_run(lines: Iterable[Line], setting: Setting, faults: SpanFaults) -> Iterator[Line]:
    """Spans of the API, each once."""
    seen: set[tuple[str, str]] = set()
    for line in lines:
        key = (line["trace_id"], line["span_id"])
        if key in seen:
            faults.add("arrived more than once", _say(line))
            continue
        seen.add(key)
        if line["service"] != names.SERVICE_API:
            if line["service"] not in {names.SERVICE_DRIFT, names.SERVICE_LOAD}:
                faults.add("of an unknown service", f"{_say(line)}: {line['service']!r}")
            continue
        if line["instance"] not in setting.instances:
            faults.add("of an unknown instance", f"{_say(line)}: {line['instance']!r}")
            continue
        if not setting.start - 1 <= line["start"] <= setting.end + 1:
            faults.add("out of the run's time", f"{_say(line)}: starts at {line['start']:.3f}")
        if line["duration"] <= 0:
            faults.add("without a duration", f"{_say(line)}: {line['duration']:g} s")
        yield line


def _check_server(line: Line, faults: SpanFaults) -> None:
    """Name, kind and attributes of a span by which a request is served."""
    attributes = line["attributes"]
    if line["parent_id"] and line["kind"] != "SERVER":
        return
    if line["kind"] != "SERVER":
        faults.add("not of kind SERVER", f"{_say(line)}: {line['kind']}")
    wanted = _name(attributes)
    if line["name"] != wanted:
        faults.add("with a wrong name", f"{_say(line)} instead of {wanted!r}")


def _name(attributes: Mapping[str, Any]) -> str:
    """What the semantic conventions call a span with such attributes."""
    method = attributes.get(names.HTTP_METHOD)
    verb = "HTTP" if method == names.OTHER_METHOD else str(method)
    return f"{verb} {attributes[_ROUTE]}" if attributes.get(_ROUTE) else verb


def _check_request(line: Line, request: Request, faults: SpanFaults) -> None:
    """What a span says of a request whose answer the load knows."""
    attributes = line["attributes"]
    if line["name"] != f"POST {PREDICT_ROUTE}" and line["name"] == _name(attributes):
        # Else it does not even fit what the span says itself, and is counted already.
        faults.add("with a wrong name", f"{_say(line)} instead of 'POST {PREDICT_ROUTE}'")
    if attributes.get(_ROUTE) != PREDICT_ROUTE:
        faults.add("with a wrong route", f"{_say(line)}: {attributes.get(_ROUTE)!r}")
    if request.trace_id is not None and line["trace_id"] != request.trace_id:
        said = f"{line['trace_id']}, it was sent in {request.trace_id}"
        faults.add("in a trace of another request", f"{_say(line)}: {said}")
    if request.status is None:
        return
    status = attributes.get(_STATUS)
    if status != request.status:
        faults.add(
            "with a wrong HTTP status", f"{_say(line)}: {status}, the load got {request.status}"
        )
    fails = request.status >= SERVER_ERROR
    if fails != (line["status"] == "ERROR"):
        said = f"{line['status']} for an answer with {request.status}"
        faults.add("with a wrong span status", f"{_say(line)}: {said}")


def _check_time(line: Line, request: Request, setting: Setting, faults: SpanFaults) -> None:
    """A span lies within the time in which its client waited."""
    start, end = line["start"], line["start"] + line["duration"]
    if request.status is None:
        return
    if start < request.sent_at - OVERLAP or end > request.finished_at + OVERLAP:
        waited = request.finished_at - request.sent_at
        faults.add(
            "outside of the time in which the client waited",
            f"{_say(line)}: {start - request.sent_at:.3f} s after it was sent, for "
            f"{line['duration']:.3f} s; the client waited {waited:.3f} s",
        )
    for begin, over, seconds in setting.slowed:
        within = begin <= request.sent_at and request.finished_at <= over
        if within and not request.failed and line["duration"] < 0.9 * seconds:
            faults.add(
                "shorter than the latency that was added",
                f"{_say(line)}: {line['duration']:.3f} s, {seconds:g} s were added",
            )


def _check_relations(lines: Sequence[Line], sent: Collection[str], faults: SpanFaults) -> None:
    """Parents exist, in the same trace, and hold their children; each request has its trace.

    In a trace that the load ``sent`` the span of the server is the first one that is stored: its
    parent is the load's.
    """
    by_id = {line["span_id"]: line for line in lines}

    def first(line: Line) -> bool:
        remote = line["kind"] == "SERVER" and line["parent_id"] not in by_id
        return not line["parent_id"] or (remote and line["trace_id"] in sent)

    roots = Counter(line["trace_id"] for line in lines if first(line))
    for line in lines:
        if first(line):
            if roots[line["trace_id"]] > 1 or not line["trace_id"].strip("0"):
                faults.add("in a trace of another request", f"{_say(line)}: {line['trace_id']}")
            continue
        parent = by_id.get(line["parent_id"])
        if parent is None:
            faults.add("whose parent did not arrive", f"{_say(line)}: {line['parent_id']}")
        elif parent["trace_id"] != line["trace_id"]:
            faults.add("whose parent is in another trace", _say(line))
        elif not (
            parent["start"] - NESTING <= line["start"]
            and line["start"] + line["duration"] <= parent["start"] + parent["duration"] + NESTING
        ):
            faults.add("outside of its parent's time", _say(line))


def _say(line: Line) -> str:
    return f"span {line['span_id']} {line['name']!r}"

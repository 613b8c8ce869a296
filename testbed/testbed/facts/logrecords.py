"""Log records of a run, held against what the load saw and against the spans."""

from __future__ import annotations

import statistics
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field
from testbed_otel import names

from testbed.charts import PREDICT_ROUTE, StoredModel
from testbed.facts.clockoffsets import ClockComparison, ClockOffset
from testbed.facts.spans import (
    EXAMPLES,
    SERVER_ERROR,
    SLOW,
    Found,
    Setting,
    SpanFaults,
    request_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

Line = dict[str, Any]

ACCESS: Final = "access"
"""Scope of the access log, as ``testbed_otel.otlplogs`` names it."""
ACCESS_SEVERITY: Final = "INFO"
_SEVERITIES: Final = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
"""By number, four each from 1 on, as OpenTelemetry has them."""
_SAME: Final = {"WARNING": "WARN", "CRITICAL": "FATAL", "NOTSET": ""}
DOUBT: Final = 0.05
"""Share of the ratio by which the stored one may be rounded."""
_IDS: Final = 2**64
LAG: Final = 0.5
"""Seconds by which a record may be older or newer than the request that it is of."""


class RecordFacts(StoredModel):
    """Records of the access log beside the requests that they are of.

    Attributes:
        records: of the API, of whichever logger.
        requests: answered requests whose records must have arrived.
        missing: those of them that have none.
        traced: records that say that their request has a span.
        faults: kind of fault to the records that have it.
        excess: median of a span's duration minus that in the record of the same request.
        clocks: processes whose stamps are of another clock than the load's.
    """

    records: int = 0
    requests: int = 0
    missing: Found = Found()
    traced: int = 0
    faults: dict[str, Found] = Field(default_factory=dict)
    excess: float | None = None
    clocks: tuple[ClockOffset, ...] = ()


def record_facts(lines: Sequence[Line], spans: Sequence[Line], setting: Setting) -> RecordFacts:
    """Join records with requests and spans.

    Args:
        lines: records as the receiver writes them.
        spans: the same of spans.
        setting: the run.
    """
    faults, clocks = SpanFaults(), ClockComparison()
    known = {(span["trace_id"], span["span_id"]): span for span in spans}
    reported: Counter[str] = Counter()
    excess, records, traced = [], 0, 0
    for line in lines:
        if line["service"] != names.SERVICE_API or line["instance"] not in setting.instances:
            faults.add("of an unknown sender", f"{line['service']} {line['instance']}")
            continue
        records += 1
        _check_record(line, setting, faults)
        identity = line["attributes"].get("request_id")
        if line["scope"] != ACCESS or identity not in setting.requests:
            continue
        if line["attributes"].get("route") != PREDICT_ROUTE:
            faults.add("with a wrong route", f"{identity}: {line['attributes'].get('route')!r}")
        reported[identity] += 1
        _check_request(line, setting, faults)
        clocks.add(line["instance"], line["time"], line["time"], setting.requests[identity])
        span = known.get((line["trace_id"], line["span_id"]))
        sampled = bool(line["attributes"].get("trace_sampled"))
        traced += sampled
        _check_trace(line, span, setting, faults, sampled=sampled)
        if line["severity_text"] != ACCESS_SEVERITY:
            faults.add("with a wrong severity", f"{identity}: {line['severity_text']}")
        chosen = _chosen(line, setting)
        if chosen is not None and chosen is not sampled:
            was = "was sampled" if sampled else "was not sampled"
            faults.add("sampled otherwise than their trace id says", f"{identity} {was}")
        if span is not None and request_of(span) == identity:
            excess.append(span["duration"] - float(line["attributes"].get("duration", 0.0)))
    for identity, count in reported.items():
        if count > 1:
            faults.add("twice for one request", f"{identity}: {count} records")
    settled = [
        r.request_id
        for r in setting.requests.values()
        if r.status is not None and r.finished_at <= setting.arrived
    ]
    missing = [identity for identity in settled if identity not in reported]
    return RecordFacts(
        records=records,
        requests=len(settled),
        missing=Found(count=len(missing), examples=tuple(missing[:EXAMPLES])),
        traced=traced,
        faults=faults.freeze(),
        excess=statistics.median(excess) if excess else None,
        clocks=clocks.offsets(),
    )


def _check_record(line: Line, setting: Setting, faults: SpanFaults) -> None:
    if not line["body"]:
        faults.add("without a body", f"a record of {line['scope']}")
    if not line["severity"] or not line["severity_text"]:
        faults.add("without a severity", f"a record of {line['scope']}")
    elif not _agrees(line["severity"], line["severity_text"]):
        said = f"{line['severity_text']} with the number {line['severity']}"
        faults.add("with a wrong severity", f"a record of {line['scope']}: {said}")
    if not setting.start - 1 <= line["time"] <= setting.end + 1:
        faults.add("out of the run's time", f"a record of {line['scope']}: {line['time']:.3f}")


def _agrees(number: int, text: str) -> bool:
    """Whether a severity's number is of the range that its text names, where it is a known one."""
    name = _SAME.get(text.upper(), text.upper())
    if name not in _SEVERITIES:
        return True
    minimum = 4 * _SEVERITIES.index(name) + 1
    return minimum <= number < minimum + 4


def _chosen(line: Line, setting: Setting) -> bool | None:
    """Whether the ratio samples a request of this trace; None where more than the ratio decides.

    As OpenTelemetry's sampler has it: the lower half of the trace id lies below the ratio.
    """
    attributes = line["attributes"]
    status, duration = attributes.get("status"), attributes.get("duration")
    if (
        setting.ratio is None
        or not isinstance(status, int)
        or not isinstance(duration, int | float)
    ):
        return None
    if status >= SERVER_ERROR or attributes.get("error") or duration >= SLOW - LAG:
        return None
    try:
        place = int(line["trace_id"][16:], 16) / _IDS
    except ValueError:
        return None
    if abs(place - setting.ratio) <= DOUBT * setting.ratio:
        return None
    return place < setting.ratio


def _check_request(line: Line, setting: Setting, faults: SpanFaults) -> None:
    identity = line["attributes"]["request_id"]
    request, status = setting.requests[identity], line["attributes"].get("status")
    if request.status is None:
        return
    if status != request.status:
        faults.add(
            "with a wrong HTTP status", f"{identity}: {status}, the load got {request.status}"
        )
    if not request.sent_at - LAG <= line["time"] <= request.finished_at + LAG:
        late = line["time"] - request.finished_at
        faults.add("with a wrong time", f"{identity}: {late:.3f} s after the client had its answer")


def _check_trace(
    line: Line, span: Line | None, setting: Setting, faults: SpanFaults, *, sampled: bool
) -> None:
    """The record and the span of a request meet under its trace; without a span there is none."""
    identity, attributes = line["attributes"]["request_id"], line["attributes"]
    if not line["trace_id"].strip("0"):
        faults.add("without a trace", identity)
    elif attributes.get("trace_id") != line["trace_id"]:
        faults.add("of another trace than they say", f"{identity}: {line['trace_id']}")
    elif span is not None and request_of(span) not in {None, identity}:
        faults.add("in the trace of another request", f"{identity}: {line['trace_id']}")
    elif span is not None and not sampled:
        faults.add("that deny their span", f"{identity}: {line['trace_id']}")
    elif span is None and sampled and line["time"] <= setting.arrived:
        faults.add("whose span did not arrive", f"{identity}: {line['trace_id']}")

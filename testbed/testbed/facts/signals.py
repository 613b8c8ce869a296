"""Spans and log records that arrived behind the Collector."""

from __future__ import annotations

import json
from bisect import bisect_right
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, Final

from testbed_domain.jsonlines import parse_line
from testbed_otel import names

from testbed.charts import StoredModel
from testbed.facts.injected import latencies
from testbed.facts.logrecords import RecordFacts, record_facts
from testbed.facts.spans import Setting, SpanFacts, span_facts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from testbed.clients.prometheus import Series
    from testbed.facts.sources import Sources

Line = dict[str, Any]

EXPORTER: Final = "otlp_http/receiver"
"""What sends to the receiver, as ``testbed.stack.configuration`` names it."""
SKEW: Final = 0.2
"""Seconds by which a scrape's values may be newer than its time says."""
ACKNOWLEDGED: Final = 2.0
"""Seconds after which the Collector has counted what arrived, on a busy machine."""
MARGIN: Final = 5.0
"""Real seconds in which what was made has arrived, on a busy machine."""
BATCHES: Final = 10.0
"""Production seconds in which it is gathered: 5 in the process, 5 in the Collector."""
EDGE: Final = 2.0
"""Real seconds in which a fault takes hold or ends."""
LOOKBACK: Final = 20
"""Scrapes of the Collector that are compared."""


class Arrival(StoredModel):
    """What the receiver got of one signal, beside what the Collector says.

    Attributes:
        received: whole lines in the file.
        broken: lines that can't be read.
        full: whether the file was full, so that more was let go.
        accepted: what the Collector took, as of its last scrape; None where that is unknown.
        sent: what it sent to the receiver, as of then.
        by_then: what the receiver had by then.
        before: what it had well before.
        waiting: the fewest that it had taken and, two scrapes later, not sent.
        failed: what the processes say of exports that failed or were dropped: some of it may have
            arrived.
        restarted: whether it began to count anew, so that some counts were never read.
    """

    received: int = 0
    broken: int = 0
    full: bool = False
    accepted: int | None = None
    sent: int = 0
    by_then: int = 0
    before: int = 0
    waiting: int = 0
    failed: int = 0
    restarted: bool = False


class Signals(StoredModel):
    """Spans and log records that arrived behind the Collector.

    Attributes:
        sink: whether the receiver was to get them.
        ratio: share of requests that were to be sampled; None in runs of before.
        spans: how spans arrived.
        traces: what they say; None without a sink.
        records: how log records arrived.
        logs: what they say; None without a sink, or where the API sends none.
    """

    sink: bool = False
    ratio: float | None = None
    spans: Arrival = Arrival()
    traces: SpanFacts | None = None
    records: Arrival = Arrival()
    logs: RecordFacts | None = None


def read_signals(sources: Sources) -> Signals:
    """Read them.

    Raises:
        DomainError: they can't be had.
    """
    layout = sources.layout
    asked = _asked(layout.run_file)
    ratio = asked.get("trace_ratio")
    gone = {"collector", "receiver"} & set(asked.get("without") or ())
    if ratio is None or gone or not asked.get("sink", True):
        return Signals(ratio=ratio)
    spans, records = _Lines(layout.traces), _Lines(layout.log_records)
    load = asked["id"] if asked.get("load_telemetry") else None
    setting = _setting(sources, ratio, load)
    logs = asked.get("logs") or records.lines
    return Signals(
        sink=True,
        ratio=ratio,
        spans=_arrival(sources, "spans", spans),
        traces=span_facts(spans.lines, setting),
        records=_arrival(sources, "log_records", records),
        logs=record_facts(records.lines, spans.lines, setting) if logs else None,
    )


def _asked(path: Path) -> dict[str, Any]:
    """The identity of the run: what was to be sampled and sent, and which components there are."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _setting(sources: Sources, ratio: float | None = None, load: str | None = None) -> Setting:
    return Setting(
        requests={request.request_id: request for request in sources.truth.requests},
        instances=frozenset(sources.pages),
        start=sources.span.since,
        end=sources.span.end,
        arrived=sources.span.end - MARGIN - sources.real(BATCHES),
        slowed=tuple(
            (start + EDGE, end - EDGE, seconds)
            for start, end, seconds in latencies(sources, every=True)
        ),
        ratio=ratio,
        load=load,
    )


class _Lines:
    """The lines of a file of the receiver."""

    def __init__(self, path: Path) -> None:
        self.lines: list[Line] = []
        self.broken, self.full = 0, False
        try:
            content = path.read_bytes()
        except OSError:
            content = b""
        for raw in content.splitlines():
            try:
                line = parse_line(raw)
                if line.get("full"):
                    self.full = True
                else:
                    line["received_at"], line["attributes"], line["trace_id"]
                    self.lines.append(line)
            except (ValueError, KeyError, AttributeError):
                self.broken += 1


def _arrival(sources: Sources, kind: str, lines: _Lines) -> Arrival:
    at, window = sources.span.end, sources.span.end - sources.span.since

    def counter(what: str, more: str = "") -> dict[float, int]:
        selector = f'otelcol_{what}_{kind}_total{{job="{names.JOB_COLLECTOR}"{more}}}'
        return _summed(sources.prometheus.raw(selector, at=at, window=window))

    accepted = counter("receiver_accepted")
    sent = counter("exporter_sent", f',exporter="{EXPORTER}"')
    times = sorted(line["received_at"] for line in lines.lines)
    known = Arrival(received=len(times), broken=lines.broken, full=lines.full)
    if not accepted:
        return known
    signal, item = {"spans": ("traces", "span"), "log_records": ("logs", "log")}[kind]
    failed = (
        f'{names.TELEMETRY_EXPORT_FAILED.prometheus}{{{names.label(names.SIGNAL)}="{signal}"}}',
        f'otel_sdk_processor_{item}_processed_total{{{names.label(names.ERROR_TYPE)}!=""}}',
    )
    lost = sum(
        sample.value
        for selector in failed
        for sample in sources.prometheus.last_values(selector, at=at, window=window)
    )
    last = max(accepted)
    taken = _over_lives(accepted.values())
    passed = _over_lives(sent.get(time, 0) for time in accepted)
    differences = [a - s for a, s in zip(taken[:-2], passed[2:], strict=True)]
    return known.model_copy(
        update={
            "accepted": taken[-1],
            "sent": passed[-1],
            "by_then": bisect_right(times, last + SKEW),
            "before": bisect_right(times, last - ACKNOWLEDGED),
            "waiting": max(0, min(differences[-LOOKBACK:], default=0)),
            "failed": round(lost),
            "restarted": any(b < a for a, b in pairwise(accepted.values())),
        }
    )


def _over_lives(values: Iterable[int]) -> list[int]:
    """Values of a counter, which begins anew with each life, as if it had not."""
    found = list(values)
    steps = (b - a if b >= a else b for a, b in pairwise([0, *found]))
    return list(accumulate(steps))


def _summed(series: Sequence[Series]) -> dict[float, int]:
    """Values by time, in order, added up over the series."""
    found: dict[float, float] = {}
    for each in series:
        for time, value in each.points:
            found[time] = found.get(time, 0.0) + value
    return {time: round(value) for time, value in sorted(found.items())}

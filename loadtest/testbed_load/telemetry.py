"""What the load itself sends over OTLP: durations, and a span of each request of a stored trace.

A span is the parent of the service's own, since its id is that of the ``traceparent``, so that a
slow request is found as a trace that begins where it was sent. Locust's ``--otel`` knows nothing of
its fast HTTP client. Over HTTP alone: OTLP over gRPC can stand still under gevent.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags
from testbed_otel.masking import mask
from testbed_otel.names import SERVICE_LOAD

from testbed_load.exchange import PREDICT
from testbed_load.traceids import request_context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.util.types import AttributeValue

    from testbed_load.plan import LoadPlan
    from testbed_load.truth import RequestRecord, TruthSink

SCOPE: Final = "testbed_load"
DURATION: Final = "http.client.request.duration"
# The boundaries that the semantic conventions advise.
BOUNDARIES: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
SERVER_ERROR: Final = 500
NANOSECONDS: Final = 1e9
FLUSH: Final = 5000
"""Milliseconds that the last exports may take."""
INTERVAL: Final = 1000


class _Counting(SpanExporter):
    """Counts what was taken."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self.taken = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """As the exporter does."""
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            self.taken += len(spans)
        return result

    def shutdown(self) -> None:
        """As the exporter does."""
        self._exporter.shutdown()


class SpannedTruth:
    """Stores the truth and sends telemetry of it; of the process that writes the truth.

    Args:
        truth: stores it.
        plan: what is sent.
        host: URL of the service.
        endpoint: base URL of an OTLP/HTTP receiver.
        exporter: of the spans; None sends them there.
    """

    def __init__(
        self,
        truth: TruthSink,
        plan: LoadPlan,
        host: str,
        endpoint: str,
        exporter: SpanExporter | None = None,
    ) -> None:
        base = endpoint.rstrip("/")
        self._truth = truth
        self._plan = plan
        self._endpoint = base
        self._resource = Resource.create(
            {"service.name": SERVICE_LOAD, "service.instance.id": f"{plan.run_id}-{os.getpid()}"}
        )
        self._scope = InstrumentationScope(SCOPE)
        self._exporter = _Counting(exporter or OTLPSpanExporter(endpoint=f"{base}/v1/traces"))
        self._spans = BatchSpanProcessor(self._exporter, schedule_delay_millis=INTERVAL)
        self._sent = 0
        reader = PeriodicExportingMetricReader(
            OTLPMetricExporter(endpoint=f"{base}/v1/metrics"), INTERVAL
        )
        self._meters = MeterProvider([reader], self._resource, shutdown_on_exit=False)
        self._durations = self._meters.get_meter(SCOPE).create_histogram(
            DURATION,
            "s",
            "Duration of the load's requests, from when they were sent.",
            explicit_bucket_boundaries_advisory=BOUNDARIES,
        )
        service, parts = plan.service, urlsplit(host)
        method = "POST" if service is None else service.request.method
        route = PREDICT if service is None else service.request.path.partition("?")[0]
        self._name = f"{method} {route}"
        self._common: dict[str, AttributeValue] = {
            "http.request.method": method,
            "server.address": parts.hostname or "",
            "server.port": parts.port or (443 if parts.scheme == "https" else 80),
        }

    def started(self, time: float) -> None:
        """See :class:`testbed_load.truth.TruthSink`."""
        self._truth.started(time)

    def request(self, record: RequestRecord) -> None:
        """Store it, count its duration, and send its span where the trace is stored.

        A service stores the trace of a request that failed in any case, as the bundled API does.
        """
        self._truth.request(record)
        attributes = {**self._common, **_outcome(record)}
        self._durations.record(record.finished_at - record.sent_at, attributes)
        if record.trace_id is not None and (record.sampled or _failed(record)):
            self._spans.on_end(self._span(record, attributes))
            self._sent += 1

    def labels(self, sent_at: float, status: int | None, seqs: Sequence[int]) -> None:
        """See :class:`testbed_load.truth.TruthSink`."""
        self._truth.labels(sent_at, status, seqs)

    def ended(self, time: float, *, missed: int) -> None:
        """Store the end, and send what waits."""
        self._truth.ended(time, missed=missed)
        self._spans.force_flush(FLUSH)
        self._spans.shutdown()  # type: ignore[no-untyped-call]  # of the SDK
        self._meters.shutdown(FLUSH)

    @property
    def summary(self) -> str:
        """What was taken of the spans, for people."""
        return f"{self._exporter.taken:,} of {self._sent:,} spans taken by {mask(self._endpoint)}"

    def _span(self, record: RequestRecord, attributes: dict[str, AttributeValue]) -> ReadableSpan:
        plan = self._plan
        context = request_context(plan.run_id, plan.seed, record.seq, plan.trace_ratio or 0.0)
        return ReadableSpan(
            name=self._name,
            context=SpanContext(
                trace_id=int(context.trace_id, 16),
                span_id=int(context.parent_id, 16),
                is_remote=False,
                trace_flags=TraceFlags(TraceFlags.SAMPLED),
            ),
            kind=SpanKind.CLIENT,
            resource=self._resource,
            instrumentation_scope=self._scope,
            attributes={
                **attributes,
                "http.request.header.x-request-id": (record.request_id,),
                "testbed.load.phase": record.phase,
                "testbed.load.late": record.sent_at - record.scheduled_at,
            },
            status=Status(StatusCode.ERROR if _failed(record) else StatusCode.UNSET),
            start_time=round(record.sent_at * NANOSECONDS),
            end_time=round(record.finished_at * NANOSECONDS),
        )


def _failed(record: RequestRecord) -> bool:
    return record.status is None or record.status >= SERVER_ERROR


def _outcome(record: RequestRecord) -> dict[str, AttributeValue]:
    """Attributes of how it ended, as the semantic conventions have them."""
    found: dict[str, AttributeValue] = {}
    if record.status is not None:
        found["http.response.status_code"] = record.status
    if _failed(record):
        found["error.type"] = record.error or str(record.status or "other")
    return found

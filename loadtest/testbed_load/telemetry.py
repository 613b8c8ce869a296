"""What the load itself sends over OTLP: durations, and a span of each request of a stored trace.

A span is the parent of the service's own, since its id is that of the ``traceparent``, so that a
slow request is found as a trace that begins where it was sent. Locust's ``--otel`` knows nothing of
its fast HTTP client. It counts its exports as every process of the testbed does, so that what
arrived can be held against them. Over HTTP alone: OTLP over gRPC can stand still under gevent.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.sdk.environment_variables import OTEL_BSP_SCHEDULE_DELAY
from opentelemetry.trace import SpanKind, Status, StatusCode
from testbed_otel import names
from testbed_otel.masking import mask
from testbed_otel.sdk import TelemetrySettings, setup
from testbed_otel.settings import enable_sdk_self_metrics
from testbed_otel.tracing import RequestTrace, reset_current, set_current

from testbed_load.exchange import PREDICT
from testbed_load.traceids import SERVER_ERROR, request_context, spanned

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
NANOSECONDS: Final = 1e9
FLUSH: Final = 5.0
"""Seconds that the last exports may take."""
INTERVAL: Final = 1.0
"""Seconds between two exports."""


def instance_of(run_id: str) -> str:
    """``service.instance.id`` of the process that sends the telemetry of a load."""
    return f"load-{run_id}-{os.getpid()}"


class SpannedTruth:
    """Stores the truth and sends telemetry of it; of the process that writes the truth.

    Args:
        truth: stores it.
        plan: what is sent.
        host: URL of the service.
        endpoint: base URL of an OTLP/HTTP receiver.
    """

    def __init__(self, truth: TruthSink, plan: LoadPlan, host: str, endpoint: str) -> None:
        self._truth = truth
        self._plan = plan
        self._endpoint = endpoint.rstrip("/")
        enable_sdk_self_metrics()
        os.environ.setdefault(OTEL_BSP_SCHEDULE_DELAY, str(round(1000 * INTERVAL)))
        settings = TelemetrySettings(self._endpoint, INTERVAL, FLUSH, trace_ratio=1.0)
        identity = {"service.instance.id": instance_of(plan.run_id)}
        self._telemetry = setup(names.SERVICE_LOAD, settings, identity)
        self._tracer = self._telemetry.chosen.get_tracer(SCOPE)
        self._sent = 0
        self._durations = self._telemetry.meter(SCOPE).create_histogram(
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

        A service stores the trace of a request that failed or was slow in any case, as the bundled
        API does.
        """
        self._truth.request(record)
        attributes = {**self._common, **_outcome(record)}
        seconds = record.finished_at - record.sent_at
        self._durations.record(seconds, attributes)
        if record.trace_id is not None and spanned(
            sampled=record.sampled, status=record.status, seconds=seconds
        ):
            self._span(record, attributes)
            self._sent += 1

    def labels(self, sent_at: float, status: int | None, seqs: Sequence[int]) -> None:
        """See :class:`testbed_load.truth.TruthSink`."""
        self._truth.labels(sent_at, status, seqs)

    def ended(self, time: float, *, missed: int) -> None:
        """Store the end, and send what waits."""
        self._truth.ended(time, missed=missed)
        self._telemetry.shutdown(FLUSH)

    @property
    def summary(self) -> str:
        """What was taken of the spans, for people."""
        sent = self._telemetry
        taken = sent.spans.child({}).value - sent.failed.of("traces").items.value
        return f"{taken:,} of {self._sent:,} spans taken by {mask(self._endpoint)}"

    def _span(self, record: RequestRecord, attributes: dict[str, AttributeValue]) -> None:
        """Make the span, under the ids that the request was sent with."""
        plan = self._plan
        context = request_context(plan.run_id, plan.seed, record.seq, plan.trace_ratio or 0.0)
        trace_id, span_id = int(context.trace_id, 16), int(context.parent_id, 16)
        token = set_current(RequestTrace(trace_id, span_id, sampled=True))
        try:
            span = self._tracer.start_span(
                self._name,
                Context(),
                SpanKind.CLIENT,
                {
                    **attributes,
                    "http.request.header.x-request-id": (record.request_id,),
                    "testbed.load.phase": record.phase,
                    "testbed.load.late": record.sent_at - record.scheduled_at,
                },
                start_time=round(record.sent_at * NANOSECONDS),
            )
        finally:
            reset_current(token)
        if _failed(record):
            span.set_status(Status(StatusCode.ERROR))
        span.end(round(record.finished_at * NANOSECONDS))


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

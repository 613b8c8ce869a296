"""Defects in spans and log records."""

from __future__ import annotations

from typing import Any

from opentelemetry import context
from opentelemetry.sdk.trace import Span
from opentelemetry.trace import Status, StatusCode
from testbed_otel import otlplogs
from testbed_otel.otlplogs import OtlpLogs
from testbed_otel.tracing import HeadSampler

from testbed.selftest.patches.tools import Every, put, wrap


def nothing_sampled() -> None:
    """No request is sampled, whatever the ratio says; failed ones still get their span."""

    def begin(original: Any, sampler: Any, _ratio: float, *rest: Any) -> None:
        original(sampler, 0.0, *rest)

    wrap(HeadSampler, "__init__", begin)


def half_sampled() -> None:
    """Half as many requests are sampled as the ratio says."""

    def begin(original: Any, sampler: Any, ratio: float, *rest: Any) -> None:
        original(sampler, ratio / 2, *rest)

    wrap(HeadSampler, "__init__", begin)


def records_debug() -> None:
    """Records of the access log bear the severity DEBUG."""
    put(otlplogs, "SEVERITY", type(otlplogs.SEVERITY).DEBUG)


def names_wrong() -> None:
    """Spans bear the path of the request in place of method and route."""

    def end(original: Any, span: Any, *rest: Any, **options: Any) -> None:
        if span.end_time is None:  # a second end would be warned of
            span.update_name("/predict?user=42")
        original(span, *rest, **options)

    wrap(Span, "end", end)


def status_never_error() -> None:
    """Spans of failed requests bear no error."""

    def set_status(original: Any, span: Any, *_rest: Any) -> None:
        original(span, Status(StatusCode.UNSET))

    wrap(Span, "set_status", set_status)


def durations_zero() -> None:
    """Spans end when they began."""

    def end(original: Any, span: Any, _end: Any = None) -> None:
        original(span, span.start_time)

    wrap(Span, "end", end)


def records_without_trace() -> None:
    """Log records don't bear the trace of the request that they are of."""

    def access(original: Any, logs: Any, fields: Any) -> None:
        token = context.attach(context.Context())
        try:
            original(logs, fields)
        finally:
            context.detach(token)

    wrap(OtlpLogs, "access", access)


def records_left_out() -> None:
    """One request in ten leaves no record in the access log."""
    tenth = Every(10)

    def access(original: Any, logs: Any, fields: Any) -> None:
        if not tenth():
            original(logs, fields)

    wrap(OtlpLogs, "access", access)

"""Metrics that telemetry gives of itself."""

from __future__ import annotations

from typing import Final

from testbed_otel.names.attributes import METRIC_NAME, OUTCOME, SIGNAL
from testbed_otel.names.metric import Metric

ACCESS_LOG_LINES: Final = Metric(
    "telemetry.access_log.lines",
    "counter",
    "{line}",
    "Lines of the access log, by outcome.",
    (OUTCOME,),
    values=((OUTCOME, ("written", "failed")),),
)
TELEMETRY_OVERFLOW: Final = Metric(
    "telemetry.series.overflow",
    "counter",
    "{measurement}",
    "Measurements beyond a metric's series limit, which count without their attributes.",
    (METRIC_NAME,),
)

TELEMETRY_EXPORTS: Final = Metric(
    "telemetry.exports",
    "counter",
    "{export}",
    "Exports of metrics that this process began, the one that carries this value included.",
)
TELEMETRY_EXPORT_POINTS: Final = Metric(
    "telemetry.export.points",
    "counter",
    "{point}",
    "Metric points in those exports, the points of the one that carries this value included.",
)
TELEMETRY_EXPORT_SPANS: Final = Metric(
    "telemetry.export.spans",
    "counter",
    "{span}",
    "Spans in the exports of spans that this process began, whether or not they are over.",
)
TELEMETRY_EXPORT_FAILED: Final = Metric(
    "telemetry.export.failed",
    "counter",
    "{item}",
    "Spans, metric points and log records of failed exports; some may have arrived all the same.",
    (SIGNAL,),
    values=((SIGNAL, ("traces", "metrics", "logs")),),
)
TELEMETRY_EXPORT_FAILURES: Final = Metric(
    "telemetry.export.failures",
    "counter",
    "{export}",
    "Exports that failed, by what they held.",
    (SIGNAL,),
    values=((SIGNAL, ("traces", "metrics", "logs")),),
)

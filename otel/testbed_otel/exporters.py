"""OTLP exporters that count what they could not deliver.

The SDK counts exports too, but takes one that the endpoint refused with an HTTP status for a
success: it knows of errors of the connection only.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData
from opentelemetry.sdk.trace.export import SpanExportResult

from testbed_otel.children import SumChild, SumMetricFamily
from testbed_otel.names import SIGNAL, TELEMETRY_EXPORT_FAILED, TELEMETRY_EXPORT_FAILURES
from testbed_otel.wallclock import restamped_spans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.sdk.trace import ReadableSpan

    from testbed_otel.wallclock import WallClock


@dataclass(frozen=True, slots=True)
class Failed:
    """What one exporter could not deliver.

    Attributes:
        items: spans, metric points or log records.
        exports: how many exports they were in.
    """

    items: SumChild
    exports: SumChild

    def add(self, items: int) -> None:
        """Count one failed export."""
        self.items.add(items)
        self.exports.add(1)


@dataclass(frozen=True, slots=True)
class FailedExports:
    """The same for all exporters of a process, as families for the readers."""

    items: SumMetricFamily = field(default_factory=lambda: SumMetricFamily(TELEMETRY_EXPORT_FAILED))
    exports: SumMetricFamily = field(
        default_factory=lambda: SumMetricFamily(TELEMETRY_EXPORT_FAILURES)
    )

    def of(self, signal: str) -> Failed:
        """The counts of one signal, from 0 on."""
        attributes = {SIGNAL: signal}
        return Failed(self.items.child(attributes), self.exports.child(attributes))


def points_of(data: MetricsData) -> int:
    """How many points there are."""
    return sum(
        len(metric.data.data_points)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    )


class MetricExporter(OTLPMetricExporter):
    """Exports metrics, and remembers per thread whether its last export was taken.

    Per thread, because a flush must know about its own export, not about an older one that the
    periodic thread finished meanwhile.

    Args:
        endpoint: URL with the path of the signal.
        timeout: seconds that one export may take.
        failed: counts what could not be exported.
    """

    def __init__(self, endpoint: str, timeout: float, failed: Failed) -> None:
        super().__init__(endpoint=endpoint, timeout=timeout)
        self.outcome = threading.local()
        self._failed = failed

    def export(
        self,
        metrics_data: MetricsData,
        timeout_millis: float | None = 10_000,
        **kwargs: Any,  # noqa: ANN401 - as in the base class
    ) -> MetricExportResult:
        """See the base class."""
        result = super().export(metrics_data, timeout_millis, **kwargs)
        self.outcome.delivered = result is MetricExportResult.SUCCESS
        if not self.outcome.delivered:
            self._failed.add(points_of(metrics_data))
        return result


class SpanExporter(OTLPSpanExporter):
    """Exports spans, and counts them before it does.

    The SDK counts them once it has the answer. Whoever received them counts earlier, so that its
    count would be ahead of what the process says.

    Args:
        endpoint: URL with the path of the signal.
        timeout: seconds that one export may take.
        begun: counts the spans of exports that began.
        failed: counts what could not be exported.
        meters: for the SDK's metrics about itself.
        clock: of the process.
    """

    def __init__(
        self,
        endpoint: str,
        timeout: float,
        begun: SumChild,
        failed: Failed,
        meters: MeterProvider,
        clock: WallClock,
    ) -> None:
        super().__init__(endpoint, timeout=timeout, meter_provider=meters)
        self._begun = begun
        self._failed = failed
        self._clock = clock

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """See the base class."""
        self._begun.add(len(spans))
        result = super().export(restamped_spans(spans, self._clock))
        if result is not SpanExportResult.SUCCESS:
            self._failed.add(len(spans))
        return result

"""Defects between the instruments and the Collector: what is measured rightly arrives wrongly."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics.export import MetricExportResult
from opentelemetry.sdk.trace.export import SpanExportResult
from testbed_otel import names
from testbed_otel.exporters import MetricExporter, SpanExporter

from testbed.selftest.patches.tools import Every, wrap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def _points(data: Any, metric: str) -> Iterator[Any]:
    for resource in data.resource_metrics:
        for scope in resource.scope_metrics:
            for each in scope.metrics:
                if each.name == metric:
                    yield from each.data.data_points


def _altered(metric: str, change: Callable[[float], float]) -> None:
    """Change the values of a counter after the scrape page was made, before the export."""

    def export(original: Any, exporter: Any, data: Any, *rest: Any, **options: Any) -> Any:
        for point in _points(data, metric):
            object.__setattr__(point, "value", change(point.value))
        return original(exporter, data, *rest, **options)

    wrap(MetricExporter, "export", export)


def predictions_too_few() -> None:
    """The counter of predictions is exported 3 % too small."""
    _altered(names.PREDICTIONS.name, lambda value: int(0.97 * value))


def exports_lost() -> None:
    """One export of metrics in ten is dropped and counts as sent."""
    chosen = Every(10)

    def export(original: Any, exporter: Any, data: Any, *rest: Any, **options: Any) -> Any:
        if chosen():
            return MetricExportResult.SUCCESS
        return original(exporter, data, *rest, **options)

    wrap(MetricExporter, "export", export)


def exports_stop() -> None:
    """After forty exports of metrics no more are sent."""
    sent = iter(range(40))

    def export(original: Any, exporter: Any, data: Any, *rest: Any, **options: Any) -> Any:
        if next(sent, None) is None:
            return MetricExportResult.SUCCESS
        return original(exporter, data, *rest, **options)

    wrap(MetricExporter, "export", export)


def spans_lost() -> None:
    """Every third export of spans is dropped and counts as sent."""
    chosen = Every(3)

    def export(original: Any, exporter: Any, spans: Any) -> Any:
        return SpanExportResult.SUCCESS if chosen() else original(exporter, spans)

    wrap(SpanExporter, "export", export)


def wrong_endpoint() -> None:
    """The API exports to a port where nobody listens."""
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:9"

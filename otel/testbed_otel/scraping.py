"""The scrape of a Prometheus registry, families included.

The one place where a method of the SDK is overridden whose name begins with an underscore.
``MetricReader._receive_metrics`` is abstract, so each reader has its own, but a reader that exists
has no other point at which metrics may join what was collected: a push reader has its exporter, the
Prometheus reader turns what it gets into samples at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.exporter.prometheus import PrometheusMetricReader

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData
    from prometheus_client import CollectorRegistry

    from testbed_otel.export import Bridge


class ScrapeReader(PrometheusMetricReader):
    """Shows what was collected to a Prometheus registry, families included.

    Args:
        registry: is given the collector of the metrics.
        bridge: has the families.
    """

    def __init__(self, registry: CollectorRegistry, bridge: Bridge) -> None:
        self._bridge = bridge
        super().__init__(registry=registry, scope_info_enabled=False)

    def _receive_metrics(
        self,
        metrics_data: MetricsData,
        timeout_millis: float = 10_000,
        **kwargs: Any,  # noqa: ANN401 - as in the base class
    ) -> None:
        super()._receive_metrics(self._bridge.extend(metrics_data), timeout_millis, **kwargs)

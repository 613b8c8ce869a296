"""Sets the OpenTelemetry SDK up: the same for every process that sends telemetry.

Nothing global is touched: providers are objects that the caller passes on, so two of them can live
in one process (tests do that). Metrics leave by two doors that show the same points: pushed over
OTLP/HTTP, and read from a Prometheus registry.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import (
    DefaultAggregation,
    DropAggregation,
    ExplicitBucketHistogramAggregation,
    View,
)
from opentelemetry.sdk.resources import (
    SERVICE_INSTANCE_ID,
    SERVICE_NAME,
    SERVICE_VERSION,
    OTELResourceDetector,
    Resource,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    ParentBasedTraceIdRatio,
    TraceIdRatioBased,
)
from prometheus_client import CollectorRegistry

from testbed_otel.aliases import aliases_of
from testbed_otel.children import OVERFLOW, HistogramMetricFamily, SumMetricFamily
from testbed_otel.export import Bridge, PushExporter
from testbed_otel.exporters import FailedExports, SpanExporter
from testbed_otel.names import DURATION_BUCKETS, METRICS, TELEMETRY_EXPORT_SPANS, Metric
from testbed_otel.scraping import ScrapeReader
from testbed_otel.settings import TelemetrySettings
from testbed_otel.standard import TelemetrySettingsError
from testbed_otel.tracing import RequestIds, current_trace
from testbed_otel.wallclock import WallClock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.metrics import Counter, Histogram, Meter
    from opentelemetry.trace import Tracer

    from testbed_otel.children import Value

__all__ = ["Telemetry", "TelemetrySettings", "TelemetrySettingsError", "setup"]

RETRY_PAUSE: Final = 0.1
NOISE_INTERVAL: Final = 60.0
# Metrics of the HTTP instrumentation that the vocabulary doesn't hold.
DROPPED: Final = "http.server.*.body.size"
# Of the SDK about itself, in seconds; its default buckets are made for milliseconds.
SDK_DURATIONS: Final = "otel.sdk.*.duration"


class _QuietFilter(logging.Filter):
    """Lets one record per logger and interval pass: an outage is one line a minute."""

    def __init__(self) -> None:
        super().__init__()
        self._next: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if now < self._next.get(record.name, 0.0):
            return False
        self._next[record.name] = now + NOISE_INTERVAL
        return True


_quiet = _QuietFilter()


class Gauge(Protocol):
    """A synchronous gauge; OpenTelemetry's own class has no public name."""

    def set(self, amount: float, attributes: Mapping[str, Value] | None = None) -> None:
        """Take a value in place of the one before.

        Args:
            amount: in the unit of the metric.
            attributes: of the series.
        """


@dataclass(frozen=True, slots=True)
class Telemetry:
    """The telemetry of one process.

    Attributes:
        resource: who sends: service name, version, instance.
        meters: provider of meters.
        tracers: provider of tracers, which samples by the ratio.
        chosen: provider of tracers for requests that were sampled already: it keeps every span,
            under the ids of :mod:`testbed_otel.tracing`.
        registry: Prometheus registry that shows the same metrics; further collectors may join it.
        trace_ratio: share of the requests to sample; 0 where traces go nowhere.
        parent_based: whether a caller's decision to sample goes before the ratio.
        traced: whether traces go anywhere.
        bridge: shows families of children to all readers.
        failed: counts what could not be exported, by signal.
        spans: counts the spans whose export began.
        clock: by which all that leaves is stamped.
        disabled: whether nothing is to be measured.
    """

    resource: Resource
    meters: MeterProvider
    tracers: TracerProvider
    chosen: TracerProvider
    registry: CollectorRegistry
    trace_ratio: float
    bridge: Bridge
    failed: FailedExports
    spans: SumMetricFamily
    clock: WallClock
    disabled: bool = False
    parent_based: bool = True
    traced: bool = False
    _reader: PeriodicExportingMetricReader | None = None
    _exporter: PushExporter | None = None

    @property
    def instance_id(self) -> str:
        """``service.instance.id``: unique per start of a process."""
        return str(self.resource.attributes[SERVICE_INSTANCE_ID])

    def meter(self, name: str) -> Meter:
        """Meter for the scope ``name``."""
        return self.meters.get_meter(name)

    def sums(self, meter: Meter, metric: Metric) -> SumMetricFamily:
        """Children of a counter or up-down counter, shown to all readers; made once per metric."""
        family = SumMetricFamily(metric)
        self.bridge.add(meter, family)
        return family

    def histogram(self, meter: Meter, metric: Metric) -> HistogramMetricFamily:
        """Children of a histogram, with exemplars, shown to all readers; made once per metric."""
        family = HistogramMetricFamily(metric, current_trace)
        self.bridge.add(meter, family)
        return family

    def tracer(self, name: str) -> Tracer:
        """Tracer for the scope ``name``."""
        return self.tracers.get_tracer(name)

    def flush(self, timeout: float = 5.0) -> bool:
        """Push all metrics now, again and again until the endpoint takes them.

        Args:
            timeout: seconds after which no further try begins.

        Returns:
            Whether the metrics arrived; True where nothing is pushed.
        """
        if self._reader is None or self._exporter is None:
            return True
        deadline = time.monotonic() + timeout
        while True:
            self._exporter.outcome.delivered = True  # nothing to send counts as sent
            self._reader.force_flush()
            if self._exporter.outcome.delivered:
                return True
            if time.monotonic() + RETRY_PAUSE > deadline:
                return False
            time.sleep(RETRY_PAUSE)

    def shutdown(self, timeout: float = 5.0) -> bool:
        """Push what is left and stop; returns within about ``timeout`` seconds.

        Returns:
            Whether the last metrics arrived; True where nothing is pushed.
        """
        delivered: list[bool] = []

        def work() -> None:
            delivered.append(self.flush(timeout))
            self.tracers.shutdown()
            with contextlib.suppress(Exception):  # says no more than that the time was up
                self.meters.shutdown(timeout_millis=timeout * 1000)

        # The SDK's own bounds add up to a minute, so a thread that may be left behind does it.
        thread = threading.Thread(target=work, name="telemetry-shutdown", daemon=True)
        thread.start()
        thread.join(timeout)
        return bool(delivered and delivered[0])


def setup(
    service_name: str, settings: TelemetrySettings, attributes: Mapping[str, str] | None = None
) -> Telemetry:
    """Make the providers of one process.

    ``OTEL_SERVICE_NAME`` and ``OTEL_RESOURCE_ATTRIBUTES`` go before the arguments. Without a
    ``service.instance.id`` in either, a new UUID is taken.

    Args:
        service_name: ``service.name``, the ``job`` in Prometheus.
        settings: where telemetry goes, and how often.
        attributes: further ones of the resource.
    """
    own = {
        SERVICE_INSTANCE_ID: str(uuid.uuid4()),
        **(attributes or {}),
        SERVICE_NAME: service_name,
        SERVICE_VERSION: settings.service_version,
    }
    resource = Resource.create(own).merge(OTELResourceDetector().detect())
    registry = CollectorRegistry()
    bridge = Bridge(resource, aliases_of(settings.aliases), alias_service=settings.alias_service)
    readers: list[MetricReader] = [ScrapeReader(registry, bridge)]
    failed, spans, clock = FailedExports(), SumMetricFamily(TELEMETRY_EXPORT_SPANS), WallClock()
    exporter = reader = None
    metrics, traces = settings.url("metrics"), settings.url("traces")
    if metrics is not None:
        exporter = PushExporter(
            metrics, settings.timeout("metrics"), failed.of("metrics"), bridge, clock
        )
        reader = PeriodicExportingMetricReader(exporter, settings.metric_interval * 1000)
        readers.append(reader)
    meters = MeterProvider(readers, resource, views=_views(), shutdown_on_exit=False)
    if exporter is not None:
        exporter.set_meter_provider(meters)  # for the SDK's metrics about itself
    if metrics is not None or traces is not None:
        _limit_noise()
        meter = meters.get_meter("testbed_otel.exporters")
        bridge.add(meter, failed.items, failed.exports, spans)
    tracers, chosen = _tracers(resource, settings, meters, spans, failed, clock)
    return Telemetry(
        resource,
        meters,
        tracers,
        chosen,
        registry,
        settings.trace_ratio if traces is not None else 0.0,
        bridge,
        failed,
        spans,
        clock,
        settings.disabled,
        settings.parent_based,
        traces is not None,
        reader,
        exporter,
    )


def _tracers(
    resource: Resource,
    settings: TelemetrySettings,
    meters: MeterProvider,
    spans: SumMetricFamily,
    failed: FailedExports,
    clock: WallClock,
) -> tuple[TracerProvider, TracerProvider]:
    """The provider that samples, and the one for what is sampled already."""
    url = settings.url("traces")
    if url is None:
        off = TracerProvider(ALWAYS_OFF, resource, shutdown_on_exit=False)
        return off, off
    by_ratio = ParentBasedTraceIdRatio if settings.parent_based else TraceIdRatioBased
    sampler = by_ratio(settings.trace_ratio)
    # The SDK's metrics about itself distinguish spans exported from spans lost in the bounded
    # queue.
    tracers = TracerProvider(sampler, resource, shutdown_on_exit=False, meter_provider=meters)
    chosen = TracerProvider(
        ALWAYS_ON,
        resource,
        shutdown_on_exit=False,
        id_generator=RequestIds(),
        meter_provider=meters,
    )
    timeout = settings.timeout("traces")
    exporter = SpanExporter(url, timeout, spans.child({}), failed.of("traces"), meters, clock)
    processor = BatchSpanProcessor(exporter, meter_provider=meters)
    tracers.add_span_processor(processor)
    chosen.add_span_processor(processor)
    return tracers, chosen


def _limit_noise() -> None:
    for module in (
        "opentelemetry.exporter.otlp.proto.http.metric_exporter",
        "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    ):
        logging.getLogger(module).addFilter(_quiet)  # adding the same one twice changes nothing


def _views() -> list[View]:
    """One view per metric of the vocabulary, which holds it to its buckets and attributes."""
    views = [
        View(
            instrument_name=metric.name,
            description=metric.help,
            attribute_keys={*metric.attributes, OVERFLOW[0][0]},
            aggregation=ExplicitBucketHistogramAggregation(metric.buckets)
            if metric.kind == "histogram"
            else DefaultAggregation(),
        )
        for metric in METRICS
    ]
    return [
        *views,
        View(
            instrument_name=SDK_DURATIONS,
            aggregation=ExplicitBucketHistogramAggregation(DURATION_BUCKETS),
        ),
        View(instrument_name=DROPPED, aggregation=DropAggregation()),
    ]


def counter(meter: Meter, metric: Metric) -> Counter:
    """Make the counter that the vocabulary describes.

    Raises:
        ValueError: the metric is of another kind.
    """
    _check(metric, "counter")
    return meter.create_counter(metric.name, metric.unit, metric.help)


def histogram(meter: Meter, metric: Metric) -> Histogram:
    """Make the histogram that the vocabulary describes.

    Raises:
        ValueError: the metric is of another kind.
    """
    _check(metric, "histogram")
    return meter.create_histogram(metric.name, metric.unit, metric.help)


def gauge(meter: Meter, metric: Metric) -> Gauge:
    """Make the gauge that the vocabulary describes.

    Raises:
        ValueError: the metric is of another kind.
    """
    _check(metric, "gauge")
    return meter.create_gauge(metric.name, metric.unit, metric.help)


def _check(metric: Metric, kind: str) -> None:
    if metric.kind != kind:
        raise ValueError(f"{metric.name} is a {metric.kind}, not a {kind}")

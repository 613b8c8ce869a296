"""Hands children to OpenTelemetry at collection time, the same way to every reader.

Sums leave through observable instruments. There is no observable histogram in the SDK, so
histogram points join what was collected: in the exporter for the push, in
:mod:`testbed_otel.scraping` for the scrape. Both are called only where something else was
collected: the bridge's own observable counter sees to that.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import Exemplar as SdkExemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from testbed_otel.aliaspoints import aliased
from testbed_otel.children import OVERFLOW, HistogramMetricFamily, SumChild, SumMetricFamily
from testbed_otel.exporters import MetricExporter, points_of
from testbed_otel.names import (
    METRIC_NAME,
    TELEMETRY_EXPORT_POINTS,
    TELEMETRY_EXPORTS,
    TELEMETRY_OVERFLOW,
)
from testbed_otel.wallclock import restamped_metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.metrics import CallbackOptions, Meter

    from testbed_otel.aliases import Alias
    from testbed_otel.children import HistogramChild, Key
    from testbed_otel.exporters import Failed
    from testbed_otel.wallclock import WallClock

SCOPE: Final = InstrumentationScope("testbed_otel")
# A scope of its own: the OTLP encoder keeps one entry for each.
EXPORT_SCOPE: Final = InstrumentationScope("testbed_otel.export")
_EXPORT_METRICS: Final = (TELEMETRY_EXPORTS, TELEMETRY_EXPORT_POINTS)
OVERFLOW_NAME: Final = OVERFLOW[0][0]


class Bridge:
    """The families of one process, as the readers see them.

    Args:
        resource: who sends.
        aliases: further names for some metrics.
        clock: Unix nanoseconds.
        alias_service: ``service.name`` under which these are pushed; None is that of the resource.
    """

    def __init__(
        self,
        resource: Resource,
        aliases: tuple[Alias, ...] = (),
        clock: Callable[[], int] = time.time_ns,
        *,
        alias_service: str | None = None,
    ) -> None:
        self._resource = resource
        self._aliases = aliases
        self._alias_resource = (
            resource.merge(Resource({SERVICE_NAME: alias_service})) if alias_service else resource
        )
        self._clock = clock
        self._started = clock()
        self._histograms: list[HistogramMetricFamily] = []
        self._names: list[str] = []
        self._overflow: dict[str, int] = {}
        self._exports = 0
        self._exported_points = 0

    def add(self, meter: Meter, *families: SumMetricFamily | HistogramMetricFamily) -> None:
        """Show these families to every reader; a family is added once.

        Args:
            meter: makes the observable instruments.
            families: what to show.
        """
        if not self._names:
            self._observe(meter, TELEMETRY_OVERFLOW, self._overflowing)
        for family in families:
            self._names.append(family.metric.name)
            if isinstance(family, HistogramMetricFamily):
                self._histograms.append(family)
            else:
                self._observe(meter, family.metric, _observations(family))

    def extend(self, data: MetricsData) -> MetricsData:
        """What was collected, with the histograms of the families."""
        now = self._clock()
        extended = self._extended(data, now, self._resource)
        return self._numbered(extended, now) if self._exports else extended

    def export(self, data: MetricsData) -> MetricsData:
        """The same for an export, which also says how many there were and how large they were.

        It counts itself. The SDK counts an export when it is over, so the last one of a process
        never reports itself; these values do, and what arrived can be held against them.
        """
        now = self._clock()
        extended = self._extended(data, now, self._alias_resource)
        self._exports += 1
        self._exported_points += points_of(extended) + len(_EXPORT_METRICS)
        return self._numbered(extended, now)

    def _numbered(self, data: MetricsData, now: int) -> MetricsData:
        values = zip(_EXPORT_METRICS, (self._exports, self._exported_points), strict=True)
        counts = [self._count(metric, value, now) for metric, value in values]
        return _with_scope(data, ScopeMetrics(EXPORT_SCOPE, counts, ""), self._resource)

    def _extended(self, data: MetricsData, now: int, alias_resource: Resource) -> MetricsData:
        metrics = [self._metric(family, now) for family in self._histograms]
        metrics = [metric for metric in metrics if metric.data.data_points]
        extended = self._joined(data, metrics)
        if self._aliases:
            found = aliased(extended, self._aliases)
            if alias_resource is self._resource:
                extended = self._joined(data, [*metrics, *found])
            elif found:
                scope = ScopeMetrics(SCOPE, found, "")
                apart = ResourceMetrics(alias_resource, [scope], "")
                extended = MetricsData([*extended.resource_metrics, apart])
        if self._names:
            self._overflow = dict(_overflows(extended))
        return extended

    def _joined(self, data: MetricsData, metrics: list[Metric]) -> MetricsData:
        """Further metrics under the same resource: the OTLP encoder keeps one entry for each."""
        if not metrics:
            return data
        return _with_scope(data, ScopeMetrics(SCOPE, metrics, ""), self._resource)

    def _observe(
        self,
        meter: Meter,
        metric: Any,  # noqa: ANN401 - the vocabulary's Metric; that name is the SDK's here
        callback: Callable[[CallbackOptions], Iterable[Observation]],
    ) -> None:
        make = (
            meter.create_observable_counter
            if metric.kind == "counter"
            else meter.create_observable_up_down_counter
        )
        make(metric.name, [callback], metric.unit, metric.help)

    def _overflowing(self, _options: CallbackOptions) -> Iterable[Observation]:
        # As of the last collection; from 0 on, so that the first time is an increase as well.
        for name in {*self._names, *self._overflow}:
            yield Observation(self._overflow.get(name, 0), {METRIC_NAME: name})

    def _count(
        self,
        metric: Any,  # noqa: ANN401 - the vocabulary's Metric, as above
        value: int,
        now: int,
    ) -> Metric:
        point = NumberDataPoint({}, self._started, now, value)
        data = Sum([point], AggregationTemporality.CUMULATIVE, is_monotonic=True)
        return Metric(metric.name, metric.help, metric.unit, data)

    def _metric(self, family: HistogramMetricFamily, now: int) -> Metric:
        metric = family.metric
        points = [self._point(key, child, metric.buckets, now) for key, child in family.children()]
        return Metric(
            metric.name,
            metric.help,
            metric.unit,
            Histogram(points, AggregationTemporality.CUMULATIVE),
        )

    def _point(
        self, key: Key, child: HistogramChild, boundaries: tuple[float, ...], now: int
    ) -> HistogramDataPoint:
        point = child.point()
        return HistogramDataPoint(
            attributes=dict(key),
            start_time_unix_nano=self._started,
            time_unix_nano=now,
            count=sum(point.counts),
            sum=point.total,
            bucket_counts=point.counts,
            explicit_bounds=boundaries,
            min=point.minimum,
            max=point.maximum,
            exemplars=[
                SdkExemplar({}, each.value, each.time, each.trace.span_id, each.trace.trace_id)
                for each in point.exemplars
            ],
        )


def _observations(family: SumMetricFamily) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observe(_options: CallbackOptions) -> Iterable[Observation]:
        children: list[tuple[Key, SumChild]] = family.children()
        return [Observation(child.value, dict(key)) for key, child in children]

    return observe


def _with_scope(data: MetricsData, scope: ScopeMetrics, resource: Resource) -> MetricsData:
    """One scope more under the first resource, which is the process's own."""
    own, others = data.resource_metrics[:1], data.resource_metrics[1:]
    scopes = [each for found in own for each in found.scope_metrics]
    return MetricsData([ResourceMetrics(resource, [*scopes, scope], ""), *others])


def _overflows(data: MetricsData) -> Iterable[tuple[str, int]]:
    """Measurements that a series limit kept from having their own series, per metric.

    Those of the SDK's instruments as well; for one that counts nothing, 1 while it overflows.
    """
    for resource in data.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.data.data_points:
                    if OVERFLOW_NAME in (point.attributes or {}):
                        count = getattr(point, "count", None)
                        monotonic = getattr(metric.data, "is_monotonic", False)
                        value = getattr(point, "value", 1) if monotonic else 1
                        yield metric.name, int(value if count is None else count)


class PushExporter(MetricExporter):
    """Exports what was collected, families included.

    Its reader never calls it twice at a time, so exports are numbered in the order in which they
    leave, those of a flush as well.

    Args:
        endpoint: URL with the path of the signal.
        timeout: seconds that one export may take.
        failed: counts what could not be exported.
        bridge: has the families.
        clock: of the process.
    """

    def __init__(
        self, endpoint: str, timeout: float, failed: Failed, bridge: Bridge, clock: WallClock
    ) -> None:
        super().__init__(endpoint, timeout, failed)
        self._bridge = bridge
        self._clock = clock

    def export(
        self,
        metrics_data: MetricsData,
        timeout_millis: float | None = 10_000,
        **kwargs: Any,  # noqa: ANN401 - as in the base class
    ) -> MetricExportResult:
        """See the base class."""
        extended = restamped_metrics(self._bridge.export(metrics_data), self._clock)
        return super().export(extended, timeout_millis, **kwargs)

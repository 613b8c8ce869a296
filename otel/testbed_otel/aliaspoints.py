"""The points of an alias, from those of its source; apart, since the SDK is needed only here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    Sum,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from testbed_otel.aliases import Alias, Attributes


def aliased(data: MetricsData, aliases: Iterable[Alias]) -> list[Metric]:
    """The metrics under their other names, for those whose source has points that count.

    A metric without any is left out: Prometheus refuses it, with all that came along.
    """
    sources = {
        metric.name: metric
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    made = [
        _metric(alias, sources[alias.source.name])
        for alias in aliases
        if alias.source.name in sources
    ]
    return [metric for metric in made if metric.data.data_points]


def _metric(alias: Alias, source: Metric) -> Metric:
    points: dict[tuple[tuple[str, Any], ...], Any] = {}
    for point in source.data.data_points:
        attributes = dict(point.attributes or {})
        if alias.select(attributes):
            labels: Attributes = {
                label: alias.rename(label, attributes[name])
                for name, label in alias.labels
                if name in attributes
            }
            key = tuple(labels.items())
            made = _point(alias, point, labels)
            points[key] = made if key not in points else _merged(alias, points[key], made)
    # Its unit is in its name already.
    return Metric(alias.name, source.description, "", _data(alias, list(points.values())))


def _data(alias: Alias, points: list[Any]) -> Gauge | Sum | Histogram:
    if alias.kind == "gauge":
        return Gauge(points)
    if alias.kind == "mean":
        return Gauge([_mean(point) for point in points if point.count])
    if alias.kind == "counter":
        return Sum(points, AggregationTemporality.CUMULATIVE, is_monotonic=True)
    return Histogram(points, AggregationTemporality.CUMULATIVE)


def _point(alias: Alias, point: Any, labels: Attributes) -> Any:  # noqa: ANN401 - one of two kinds
    if alias.kind in {"histogram", "mean"}:
        return replace(point, attributes=labels)
    if alias.kind == "summary":
        # The SDK has no summaries. Without boundaries a histogram is one: a count and a sum.
        whole = {"explicit_bounds": (), "bucket_counts": (point.count,), "exemplars": []}
        return replace(point, attributes=labels, **whole)
    value = point.count if isinstance(point, HistogramDataPoint) else point.value
    return NumberDataPoint(labels, point.start_time_unix_nano, point.time_unix_nano, value)


def _mean(point: HistogramDataPoint) -> NumberDataPoint:
    times = (point.start_time_unix_nano, point.time_unix_nano)
    return NumberDataPoint(point.attributes, *times, point.sum / point.count)


def _merged(alias: Alias, first: Any, second: Any) -> Any:  # noqa: ANN401 - one of two kinds
    if isinstance(first, NumberDataPoint):
        return replace(first, value=alias.merge(first.value, second.value))
    counts = zip(first.bucket_counts, second.bucket_counts, strict=True)
    return replace(
        first,
        count=first.count + second.count,
        sum=first.sum + second.sum,
        min=min(first.min, second.min),
        max=max(first.max, second.max),
        bucket_counts=[one + other for one, other in counts],
        exemplars=[*first.exemplars, *second.exemplars],
    )

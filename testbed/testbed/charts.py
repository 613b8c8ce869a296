"""The series that the report draws: which queries, and how they are kept."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, ConfigDict
from testbed_otel import names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from testbed.clients.prometheus import PrometheusClient, Series

POINTS: Final = 2000
"""Points of one line of a chart at most."""

PREDICT_ROUTE: Final = "/predict"
HTTP_COUNT: Final = f"{names.HTTP_DURATION.prometheus}_count"


class StoredModel(BaseModel):
    """Base of what is kept of the stack's answers: immutable."""

    model_config = ConfigDict(frozen=True)


class ChartLine(StoredModel):
    """One series of a chart; a value that is not finite is None."""

    name: str
    points: tuple[tuple[float, float | None], ...]


class Chart(StoredModel):
    """Series that are drawn together."""

    key: str
    title: str
    unit: str
    lines: tuple[ChartLine, ...] = ()


def chart_queries(window: str) -> tuple[tuple[Chart, tuple[tuple[str, str], ...]], ...]:
    """Charts of the report with, for each query, the text or label that names its lines.

    Args:
        window: range of the rates, as PromQL writes it.
    """
    status, route = names.label(names.HTTP_STATUS), names.label(names.HTTP_ROUTE)
    only = f'job="{names.JOB_API}",{route}="{PREDICT_ROUTE}"'
    rate = f"rate({HTTP_COUNT}{{{only}}}[{window}])"
    failed = f'rate({HTTP_COUNT}{{{only},{status}=~"5.."}}[{window}])'
    buckets = f"rate({names.HTTP_DURATION.prometheus}_bucket{{{only}}}[{window}])"
    return (
        (
            Chart(key="rate", title="Request rate by status", unit="requests/s"),
            ((f"sum by ({status}) ({rate})", f"label:{status}"),),
        ),
        (
            Chart(key="latency", title="Latency in the API", unit="seconds"),
            tuple(
                (f"histogram_quantile({q / 100}, sum by (le) ({buckets}))", f"p{q}")
                for q in (50, 95, 99)
            ),
        ),
        (
            Chart(key="errors", title="Share of 5xx answers", unit="ratio"),
            ((f"(sum({failed}) or vector(0)) / sum({rate})", "5xx"),),
        ),
        (
            Chart(key="active", title="Active requests", unit="requests"),
            ((f'sum({names.HTTP_ACTIVE.prometheus}{{job="{names.JOB_API}"}})', "active"),),
        ),
        (
            Chart(key="drift", title="Share of drifted columns", unit="ratio"),
            (
                (f"max({names.DRIFT_RATIO.prometheus})", "ratio"),
                (f"max({names.DRIFT_RATIO_THRESHOLD.prometheus})", "threshold"),
            ),
        ),
        (
            Chart(key="up", title="Scrape targets that are up", unit="targets"),
            (("sum by (job) (up)", "label:job"),),
        ),
    )


def fetch_charts(
    prometheus: PrometheusClient, start: float, end: float, step: float
) -> tuple[Chart, ...]:
    """Read the series between two Unix times, a point every ``step`` seconds or more."""
    step = max(step, (end - start) / POINTS)
    window = f"{math.ceil(5 * step * 1000)}ms"
    charts = []
    for chart, queries in chart_queries(window):
        lines = tuple(
            ChartLine(name=_line_name(name, series), points=finite(series.points))
            for expression, name in queries
            for series in prometheus.query_range(expression, start, end, step)
        )
        charts.append(chart.model_copy(update={"lines": lines}))
    return tuple(charts)


def _line_name(name: str, series: Series) -> str:
    return series.labels.get(name.removeprefix("label:"), "none") if ":" in name else name


def finite(points: Iterable[tuple[float, float]]) -> tuple[tuple[float, float | None], ...]:
    """Points as a chart stores them: a value that is not finite is None."""
    return tuple((time, value if math.isfinite(value) else None) for time, value in points)

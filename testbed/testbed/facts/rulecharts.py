"""What rules compare with their limits, as charts: of alerts that are expected or that fired."""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from testbed_rules.conditions import read_condition, written
from testbed_rules.limits import comparisons_with_limits

from testbed.charts import POINTS, Chart, ChartLine, finite
from testbed.errors import StackError
from testbed.heartbeat import always_fires

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed_rules.conditions import Compare

    from testbed.clients.prometheus import AlertRule, Series
    from testbed.facts.sources import Sources

PREFIX: Final = "rule:"
"""Begins the key of such a chart; the name of the alert follows."""
LINES: Final = 6
"""Series of one chart at most: those that went furthest towards the limit."""
CHARTS: Final = 12
FIRING: Final = 'ALERTS{alertstate="firing"}'


def read_rulecharts(sources: Sources) -> tuple[Chart, ...]:
    """Read them.

    Raises:
        StackError: Prometheus does not answer.
    """
    span = sources.span
    fired = {
        labels["alertname"]
        for labels in sources.prometheus.series(FIRING, start=span.start, end=span.end)
    }
    wanted = fired | {item.alert for item in sources.scenario.expected_alerts}
    found = (
        _chart(sources, rule, compare)
        for rule in sources.prometheus.rules()
        if rule.name in wanted and not always_fires(rule.query)
        for compare in _limits(rule)
    )
    return tuple(islice(filter(None, found), CHARTS))


def alert_of(chart: Chart) -> str | None:
    """The alert whose rule a chart shows; None of another chart."""
    return chart.key.removeprefix(PREFIX) if chart.key.startswith(PREFIX) else None


def anchor(alert: str) -> str:
    """Where the report shows the values of an alert's rules in numbers."""
    return f"values-{quote(alert, safe='')}"


def _limits(rule: AlertRule) -> Iterator[Compare]:
    try:
        yield from comparisons_with_limits(read_condition(rule.query))
    except ValueError:
        return  # what can't be read is named where rules are replayed


def _chart(sources: Sources, rule: AlertRule, compare: Compare) -> Chart | None:
    """None where Prometheus does not answer the query by itself: a picture less fails no run."""
    span = sources.span
    step = max(span.step, rule.interval, (span.end - span.start) / POINTS)
    expression = written(compare.side)
    try:
        series = sources.prometheus.query_range(expression, span.start, span.end, step)
    except StackError:
        return None
    downward = compare.operator.startswith("<")
    shown = sorted(series, key=lambda each: _extreme(each, downward=downward), reverse=True)[:LINES]
    limit = ((span.start, compare.limit), (span.end, compare.limit))
    return Chart(
        key=f"{PREFIX}{rule.name}",
        title=f"{rule.name}: value against its limit ({compare.operator} {compare.limit:g})",
        unit="unit of its expression",
        lines=(
            *(ChartLine(name=_name(each), points=finite(each.points)) for each in shown),
            ChartLine(name="limit", points=limit),
        ),
    )


def _extreme(series: Series, *, downward: bool) -> float:
    values = (-value if downward else value for _, value in series.points)
    return max((value for value in values if not math.isnan(value)), default=-math.inf)


def _name(series: Series) -> str:
    labels = {name: value for name, value in series.labels.items() if name != "__name__"}
    return ", ".join(f"{name}={value}" for name, value in sorted(labels.items())) or "value"

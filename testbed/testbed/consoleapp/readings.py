"""What the console asks of Prometheus: charts, rules with their values and limits, targets."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from testbed_rules.conditions import read_condition, written
from testbed_rules.limits import comparisons_with_limits

from testbed.charts import chart_queries, fetch_charts
from testbed.componentnames import component_of
from testbed.errors import StackError
from testbed.heartbeat import always_fires

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from testbed.charts import Chart
    from testbed.clients.prometheus import ActiveAlert, AlertRule, PrometheusClient, Target

SHOWN_POINTS: Final = 120
"""Points of a line of a live chart."""
WINDOW: Final = "1m"
"""Range of the rates of queries that a person may go on from."""
STATES: Final = ("firing", "pending", "inactive")

State = Literal["firing", "pending", "inactive", "heartbeat"]


@dataclass(frozen=True, slots=True)
class RuleLimit:
    """A comparison of a rule, and how its left side stands.

    Attributes:
        operator: ``>`` and the like.
        limit: what it is compared with.
        side: its left side, as PromQL.
        value: of it now, that which is nearest to firing; None where it has none or was not asked.
    """

    operator: str
    limit: float
    side: str
    value: float | None = None


@dataclass(frozen=True, slots=True)
class LiveRule:
    """An alerting rule.

    Attributes:
        rule: as Prometheus has loaded it.
        state: of it; a heartbeat always fires, and nobody has to act on it.
        limits: its comparisons.
    """

    rule: AlertRule
    state: State
    limits: tuple[RuleLimit, ...] = ()


@dataclass(frozen=True, slots=True)
class LiveAlert:
    """An alert that is pending or firing."""

    alert: ActiveAlert
    rule: LiveRule


def read_charts(
    prometheus: PrometheusClient, now: float, seconds: float
) -> list[tuple[Chart, str]]:
    """The charts of the report for the last seconds, each with its first query.

    Raises:
        StackError: Prometheus does not answer.
    """
    found = fetch_charts(prometheus, now - seconds, now, max(0.5, seconds / SHOWN_POINTS))
    queries = [asked[0][0] for _, asked in chart_queries(WINDOW)]
    return list(zip(found, queries, strict=True))


def read_rules(prometheus: PrometheusClient, *, seconds: float = 0.0) -> list[LiveRule]:
    """The alerting rules, those first that fire.

    Args:
        prometheus: to ask.
        seconds: in which the values of their left sides are asked, too; each is a query.

    Raises:
        StackError: Prometheus does not answer.
    """
    rows = []
    until = time.monotonic() + seconds
    for rule in prometheus.rules():
        limits = tuple(limits_of(rule))
        if time.monotonic() < until:
            limits = tuple(_valued(prometheus, each) for each in limits)
        rows.append(LiveRule(rule, state_of(rule), limits))
    return sorted(rows, key=lambda row: (_order(row), row.rule.name))


def state_of(rule: AlertRule) -> State:
    """The state of a rule; a heartbeat's is that."""
    if always_fires(rule.query):
        return "heartbeat"
    return next((state for state in ("firing", "pending") if state == rule.state), "inactive")


def limits_of(rule: AlertRule) -> Iterable[RuleLimit]:
    """The comparisons of a rule that have a limit; none where it can't be read."""
    try:
        found = comparisons_with_limits(read_condition(rule.query))
    except ValueError:
        return
    for each in found:
        yield RuleLimit(each.operator, each.limit, written(each.side))


def alert_rows(rules: Iterable[LiveRule]) -> list[LiveAlert]:
    """The alerts of rules that somebody has to act on, firing ones first."""
    found = [
        LiveAlert(alert, row)
        for row in rules
        if row.state != "heartbeat"
        for alert in row.rule.alerts
    ]
    return sorted(found, key=lambda each: (STATES.index(each.alert.state), each.rule.rule.name))


def scraped(targets: Iterable[Target]) -> Mapping[str, str]:
    """Component to ``up`` or ``down``; down where one of its targets is."""
    found: dict[str, str] = {}
    for target in targets:
        name = component_of(target.job) or target.job
        if found.get(name) != "down" and target.health in {"up", "down"}:
            found[name] = target.health
    return found


def _order(row: LiveRule) -> int:
    return STATES.index(row.state) if row.state in STATES else len(STATES)


def _valued(prometheus: PrometheusClient, limit: RuleLimit) -> RuleLimit:
    """With its value; one that Prometheus does not answer by itself has none."""
    try:
        samples = prometheus.query(limit.side)
    except StackError:
        return limit
    values = [sample.value for sample in samples if not math.isnan(sample.value)]
    nearest = min if limit.operator.startswith("<") else max
    value = nearest(values, default=None)
    return RuleLimit(limit.operator, limit.limit, limit.side, value)

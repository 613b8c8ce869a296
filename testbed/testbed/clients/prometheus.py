"""A small client of Prometheus's HTTP API, with the few calls that runner and verdict need."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from testbed.clients.base import Client
from testbed.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAXIMUM_POINTS: Final = 11_000
"""Points per series that Prometheus answers a range query with at most."""


@dataclass(frozen=True, slots=True)
class SeriesSample:
    """One value of one series.

    Attributes:
        labels: label name to value, the metric's name under ``__name__``.
        time: Unix time in seconds.
        value: may be NaN or infinite.
    """

    labels: Mapping[str, str]
    time: float
    value: float


@dataclass(frozen=True, slots=True)
class Series:
    """Several values of one series, ordered by time.

    Attributes:
        labels: label name to value, the metric's name under ``__name__``.
        points: pairs of Unix time in seconds and value.
    """

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class ActiveAlert:
    """An alert that Prometheus holds pending or firing.

    Attributes:
        labels: label name to value.
        annotations: annotation name to text.
        state: ``pending`` or ``firing``.
        value: of its expression at the last evaluation.
        active_at: Unix time since which its expression has had a value; None where unknown.
    """

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    state: str
    value: float = math.nan
    active_at: float | None = None


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    """What a query gives.

    Attributes:
        kind: ``vector``, ``matrix``, ``scalar`` or ``string``.
        series: one point each, several of a matrix; none of a string.
        text: of a string.
    """

    kind: str
    series: tuple[Series, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class AlertRule:
    """A rule as Prometheus has loaded it; despite the name, ``kind`` says which.

    Attributes:
        name: name of the alert, or of the recorded series.
        group: its rule group.
        query: the expression, as Prometheus writes it.
        for_: ``for`` in real seconds.
        state: ``inactive``, ``pending`` or ``firing``.
        health: ``ok``, ``err`` or ``unknown``.
        last_error: why the last evaluation failed, or an empty text.
        kind: whether it alerts or records.
        file: path of its rule file.
        interval: seconds between two evaluations of its group.
        keep_firing: ``keep_firing_for`` in real seconds.
        labels: labels that it sets.
        annotations: templates of its annotations.
        evaluation_time: seconds that the last evaluation took.
        last_evaluation: Unix time of the last evaluation; None before the first one.
        alerts: those of it that are pending or firing.
    """

    name: str
    group: str
    query: str
    for_: float
    state: str
    health: str
    last_error: str = ""
    kind: Literal["alerting", "recording"] = "alerting"
    file: str = ""
    interval: float = 0.0
    keep_firing: float = 0.0
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    evaluation_time: float = 0.0
    last_evaluation: float | None = None
    alerts: tuple[ActiveAlert, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleGroup:
    """A rule group as Prometheus has loaded it.

    Attributes:
        name: unique in its file.
        file: path of the rule file.
        interval: seconds between two evaluations.
        rules: alerting and recording rules, in order.
    """

    name: str
    file: str
    interval: float
    rules: tuple[AlertRule, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """A scrape target."""

    job: str
    instance: str
    url: str
    health: str
    last_error: str


class PrometheusClient(Client):
    """Queries one Prometheus; every method raises :class:`StackError` where it can't."""

    name = "Prometheus"

    def query(self, expression: str, *, at: float | None = None) -> list[SeriesSample]:
        """Evaluate an expression that gives an instant vector or a scalar.

        Args:
            expression: PromQL.
            at: Unix time of the evaluation; now, if None.
        """
        data = self._query("/api/v1/query", query=expression, **_time(time=at))
        if data["resultType"] == "scalar":
            return [_sample({}, data["result"])]
        if data["resultType"] != "vector":
            raise StackError(f"the query {expression!r} gives a {data['resultType']}, not a vector")
        return [_sample(item["metric"], item["value"]) for item in data["result"]]

    def answer(self, expression: str, *, limit: int = 0) -> QueryAnswer:
        """Evaluate any expression now.

        Args:
            expression: PromQL.
            limit: series at most; 0 for all.
        """
        data = self._query("/api/v1/query", query=expression, limit=str(limit))
        kind, result = data["resultType"], data["result"]
        if kind == "string":
            return QueryAnswer(kind, text=str(result[1]))
        if kind == "scalar":
            return QueryAnswer(kind, (_series({"metric": {}, "value": result}),))
        return QueryAnswer(kind, tuple(map(_series, result)))

    def query_range(
        self, expression: str, start: float, end: float, step: float, *, limit: int = 0
    ) -> list[Series]:
        """Evaluate an expression every ``step`` seconds from ``start`` to ``end`` (Unix times).

        Args:
            expression: PromQL.
            start: Unix time.
            end: Unix time.
            step: seconds.
            limit: series at most; 0 for all.

        Raises:
            StackError: more than :data:`MAXIMUM_POINTS` steps, or a query that fails.
        """
        if (end - start) / step > MAXIMUM_POINTS:
            raise StackError(
                f"a range query of {end - start:.0f} s needs a step of at least "
                f"{(end - start) / MAXIMUM_POINTS:.3g} s"
            )
        data = self._query(
            "/api/v1/query_range",
            query=expression,
            limit=str(limit),
            **_time(start=start, end=end, step=step),
        )
        return [_series(item) for item in data["result"]]

    def raw(self, selector: str, *, at: float, window: float) -> list[Series]:
        """The samples as they were stored in the ``window`` seconds before ``at``.

        Nothing is looked back, interpolated or extrapolated, and series that ended are there too.
        """
        milliseconds = max(1, math.ceil(window * 1000))
        expression = f"{selector}[{milliseconds}ms]"
        data = self._query("/api/v1/query", query=expression, **_time(time=at))
        return [_series(item) for item in data["result"]]

    def last_values(self, selector: str, *, at: float, window: float) -> list[SeriesSample]:
        """The last stored sample of each series in the ``window`` seconds before ``at``."""
        return [
            SeriesSample(series.labels, *series.points[-1])
            for series in self.raw(selector, at=at, window=window)
            if series.points
        ]

    def rules(self) -> list[AlertRule]:
        """The alerting rules that are loaded."""
        return [rule for group in self.groups() for rule in group.rules if rule.kind == "alerting"]

    def groups(self) -> list[RuleGroup]:
        """The rule groups that are loaded, with their alerting and recording rules."""
        return [_group(item) for item in self._data("GET", "/api/v1/rules")["groups"]]

    def series(
        self, selector: str, *, start: float, end: float, limit: int = 0
    ) -> list[Mapping[str, str]]:
        """Labels of the series that a selector matches and that have samples between two times.

        Args:
            selector: without a range.
            start: Unix time.
            end: Unix time.
            limit: how many at most; 0 for all.
        """
        query = {"match[]": selector, "limit": str(limit), **_time(start=start, end=end)}
        found: list[Mapping[str, str]] = self._data("POST", "/api/v1/series", **query)
        return found

    def alerts(self) -> list[ActiveAlert]:
        """The alerts that are pending or firing now."""
        alerts = self._data("GET", "/api/v1/alerts")["alerts"]
        return list(map(_alert, alerts))

    def targets(self) -> list[Target]:
        """The active scrape targets."""
        targets = self._data("GET", "/api/v1/targets", state="active")["activeTargets"]
        return [
            Target(
                job=item["labels"].get("job", ""),
                instance=item["labels"].get("instance", ""),
                url=item["scrapeUrl"],
                health=item["health"],
                last_error=item.get("lastError", ""),
            )
            for item in targets
        ]

    def _query(self, path: str, **parameters: str) -> Any:  # noqa: ANN401 - JSON
        return self._data("POST", path, **parameters)  # long expressions don't fit into a URL

    def _data(self, method: str, path: str, **parameters: str) -> Any:  # noqa: ANN401 - JSON
        body = self._json(method, path, **parameters)
        if not isinstance(body, dict) or "data" not in body:
            raise StackError(f"{self.base_url} does not answer like Prometheus")
        return body["data"]


def _group(item: dict[str, Any]) -> RuleGroup:
    name, file, interval = item["name"], item.get("file", ""), float(item.get("interval", 0.0))
    rules = tuple(
        AlertRule(
            name=rule["name"],
            group=name,
            query=rule["query"],
            for_=float(rule.get("duration", 0.0)),
            state=rule.get("state", "inactive"),
            health=rule.get("health", "unknown"),
            last_error=rule.get("lastError", ""),
            kind="recording" if rule.get("type") == "recording" else "alerting",
            file=file,
            interval=interval,
            keep_firing=float(rule.get("keepFiringFor", 0.0)),
            labels=rule.get("labels") or {},
            annotations=rule.get("annotations") or {},
            evaluation_time=float(rule.get("evaluationTime", 0.0)),
            last_evaluation=_moment(rule.get("lastEvaluation", "")),
            alerts=tuple(map(_alert, rule.get("alerts") or ())),
        )
        for rule in item["rules"]
    )
    return RuleGroup(name, file, interval, rules)


def _alert(item: dict[str, Any]) -> ActiveAlert:
    return ActiveAlert(
        item["labels"],
        item["annotations"],
        item["state"],
        float(item.get("value", "nan")),
        _moment(item.get("activeAt") or ""),
    )


def _moment(text: str) -> float | None:
    """Unix time of what Prometheus writes; its year 1 means never."""
    if not text or text.startswith("0001-"):
        return None
    return datetime.fromisoformat(text).timestamp()


def _time(**values: float | None) -> dict[str, str]:
    return {name: f"{value:.3f}" for name, value in values.items() if value is not None}


def _sample(labels: Mapping[str, str], pair: tuple[float, str]) -> SeriesSample:
    return SeriesSample(labels, float(pair[0]), float(pair[1]))


def _series(item: dict[str, Any]) -> Series:
    pairs = [item["value"]] if "value" in item else item.get("values", ())
    points = tuple((float(time), float(value)) for time, value in pairs)
    return Series(item["metric"], points)

"""What is gone once the stack stops: final counters, alerts, rules, series and the log's rows.

Taken once at the end of a run and kept in ``series.json``, so that verdict and report can be made
again from the files alone.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeVar

from pydantic import Field
from testbed_domain.errors import DomainError

from testbed.charts import Chart, StoredModel, fetch_charts
from testbed.facts.alertspans import AlertSpan, alert_spans
from testbed.facts.asserted import AssertedQuery, read_asserted
from testbed.facts.assertedsignals import (
    AssertedLog,
    AssertedTrace,
    read_asserted_logs,
    read_asserted_traces,
)
from testbed.facts.boards import Boards, read_boards
from testbed.facts.delivery import Delivery, read_delivery
from testbed.facts.finalcounts import Count, final_counters, parse_counters
from testbed.facts.logcontent import LogContent, read_logcontent
from testbed.facts.logcounts import LogFacts, read_log
from testbed.facts.marginmodels import Margins
from testbed.facts.margins import read_margins
from testbed.facts.measured import Measured, read_measured
from testbed.facts.published import Published, read_published
from testbed.facts.realised import Realised, read_realised
from testbed.facts.rulecharts import read_rulecharts
from testbed.facts.rulehealth import RuleHealth, read_rulehealth
from testbed.facts.ruletests import RuleTests
from testbed.facts.servicecounts import ServiceCounts, read_servicecounts
from testbed.facts.signals import Signals, read_signals
from testbed.facts.sources import Sources
from testbed.pipeline import Pipeline, read_pipeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from testbed.clients.prometheus import AlertRule

GAP: Final = 2.5
"""Intervals between two samples of an alert that end a span: one may be missing, one be late."""


READERS: Final = 4
"""Readers at work at a time: some wait for Prometheus while others compute."""

EXPECTED: Final = (DomainError, ValueError)

T = TypeVar("T")


class LoadedRule(StoredModel):
    """A rule that was loaded; durations in real seconds.

    Attributes:
        name: name of the alert, or of the recorded series.
        for_: ``for``.
        health: ``ok``, ``err`` or ``unknown``.
        last_error: why its last evaluation failed.
        kind: whether it alerts or records.
        group: its group.
        interval: between two evaluations of its group.
        query: the expression, as Prometheus writes it.
        labels: labels that it sets.
        annotations: templates.
        evaluation_time: what its last evaluation took.
        last_evaluation: Unix time, or None before the first one.
        file: name of its rule file.
    """

    name: str
    for_: float = 0.0
    health: str = "ok"
    last_error: str = ""
    kind: Literal["alerting", "recording"] = "alerting"
    group: str = ""
    interval: float = 0.0
    query: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    evaluation_time: float = 0.0
    last_evaluation: float | None = None
    file: str = ""


class Snapshot(StoredModel):
    """Everything that was asked for at the end of a run.

    Attributes:
        api: instance to its final counters, or None where it ended without being asked.
        prometheus: instance to its raw final counters.
        spans: when alerts were pending or firing.
        rules: the alerting rules that were loaded, or None where that is unknown.
        evaluation_interval: real seconds between evaluations of a group that sets no other.
        charts: series for the report.
        log: the prediction log, or None where it could not be read.
        pipeline: the telemetry's own way, or None where it could not be had.
        measured, logcontent and so on: see ``testbed.facts``; None where they could not be had.
        problems: what could not be had, one line each.
    """

    schema_version: Literal[2] = 2
    started_at: float
    ended_at: float
    api: dict[str, tuple[Count, ...] | None]
    prometheus: dict[str, tuple[Count, ...]]
    spans: tuple[AlertSpan, ...] = ()
    rules: tuple[LoadedRule, ...] | None = None
    evaluation_interval: float = 0.0
    charts: tuple[Chart, ...] = ()
    log: LogFacts | None = None
    pipeline: Pipeline | None = None
    measured: Measured | None = None
    logcontent: LogContent | None = None
    realised: Realised | None = None
    delivery: Delivery | None = None
    rulehealth: RuleHealth | None = None
    margins: Margins | None = None
    published: Published | None = None
    signals: Signals | None = None
    boards: Boards | None = None
    ruletests: RuleTests | None = None
    asserted: tuple[AssertedQuery, ...] | None = None
    asserted_logs: tuple[AssertedLog, ...] | None = None
    asserted_traces: tuple[AssertedTrace, ...] | None = None
    service: ServiceCounts | None = None
    problems: tuple[str, ...] = ()

    def interval(self, alert: str) -> float:
        """Real seconds between evaluations of an alert; the longest of rules that share a name."""
        return _interval(self.rules or (), alert, self.evaluation_interval)


def take_snapshot(sources: Sources, ruletests: Callable[[], RuleTests]) -> Snapshot:
    """Ask for everything; what can't be had becomes a problem, so that there is a verdict still.

    Args:
        sources: what is asked.
        ruletests: runs the rules' own tests, or waits for those that run already.
    """
    prometheus, truth, span = sources.prometheus, sources.truth, sources.span
    of = partial(_of_bundled, sources)
    recent = {"at": span.end, "window": span.end - span.start}
    with _Questions() as ask:
        # promtool works in a process of its own meanwhile.
        tests = ask("tests of the rules", ruletests)
        # The longest first: they share the processors with what waits for Prometheus.
        content = ask("content of the prediction log", of(read_logcontent))
        realised = ask("realised drift", lambda: read_realised(sources))
        published = ask("published drift scores", lambda: read_published(sources))
        margins = ask("margins of the rules", lambda: read_margins(sources))
        api = {
            instance: ask(f"counters of {instance}", partial(_counted, sources, instance, text))
            for instance, text in sorted(sources.pages.items())
            if text is not None
        }
        stored = ask("counters in Prometheus", lambda: final_counters(prometheus, **recent))
        alerts = ask("alerts", lambda: prometheus.raw("ALERTS", **recent))
        groups = ask("rules", prometheus.groups)
        # Their counters are compared from the beginning on, which may lie before the run.
        lived = {"at": span.end, "window": span.end - span.since}
        pipeline = ask("telemetry", lambda: read_pipeline(prometheus, **lived))
        charts = ask("series", lambda: fetch_charts(prometheus, span.start, span.end, span.step))
        rulecharts = ask("values of the rules", lambda: read_rulecharts(sources))
        log = ask("prediction log", lambda: read_log(sources.log_url, truth, since=span.start))
        measured = ask("measured values", of(read_measured))
        delivery = ask("routes", lambda: read_delivery(sources))
        health = ask("evaluation of the rules", lambda: read_rulehealth(sources))
        signals = ask("spans and log records", of(read_signals))
        boards = ask("dashboards", of(read_boards))
        asserted = ask("assertions", lambda: read_asserted(sources))
        logs = ask("asserted logs", lambda: read_asserted_logs(sources))
        traces = ask("asserted traces", lambda: read_asserted_traces(sources))
        service = ask("counters of the service", lambda: read_servicecounts(sources))
    found = groups()
    loaded = [_rule(rule) for group in found or () for rule in group.rules]
    alerting = tuple(rule for rule in loaded if rule.kind == "alerting")
    return Snapshot(
        started_at=span.start,
        ended_at=span.end,
        api={
            instance: api[instance]() if instance in api else None
            for instance in sorted(sources.pages)
        },
        prometheus={
            instance: sources.baseline.grown(instance, counts)
            for instance, counts in (stored() or {}).items()
        },
        spans=alert_spans(alerts() or (), lambda a: GAP * _interval(alerting, a, span.step)),
        rules=None if found is None else alerting,
        evaluation_interval=span.step,
        charts=(*(charts() or ()), *(rulecharts() or ())),
        log=log(),
        pipeline=pipeline(),
        measured=measured(),
        logcontent=content(),
        realised=realised(),
        delivery=delivery(),
        rulehealth=health(),
        margins=margins(),
        published=published(),
        signals=signals(),
        boards=boards(),
        ruletests=tests(),
        asserted=asserted(),
        asserted_logs=logs(),
        asserted_traces=traces(),
        service=service(),
        problems=ask.problems(),
    )


def _of_bundled(sources: Sources, read: Callable[[Sources], T]) -> Callable[[], T | None]:
    """Of another target nothing is known of its metrics, spans and log: nothing is read."""
    return lambda: read(sources) if sources.target.instrumented else None


class _Questions:
    """Readers at work side by side; leaving the context waits for all of them."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(READERS)
        self._asked: list[tuple[str, Future[Any]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._pool.shutdown(cancel_futures=kind is not None)

    def __call__(self, what: str, read: Callable[[], T]) -> Callable[[], T | None]:
        """Ask; returns what gives the answer, or None where there is none."""
        future = self._pool.submit(read)
        self._asked.append((what, future))
        return lambda: None if isinstance(future.exception(), EXPECTED) else future.result()

    def problems(self) -> tuple[str, ...]:
        """What could not be had, in the order in which it was asked for."""
        failed = ((what, future.exception()) for what, future in self._asked)
        return tuple(f"{what}: {error}" for what, error in failed if isinstance(error, EXPECTED))


def _counted(sources: Sources, instance: str, text: str) -> tuple[Count, ...]:
    return sources.baseline.grown(instance, parse_counters(text))


def _rule(rule: AlertRule) -> LoadedRule:
    return LoadedRule(
        name=rule.name,
        for_=rule.for_,
        health=rule.health,
        last_error=rule.last_error,
        kind=rule.kind,
        group=rule.group,
        interval=rule.interval,
        query=rule.query,
        labels=dict(rule.labels),
        annotations=dict(rule.annotations),
        evaluation_time=rule.evaluation_time,
        last_evaluation=rule.last_evaluation,
        file=PurePath(rule.file).name,
    )


def _interval(rules: Iterable[LoadedRule], alert: str, usual: float) -> float:
    known = (rule.interval for rule in rules if rule.name == alert and rule.interval)
    return max(known, default=usual)

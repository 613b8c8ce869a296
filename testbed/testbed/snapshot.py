"""What is gone once the stack stops: final counters, alerts, rules, series and the log's rows.

Taken once at the end of a run and kept in ``series.json``, so that verdict and report can be made
again from the files alone.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeVar

from prometheus_client.parser import text_string_to_metric_families
from pydantic import Field
from sqlalchemy import ColumnElement, false, func, or_, select
from testbed_domain.errors import DomainError
from testbed_domain.logengine import create_log_engine, one_line
from testbed_domain.predictionlog import labels as labels_table
from testbed_domain.predictionlog import predictions as predictions_table
from testbed_otel import names

from testbed.charts import HTTP_COUNT, PREDICT_ROUTE, Chart, Kept, fetch_charts
from testbed.errors import TestbedError
from testbed.facts.boards import Boards, read_boards
from testbed.facts.delivery import Delivery, read_delivery
from testbed.facts.logcontent import LogContent, read_logcontent
from testbed.facts.margins import Margins, read_margins
from testbed.facts.measured import Measured, read_measured
from testbed.facts.published import Published, read_published
from testbed.facts.realised import Realised, read_realised
from testbed.facts.rulehealth import RuleHealth, read_rulehealth
from testbed.facts.ruletests import RuleTests, read_ruletests
from testbed.facts.signals import Signals, read_signals
from testbed.facts.sources import Sources
from testbed.pipeline import Pipeline, read_pipeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from testbed.clients.prometheus import AlertRule, PrometheusClient, Series
    from testbed.truth import Truth

SCHEMA_VERSION: Final = 1
GAP: Final = 2.5
"""Intervals between two samples of an alert that end a span: one may be missing, one be late."""

EXAMPLES: Final = 10
"""Ids that a problem names at most."""

LABELS_ROUTE: Final = "/labels"
ROWS_ROUTES: Final = ("/predict/batch", "/predict/stream")
"""Routes that take many rows in one request."""

# Counters that are compared, and the attributes that tell their series apart.
COUNTERS: Final[Mapping[str, tuple[str, ...]]] = {
    HTTP_COUNT: tuple(map(names.label, (names.HTTP_METHOD, names.HTTP_ROUTE, names.HTTP_STATUS))),
    names.PREDICTIONS.prometheus: tuple(
        map(names.label, (names.MODEL_VERSION, names.PREDICTION_CLASS))
    ),
    names.PREDICTION_ERRORS.prometheus: (names.label(names.ERROR_TYPE),),
    names.LOG_ROWS.prometheus: (names.label(names.OUTCOME),),
    names.LABELS.prometheus: (names.label(names.OUTCOME),),
    names.REPLICA_STARTS.prometheus: (names.label(names.REASON),),
}
# Kept beside them, but not compared: it changes while it is asked for.
STATES: Final[Mapping[str, tuple[str, ...]]] = {names.LOG_SPOOLED.prometheus: ()}
KEPT: Final = {**COUNTERS, **STATES}

READERS: Final = 4
"""Readers at work at a time: some wait for Prometheus while others compute."""

EXPECTED: Final = (TestbedError, DomainError, ValueError)

T = TypeVar("T")


class Count(Kept):
    """Final value of one counter series, reduced to the attributes that matter."""

    metric: str
    labels: dict[str, str]
    value: int

    @property
    def key(self) -> tuple[str, ...]:
        """Name and attribute values; equal for the same series in the API and in Prometheus."""
        return (self.metric, *(self.labels.get(name, "") for name in KEPT[self.metric]))


class AlertSpan(Kept):
    """A stretch of time in which Prometheus held one alert pending or firing."""

    alert: str
    labels: dict[str, str]
    state: Literal["pending", "firing"]
    start: float
    end: float


class Rule(Kept):
    """A rule that was loaded; durations in real seconds.

    Attributes:
        name: name of the alert, or of the recorded series.
        hold: ``for``.
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
    """

    name: str
    hold: float = 0.0
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


class Ids(Kept):
    """How many ids have a fault, and the first few of them."""

    count: int = 0
    examples: tuple[str, ...] = ()

    @classmethod
    def of(cls, ids: Iterable[str]) -> Ids:
        """Count and shorten."""
        known = sorted(ids)
        return cls(count=len(known), examples=tuple(known[:EXAMPLES]))


class LogFacts(Kept):
    """The prediction log, held against the truth.

    Attributes:
        rows: rows in ``predictions``.
        labels: rows in ``labels``.
        missing: predictions that were answered with 200 and have no row.
        foreign: rows that no request of the truth explains.
        duplicated: request ids with more than one row.
        unanswered: rows of requests whose answer the load never saw.
        by_instance: rows of each API instance.
    """

    rows: int
    labels: int
    missing: Ids = Ids()
    foreign: Ids = Ids()
    duplicated: Ids = Ids()
    unanswered: int = 0
    by_instance: dict[str, int] = Field(default_factory=dict)


class Snapshot(Kept):
    """Everything that was asked for at the end of a run.

    Attributes:
        api: instance to its final counters, or None where it ended without being asked.
        prometheus: instance to its raw final counters.
        spans: when alerts were pending or firing.
        rules: the alerting rules that were loaded, or None where that is unknown.
        charts: series for the report.
        log: the prediction log, or None where it could not be read.
        pipeline: the telemetry's own way, or None where it could not be had.
        measured, logcontent and so on: see ``testbed.facts``; None where they could not be had.
        problems: what could not be had, one line each.
    """

    schema_version: Literal[1] = 1
    started_at: float
    ended_at: float
    api: dict[str, tuple[Count, ...] | None]
    prometheus: dict[str, tuple[Count, ...]]
    spans: tuple[AlertSpan, ...] = ()
    rules: tuple[Rule, ...] | None = None
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
    problems: tuple[str, ...] = ()


def parse_counters(text: str) -> tuple[Count, ...]:
    """The counters that matter in a ``/metrics`` page.

    Raises:
        ValueError: the text is no Prometheus exposition.
    """
    return _counts(
        (sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    )


def _counts(samples: Iterable[tuple[str, Mapping[str, str], float]]) -> tuple[Count, ...]:
    totals: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()
    for metric, labels, value in samples:
        wanted = KEPT.get(metric)
        if wanted is None or (metric == HTTP_COUNT and not _of_load(labels)):
            continue
        totals[metric, tuple((name, labels.get(name, "")) for name in wanted)] += round(value)
    return tuple(
        Count(metric=metric, labels=dict(labels), value=value)
        for (metric, labels), value in sorted(totals.items())
    )


def _of_load(labels: Mapping[str, str]) -> bool:
    # Health checks and scrapes go on while the counters are read, so they can't be compared.
    loaded = {PREDICT_ROUTE, LABELS_ROUTE, *ROWS_ROUTES}
    return labels.get(names.label(names.HTTP_ROUTE)) in loaded


def compared(counts: Iterable[Count]) -> tuple[Count, ...]:
    """Those of the counts that Prometheus must hold just so."""
    return tuple(count for count in counts if count.metric in COUNTERS)


def final_counters(
    prometheus: PrometheusClient, *, at: float, window: float
) -> dict[str, tuple[Count, ...]]:
    """Raw final counters of every API instance, those that ended before ``at`` included."""
    samples: dict[str, list[tuple[str, Mapping[str, str], float]]] = {}
    for metric in KEPT:
        selector = f'{metric}{{job="{names.JOB_API}"}}'
        for sample in prometheus.last_values(selector, at=at, window=window):
            instance = sample.labels.get("instance", "")
            samples.setdefault(instance, []).append((metric, sample.labels, sample.value))
    return {instance: _counts(found) for instance, found in sorted(samples.items())}


def behind(
    api_counters: Mapping[str, str | None],
    prometheus: PrometheusClient,
    *,
    at: float,
    window: float,
) -> int:
    """How far Prometheus is behind the API's counters, over all series; 0 when it holds them all.

    For waiting at the end of a run until the pipeline has drained.
    """
    stored = final_counters(prometheus, at=at, window=window)
    missing = 0
    for instance, text in api_counters.items():
        held = {count.key: count.value for count in stored.get(instance, ())}
        for count in compared(parse_counters(text) if text is not None else ()):
            missing += max(0, count.value - held.get(count.key, 0))
    return missing


def alert_spans(
    series: Iterable[Series], *, gap: float, gaps: Mapping[str, float] | None = None
) -> tuple[AlertSpan, ...]:
    """Join raw samples of ``ALERTS`` to spans.

    Args:
        series: the samples.
        gap: a pause of more seconds splits a span.
        gaps: the same by alert, where its rule is evaluated at another interval.
    """
    spans: list[AlertSpan] = []
    for item in series:
        labels = {k: v for k, v in item.labels.items() if k not in {"__name__", "alertstate"}}
        state: Literal["pending", "firing"] = (
            "firing" if item.labels.get("alertstate") == "firing" else "pending"
        )
        split = (gaps or {}).get(labels.get("alertname", ""), gap)
        for start, end in _stretches([time for time, _ in item.points], split):
            spans.append(
                AlertSpan(
                    alert=labels.get("alertname", ""), labels=labels, state=state,
                    start=start, end=end,
                )
            )  # fmt: skip
    return tuple(sorted(spans, key=lambda span: (span.start, span.alert, span.state)))


def _stretches(times: Sequence[float], gap: float) -> list[tuple[float, float]]:
    stretches: list[tuple[float, float]] = []
    for time in times:
        if stretches and time - stretches[-1][1] <= gap:
            stretches[-1] = (stretches[-1][0], time)
        else:
            stretches.append((time, time))
    return stretches


def read_log(url: str, truth: Truth, *, since: float) -> LogFacts:
    """Count the prediction log's rows from ``since`` on and join them with the truth.

    Rows of the run's own requests count whatever time they bear: a wrong clock is another fault.

    Raises:
        LogError: the log can't be read.
    """
    engine = create_log_engine(url, create=False)
    rows, marks = predictions_table.c, labels_table.c
    own = _own_rows(truth)
    try:
        with one_line(engine.url), engine.connect() as connection:
            columns = select(rows.id, rows.request_id, rows.instance).where(
                or_(rows.time >= since, own)
            )
            found = [(row.id, row.request_id, row.instance) for row in connection.execute(columns)]
            labels = connection.scalar(
                select(func.count())
                .select_from(labels_table)
                .where(
                    or_(marks.time >= since, marks.prediction_id.in_(select(rows.id).where(own)))
                )
            )
    finally:
        engine.dispose()
    return join_log(truth, found, labels or 0)


def _own_rows(truth: Truth) -> ColumnElement[bool]:
    """Rows of requests of the run, by the prefix that all their ids have."""
    if not truth.requests:
        return false()
    prefix = truth.requests[0].request_id.rpartition("-")[0]
    return predictions_table.c.request_id.startswith(f"{prefix}-", autoescape=True)


def join_log(truth: Truth, rows: Sequence[tuple[str, str | None, str]], labels: int) -> LogFacts:
    """Hold the log's ids against the truth.

    Args:
        truth: what the load sent and saw.
        rows: prediction id, request id and API instance of each row.
        labels: number of label rows.
    """
    answered = {r.prediction_id for r in truth.requests if r.prediction_id is not None}
    sent = {r.request_id for r in truth.requests}
    stored = {prediction for prediction, _, _ in rows}
    per_request = Counter(request for _, request, _ in rows if request is not None)
    unseen = [(p, r) for p, r, _ in rows if p not in answered]
    return LogFacts(
        rows=len(rows),
        labels=labels,
        missing=Ids.of(answered - stored),
        foreign=Ids.of(p for p, r in unseen if r not in sent),
        duplicated=Ids.of(request for request, count in per_request.items() if count > 1),
        unanswered=sum(r in sent for _, r in unseen),
        by_instance=Counter(instance for _, _, instance in rows),
    )


def take_snapshot(sources: Sources) -> Snapshot:
    """Ask for everything; what can't be had becomes a problem, so that there is a verdict still."""
    prometheus, truth, span = sources.prometheus, sources.truth, sources.span
    recent = {"at": span.end, "window": span.end - span.start}
    with _Questions() as ask:
        # promtool works in a process of its own meanwhile.
        tests = ask("tests of the rules", lambda: read_ruletests(sources))
        # The longest first: they share the processors with what waits for Prometheus.
        content = ask("content of the prediction log", lambda: read_logcontent(sources))
        realised = ask("realised drift", lambda: read_realised(sources))
        published = ask("published drift scores", lambda: read_published(sources))
        margins = ask("margins of the rules", lambda: read_margins(sources))
        api = {
            instance: ask(f"counters of {instance}", partial(parse_counters, text))
            for instance, text in sorted(sources.pages.items())
            if text is not None
        }
        stored = ask("counters in Prometheus", lambda: final_counters(prometheus, **recent))
        alerts = ask("alerts", lambda: prometheus.raw("ALERTS", **recent))
        groups = ask("rules", prometheus.groups)
        pipeline = ask("telemetry", lambda: read_pipeline(prometheus, **recent))
        charts = ask("series", lambda: fetch_charts(prometheus, span.start, span.end, span.step))
        log = ask("prediction log", lambda: read_log(sources.log_url, truth, since=span.start))
        measured = ask("measured values", lambda: read_measured(sources))
        delivery = ask("routes", lambda: read_delivery(sources))
        health = ask("evaluation of the rules", lambda: read_rulehealth(sources))
        signals = ask("spans and log records", lambda: read_signals(sources))
        boards = ask("dashboards", lambda: read_boards(sources))
    found = groups()
    loaded = [_rule(rule) for group in found or () for rule in group.rules]
    return Snapshot(
        started_at=span.start,
        ended_at=span.end,
        api={
            instance: api[instance]() if instance in api else None
            for instance in sorted(sources.pages)
        },
        prometheus=stored() or {},
        spans=alert_spans(alerts() or (), gap=GAP * span.step, gaps=_gaps(loaded)),
        rules=None if found is None else tuple(r for r in loaded if r.kind == "alerting"),
        charts=charts() or (),
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
        problems=ask.problems(),
    )


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


def _rule(rule: AlertRule) -> Rule:
    return Rule(
        name=rule.name,
        hold=rule.hold,
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
    )


def _gaps(rules: Iterable[Rule]) -> dict[str, float]:
    """Alert to the pause that splits its spans; of rules that share a name, the slowest counts."""
    gaps: dict[str, float] = {}
    for rule in rules:
        if rule.kind == "alerting" and rule.interval:
            gaps[rule.name] = max(GAP * rule.interval, gaps.get(rule.name, 0.0))
    return gaps

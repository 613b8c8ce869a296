"""What the service measured: final series of its ``/metrics`` and their way through time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed_domain.artefact import load_artefact
from testbed_domain.errors import DomainError
from testbed_load.errors import LoadError
from testbed_load.labels import DelayedLabels
from testbed_load.plan import LabelPlan, read_plan
from testbed_otel import names

from testbed.charts import HTTP_COUNT, PREDICT_ROUTE, StoredModel
from testbed.componentnames import API
from testbed.facts import injected
from testbed.facts.answers import only_version, place, read_rows
from testbed.facts.children import Group, compare
from testbed.facts.consistency import disagreements
from testbed.facts.counted import COMPARED, Counted, tracks, values
from testbed.facts.durations import DURATION, INFERENCE_SUM, read_timing
from testbed.facts.expectations import (
    ABSOLUTE_ERROR,
    INFERENCE_COUNT,
    NUMBER,
    OUTCOME,
    PROBABILITY,
    ROUTE,
    VERSION,
    Crew,
    Expectation,
    decisions,
    expected_costs,
    expected_distances,
    expected_errors,
    expected_kinds,
    expected_numbers,
    expected_outcomes,
    expected_predictions,
    expected_probabilities,
    expected_statuses,
)
from testbed.facts.exposition import Page, Shape, read_page, stored_page
from testbed.facts.inflight import ACTIVE, InFlight, read_inflight
from testbed.facts.timing import RequestTiming
from testbed.truth import read_lines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed_domain.features import FeatureSchema

    from testbed.clients.prometheus import Series
    from testbed.facts.sources import Sources

OWN: Final = f'job="{names.JOB_API}",__name__=~"(ml|http_server)_.+"'
# Those that are followed through time.
FOLLOWED: Final = (
    *(metric for metric in COMPARED if not metric.endswith("_bucket")),
    f"{DURATION}_sum",
    INFERENCE_SUM,
    ACTIVE,
)
SUFFIXES: Final = ("count", "sum", "bucket")
MANY: Final = ("/predict/batch", "/predict/stream")


class Rate(StoredModel):
    """The accuracy that a process publishes, beside its own counts of right and wrong."""

    instance: str
    version: str
    accuracy: float
    correct: float
    wrong: float


class PageShapes(StoredModel):
    """The shapes of the metrics on one page."""

    instance: str
    shapes: tuple[Shape, ...]


class Measured(StoredModel):
    """What the service measured: final series of its ``/metrics`` and their way through time.

    Attributes:
        statuses: HTTP requests by route and status.
        predictions: by version and class, and inferences.
        probabilities: the histogram of the predicted class's probability, or of predicted numbers.
        errors: failed predictions by kind.
        outcomes: right and wrong predictions, and what they cost; or absolute errors.
        accuracy: gauges of accuracy.
        active: requests in flight at the end, by the API.
        inflight: requests in flight at each export.
        timing: latency.
        pages: shapes of the metrics.
        unpredicted: answers with 200 that held no prediction.
        disagreements: numbers of a process that contradict each other.
        regression: whether the model predicts numbers.
    """

    statuses: Group = Group()
    predictions: Group = Group()
    probabilities: Group = Group()
    errors: Group = Group()
    outcomes: Group = Group()
    accuracy: tuple[Rate, ...] = ()
    active: int = 0
    inflight: InFlight = InFlight()
    timing: RequestTiming = RequestTiming()
    pages: tuple[PageShapes, ...] = ()
    unpredicted: tuple[str, ...] = ()
    disagreements: tuple[str, ...] = ()
    regression: bool = False


def read_measured(sources: Sources) -> Measured:
    """Read them.

    Raises:
        DomainError: they can't be had.
    """
    pages, shapes = _pages(sources)
    absolute, pages = pages, {name: sources.baseline.page(name, p) for name, p in pages.items()}
    series = sources.baseline.series(_followed(sources))
    rows = read_rows(sources.log_url, since=sources.span.start)
    answers = place(sources.truth.all_requests, rows, sources.pages, only_version(sources.layout))
    schema = _schema(sources)
    regression = schema is not None and schema.regression
    crew = Crew(answers, _loose(sources, pages), regression)
    counted = Counted(values(pages), tracks(series, sources.pages))
    many = sum(page.total(HTTP_COUNT, {ROUTE: route}) for page in pages.values() for route in MANY)
    skipped = f"{many:.0f} requests with many rows were served beside the load's" if many else ""

    def group(expected: Expectation, *metrics: str) -> Group:
        if skipped:
            return Group(skipped=skipped)
        return compare(expected, *counted.of(*metrics), sources.phases)

    over = sources.truth.ended_at or sources.span.end
    by_status = expected_statuses(crew, sources.truth.labels, over)
    return Measured(
        statuses=compare(by_status, *counted.of(HTTP_COUNT), sources.phases),
        predictions=group(
            expected_predictions(crew), names.PREDICTIONS.prometheus, INFERENCE_COUNT
        ),
        probabilities=group(
            {**expected_probabilities(crew), **(expected_numbers(crew) if regression else {})},
            *(f"{metric}_{part}" for metric in (PROBABILITY, NUMBER) for part in SUFFIXES),
        ),
        errors=group(
            {**expected_errors(crew), **expected_kinds(crew, injected.errors(sources, answers))},
            names.PREDICTION_ERRORS.prometheus,
        ),
        outcomes=_outcomes(sources, crew, counted, over),
        accuracy=tuple(_rates(absolute)),
        active=round(
            sum(p.total(names.HTTP_ACTIVE.prometheus, {ROUTE: PREDICT_ROUTE})
                for name, p in pages.items() if sources.pages[name] is not None)
        ),
        inflight=read_inflight(answers, series),
        timing=read_timing(sources, answers, pages, series),
        pages=shapes,
        unpredicted=tuple(
            answer.request.request_id
            for answer in answers
            if answer.request.status == 200 and answer.request.prediction is None  # noqa: PLR2004 - HTTP's OK
        )[:10],
        disagreements=_disagreements(sources, pages, many=bool(many))[:10],
        regression=regression,
    )  # fmt: skip


def _disagreements(sources: Sources, pages: Mapping[str, Page], *, many: bool) -> tuple[str, ...]:
    """Of processes that reported themselves; requests with many rows are batches of their own."""
    lived = sources.span.end - sources.span.start
    return tuple(
        f"{instance}: {line}"
        for instance, page in pages.items()
        if sources.pages[instance] is not None and not many
        for line in disagreements(page, lived)
    )


def _pages(sources: Sources) -> tuple[dict[str, Page], tuple[PageShapes, ...]]:
    """The last values of each process: its own page, or what Prometheus stored of it."""
    pages: dict[str, Page] = {}
    shapes = []
    for instance, text in sorted(sources.pages.items()):
        if text is None:
            selector = f'{{{OWN},instance="{instance}"}}'
            window = sources.span.end - sources.span.start
            stored = sources.prometheus.last_values(selector, at=sources.span.end, window=window)
            pages[instance] = stored_page(stored)
        else:
            pages[instance], found = read_page(text)
            shapes.append(PageShapes(instance=instance, shapes=found))
    return pages, tuple(shapes)


def _followed(sources: Sources) -> list[Series]:
    selector = f'{{job="{names.JOB_API}",__name__=~"{"|".join(FOLLOWED)}"}}'
    window = sources.span.end - sources.span.start
    return sources.prometheus.raw(selector, at=sources.span.end, window=window)


def _loose(sources: Sources, pages: Mapping[str, Page]) -> dict[str, float]:
    """Processes that ended before they were asked, and how much of their counts may be missing."""
    events = list(read_lines(sources.layout.timeline, [], required=False))
    crashed = {str(e.get("name")) for e in events if e.get("event") == "replica_crashed"}
    whole = any(e.get("event") == "component_crashed" and e.get("name") == API for e in events)
    found = {}
    for instance, text in sources.pages.items():
        if text is None:
            lost = whole or instance in crashed or not pages[instance].values
            limit = sources.scenario.limits.lost_requests
            found[instance] = float("inf") if lost else float(limit)
    return found


def _outcomes(sources: Sources, crew: Crew, counted: Counted, over: float) -> Group:
    labels = _labels(sources)
    chosen = [
        answer
        for answer in crew.answers
        if answer.request.prediction_id is not None and labels.chosen(answer.request.seq)
    ]
    found = decisions(chosen, sources.truth.labels, over)
    if found is None:
        return Group(skipped="not every label was posted and taken")
    if crew.regression:
        expected = expected_distances(found, crew)
    else:
        schema = _schema(sources)
        kpis = () if schema is None else schema.kpis
        expected = expected_outcomes(found, crew) | expected_costs(found, kpis, crew)
    errors = (f"{ABSOLUTE_ERROR}_{part}" for part in SUFFIXES)
    metrics = (names.DECISIONS.prometheus, names.BUSINESS_COST.prometheus, *errors)
    return compare(expected, *counted.of(*metrics), sources.phases)


def _labels(sources: Sources) -> DelayedLabels:
    """Which labels the load posts, by its plan."""
    try:
        plan = read_plan(sources.layout.load_plan)
    except LoadError:
        return DelayedLabels(LabelPlan(sources.scenario.labels.ratio, 0.0), 0)
    return DelayedLabels(plan.labels, plan.seed)


def _schema(sources: Sources) -> FeatureSchema | None:
    try:
        return load_artefact(sources.layout.model).schema
    except DomainError:
        return None


def _rates(pages: Mapping[str, Page]) -> list[Rate]:
    found = []
    for instance, page in pages.items():
        for (metric, labels), value in page.values.items():
            if metric != names.MODEL_ACCURACY.prometheus:
                continue
            own = {VERSION: dict(labels).get(VERSION, "")}
            correct, wrong = (
                page.total(names.DECISIONS.prometheus, {**own, OUTCOME: outcome})
                for outcome in ("correct", "wrong")
            )
            found.append(
                Rate(
                    instance=instance,
                    version=own[VERSION],
                    accuracy=value,
                    correct=correct,
                    wrong=wrong,
                )
            )
    return found

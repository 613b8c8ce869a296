"""What the API's counters must show by the load's truth; pure."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import accumulate, islice
from typing import TYPE_CHECKING, Final

from testbed_otel import names

from testbed.charts import HTTP_COUNT, PREDICT_ROUTE
from testbed.facts.answers import OK, Answer, statuses, unknown
from testbed.facts.children import ChildKey, Expected
from testbed.facts.tables import number_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from testbed_domain.features import Kpi

    from testbed.truth import PostedLabels

LABELS_ROUTE: Final = "/labels"
METHOD, ROUTE, STATUS = map(names.label, (names.HTTP_METHOD, names.HTTP_ROUTE, names.HTTP_STATUS))
VERSION, CLASS = map(names.label, (names.MODEL_VERSION, names.PREDICTION_CLASS))
ERROR_TYPE, OUTCOME, KPI = map(names.label, (names.ERROR_TYPE, names.OUTCOME, names.KPI))
BUCKET: Final = "le"
ALL: Final = ""
TOO_LARGE: Final = 413
SERVER_ERROR: Final = 500
UNAVAILABLE: Final = 503
INFINITE: Final = float("inf")

# Kinds of errors that are answered alike: the statuses that only they have, and others of theirs.
ERRORS: Final[tuple[tuple[tuple[str, ...], tuple[int, ...], tuple[int, ...]], ...]] = (
    (("injected", "model", "other"), (500,), (400, 401, 429)),
    (("not_ready", "log", "shed", "deadline"), (503,), ()),
    (("validation",), (415, 422), (TOO_LARGE,)),
)
PROBABILITY: Final = names.PREDICTION_PROBABILITY.prometheus
NUMBER: Final = names.PREDICTION_VALUE.prometheus
ABSOLUTE_ERROR: Final = names.PREDICTION_ABSOLUTE_ERROR.prometheus
INFERENCE_COUNT: Final = f"{names.MODEL_INFERENCE.prometheus}_count"

Expectation = dict[ChildKey, Expected]


@dataclass(frozen=True)
class Crew:
    """The API processes of a run.

    Attributes:
        answers: the load's requests.
        loose: how much less each process may show that was not there to be asked at the end.
        regression: whether numbers are predicted.
    """

    answers: Sequence[Answer]
    loose: Mapping[str, float] = field(default_factory=dict)
    regression: bool = False

    def child(self, instance: str) -> Expected:
        """A counter of one process, or of all of them together."""
        loose = sum(self.loose.values()) if instance == ALL else self.loose.get(instance, 0.0)
        return Expected(maybe=self._unknown, loose=loose)

    @cached_property
    def late(self) -> int:
        """Predictions that were refused and counted: their time was up while they were written."""
        return sum(
            answer.request.status == UNAVAILABLE and answer.logged_at is not None
            for answer in self.answers
        )

    @cached_property
    def _unknown(self) -> int:
        return unknown(self.answers)


def expected_statuses(crew: Crew, batches: Sequence[PostedLabels], ended: float) -> Expectation:
    """HTTP requests by route and status."""
    found: Expectation = {}
    for status in statuses(crew.answers):
        found[_http(PREDICT_ROUTE, status)] = crew.child(ALL)
    for answer in crew.answers:
        request = answer.request
        if request.status is None:
            continue
        child = found[_http(PREDICT_ROUTE, request.status)]
        if request.status == TOO_LARGE:
            child.maybe += 1  # may be refused before it has a route
        else:
            child.add(request.sent_at, request.finished_at)
    silent = sum(batch.status is None for batch in batches)
    for batch, over in _with_ends(batches, ended):
        if batch.status is None:
            continue
        key = _http(LABELS_ROUTE, batch.status)
        if key not in found:
            found[key] = crew.child(ALL)
            found[key].maybe = silent
        found[key].add(batch.sent_at, over)
    return found


def expected_predictions(crew: Crew) -> Expectation:
    """Predictions by process, version and class, and inferences by process and version."""
    found: Expectation = {}
    refused = sum(answer.request.status == UNAVAILABLE for answer in crew.answers)
    for answer in _predicted(crew):
        request, instance = answer.request, str(answer.instance)
        version = str(answer.version)
        reported = "" if crew.regression else str(request.prediction)  # numbers have no class
        key = _key(instance, names.PREDICTIONS.prometheus, (VERSION, version), (CLASS, reported))
        _prediction(found, key, crew).add(request.sent_at, request.finished_at)
        key = _key(instance, INFERENCE_COUNT, (VERSION, version))
        if key not in found:
            _child(found, key, crew).maybe += refused  # inferred, and not logged
        found[key].add(request.sent_at, request.finished_at)
    return found


def expected_probabilities(crew: Crew) -> Expectation:
    """The histogram of the probabilities in the answers."""
    found: Expectation = {}
    bounds = (*names.PREDICTION_PROBABILITY.buckets, INFINITE)
    buckets: defaultdict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0] * len(bounds))
    for answer in _predicted(crew):
        request = answer.request
        if request.probability is None:
            continue
        instance, version, reported = (
            str(answer.instance),
            str(answer.version),
            str(request.prediction),
        )
        own = (VERSION, version), (CLASS, reported)
        count = _prediction(found, _key(instance, f"{PROBABILITY}_count", *own), crew)
        count.add(request.sent_at, request.finished_at)
        total = _prediction(found, _key(instance, f"{PROBABILITY}_sum", *own), crew)
        total.add(request.sent_at, request.finished_at, request.probability)
        buckets[instance, version, reported][bisect_left(bounds, request.probability)] += 1
    for (instance, version, reported), counts in buckets.items():
        for bound, number in zip(bounds, accumulate(counts), strict=True):
            labels = (VERSION, version), (CLASS, reported), (BUCKET, repr(float(bound)))
            # They are not followed through time, so that all can be one event.
            key = _key(instance, f"{PROBABILITY}_bucket", *labels)
            _prediction(found, key, crew).add(0.0, 0.0, number)
    return found


def expected_numbers(crew: Crew) -> Expectation:
    """The histogram of the numbers in the answers."""
    seen = [
        (str(answer.instance), str(answer.version), float(reported), answer.request)
        for answer in _predicted(crew)
        if isinstance(reported := answer.request.prediction, int | float)
    ]
    found: Expectation = {}
    for instance, version, reported, request in seen:
        for part, weight in (("count", 1.0), ("sum", reported)):
            key = _key(instance, f"{NUMBER}_{part}", (VERSION, version))
            _prediction(found, key, crew).add(request.sent_at, request.finished_at, weight)
    _add_buckets(found, crew, NUMBER, [(one, two, reported) for one, two, reported, _ in seen])
    return found


def expected_distances(decided: Iterable[ExpectedDecision], crew: Crew) -> Expectation:
    """The histogram of absolute errors, by version; buckets where every label was taken."""
    found: Expectation = {}
    seen = []
    sure = True
    for each in decided:
        distance = abs(number_of(each.predicted) - number_of(each.true))
        seen.append((ALL, each.version, distance))
        sure = sure and each.sure
        for part, weight in (("count", 1.0), ("sum", distance)):
            key = _key(ALL, f"{ABSOLUTE_ERROR}_{part}", (VERSION, each.version))
            each.add_to(_child(found, key, crew), weight)
    if sure:
        _add_buckets(found, crew, ABSOLUTE_ERROR, seen)
    return found


def _add_buckets(
    found: Expectation, crew: Crew, metric: str, seen: Sequence[tuple[str, str, float]]
) -> None:
    """Children of a histogram's buckets, from instance, version and value."""
    bounds = (*names.PREDICTION_VALUE.buckets, INFINITE)
    buckets: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * len(bounds))
    for instance, version, value in seen:
        buckets[instance, version][bisect_left(bounds, value)] += 1
    for (instance, version), counts in buckets.items():
        for bound, number in zip(bounds, accumulate(counts), strict=True):
            edge = (BUCKET, repr(float(bound)))
            key = _key(instance, f"{metric}_bucket", (VERSION, version), edge)
            _child(found, key, crew).add(0.0, 0.0, number)


def expected_errors(crew: Crew) -> Expectation:
    """Failed predictions, by what they were answered with."""
    found: Expectation = {}
    for kinds, certain, possible in ERRORS:
        child = found[ALL, names.PREDICTION_ERRORS.prometheus, error_labels(kinds)] = crew.child(
            ALL
        )
        for answer in crew.answers:
            request = answer.request
            if request.status in certain:
                child.add(request.sent_at, request.finished_at)
            child.maybe += request.status in possible
    return found


def expected_kinds(crew: Crew, injected: int) -> Expectation:
    """Failed predictions that were answered with 500, by single kind.

    Args:
        crew: who answered.
        injected: errors that the scenario's faults must have made at least.
    """
    failed = sum(answer.request.status == SERVER_ERROR for answer in crew.answers)
    sure = min(injected, failed)
    found: Expectation = {}
    for kind in ("injected", "model"):
        child = found[ALL, names.PREDICTION_ERRORS.prometheus, error_labels((kind,))] = crew.child(
            ALL
        )
        if kind == "injected":
            child.add(0.0, 0.0, sure)
        child.maybe += failed - sure
    return found


def error_labels(kinds: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Labels of the child that sums errors of these kinds."""
    return ((ERROR_TYPE, "|".join(kinds)),)


@dataclass(frozen=True, slots=True)
class ExpectedDecision:
    """A prediction whose label was posted: its version, classes, and when the label came."""

    version: str
    predicted: str
    true: str
    begun: float
    ended: float
    sure: bool = True

    def add_to(self, child: Expected, weight: float = 1.0) -> None:
        """Count it, for certain where its label was taken."""
        if self.sure:
            child.add(self.begun, self.ended, weight)
        else:
            child.maybe += weight


def decisions(
    chosen: Sequence[Answer], batches: Sequence[PostedLabels], ended: float
) -> tuple[ExpectedDecision, ...] | None:
    """The posted labels in the order in which they went; None where it is open which they were.

    Args:
        chosen: predictions whose label was to come, in the order of their answers.
        batches: posted.
        ended: when the load had ended.
    """
    missing = len(chosen) - sum(batch.count for batch in batches)
    # The load gives the rest up where nothing answers.
    given_up = missing > 0 and bool(batches) and batches[-1].status is None
    if missing and not given_up:
        return None
    if any(answer.version is None for answer in chosen):
        return None
    left = iter(chosen)
    return tuple(
        ExpectedDecision(
            str(answer.version),
            str(answer.request.prediction),
            str(answer.request.label),
            batch.sent_at,
            over,
            # The label of a prediction that has no row belongs to nothing.
            sure=batch.status == OK and answer.logged_at is not None,
        )
        for batch, over in _with_ends(batches, ended)
        for answer in islice(left, batch.count)
    )


def expected_outcomes(found: Iterable[ExpectedDecision], crew: Crew) -> Expectation:
    """Right and wrong predictions, by version."""
    children: Expectation = {}
    for each in found:
        for outcome in ("correct", "wrong"):
            labels = (VERSION, each.version), (OUTCOME, outcome)
            child = _child(children, _key(ALL, names.DECISIONS.prometheus, *labels), crew)
            if (each.predicted == each.true) == (outcome == "correct"):
                each.add_to(child)
    return children


def expected_costs(
    found: Iterable[ExpectedDecision], kpis: Sequence[Kpi], crew: Crew
) -> Expectation:
    """What decisions cost, by version and figure."""
    children: Expectation = {}
    costs = {
        kpi.name: {(str(reported), str(true)): cost for reported, true, cost in kpi.costs}
        for kpi in kpis
    }
    for each in found:
        for name, table in costs.items():
            labels = (VERSION, each.version), (KPI, name)
            child = _child(children, _key(ALL, names.BUSINESS_COST.prometheus, *labels), crew)
            each.add_to(child, table.get((each.predicted, each.true), 0.0))
    return children


def _predicted(crew: Crew) -> list[Answer]:
    return [
        answer
        for answer in crew.answers
        if answer.predicted and answer.instance is not None and answer.version is not None
    ]


def _child(found: Expectation, key: ChildKey, crew: Crew) -> Expected:
    child = found.get(key)
    if child is None:
        child = found[key] = crew.child(key[0])
    return child


def _prediction(found: Expectation, key: ChildKey, crew: Crew) -> Expected:
    """A child that counts each prediction which came into the log, of whichever class."""
    fresh = key not in found
    child = _child(found, key, crew)
    child.maybe += crew.late if fresh else 0
    return child


def _http(route: str, status: int) -> ChildKey:
    return _key(ALL, HTTP_COUNT, (METHOD, "POST"), (ROUTE, route), (STATUS, str(status)))


@lru_cache(maxsize=1024)  # each request asks for a few of the same ones
def _key(instance: str, metric: str, *labels: tuple[str, str]) -> ChildKey:
    return instance, metric, tuple(sorted(labels))


def _with_ends(
    batches: Sequence[PostedLabels], ended: float
) -> Iterable[tuple[PostedLabels, float]]:
    """Each batch, and when its answer was there: the next one goes out after that."""
    ends = [batch.sent_at for batch in batches[1:]] + [ended]
    return zip(batches, ends, strict=True)

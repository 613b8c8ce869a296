"""Counts of the prediction log: rows and labels that are missing have a reason or fail."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from testbed.checks.results import Explanation, Reason
from testbed.facts.finalcounts import Count
from testbed.facts.logcounts import Ids, LogFacts
from testbed.truth import PostedLabels
from testbed_otel import names

from .conftest import INSTANCE, both, hop, http_count, set_value

if TYPE_CHECKING:
    from tests.unit.verdict.conftest import World

HTTP = f"{names.HTTP_DURATION.prometheus}_count"


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (422, "validation", Reason.REJECTED_422),
        (413, "validation", Reason.REJECTED_413),
        (404, "validation", Reason.REJECTED_OTHER),
        (500, "model", Reason.MODEL_ERROR),
        (503, "not_ready", Reason.NOT_READY),
        (503, None, Reason.SHED_503),
        (503, "log", Reason.LOG_FAILED),
        (500, "other", Reason.SERVER_ERROR),
    ],
)
def test_each_kind_of_failure_explains_missing_rows(
    world: World, status: int, kind: str | None, reason: Reason
) -> None:
    """Statuses and the API's own kinds of error map to the closed list."""
    for number in range(300, 305):
        world.requests[number] = replace(world.requests[number], status=status, prediction_id=None)
    assert world.log is not None
    world.log = world.log.model_copy(update={"rows": 395})
    counters = [
        c for c in both(world)[0] if c.metric != HTTP or c.labels["http_route"] != "/predict"
    ]
    counters += world.count_by_truth()
    if kind is not None:
        labels = {"error_type": kind}
        counters.append(Count(metric=names.PREDICTION_ERRORS.prometheus, labels=labels, value=5))
    set_value(counters, names.LOG_ROWS.prometheus, 395)
    world.api[INSTANCE], world.prometheus[INSTANCE] = counters, list(counters)
    row = hop(world.evaluate(), "api_log")
    assert row.residual == 0
    assert {item.reason: item.count for item in row.explained} == {
        Reason.INJECTED_ERROR: 100,
        reason: 5,
    }


def test_a_failure_without_a_kind_has_no_reason(world: World) -> None:
    """A 500 that the API's error counter does not know leaves a residual."""
    for counts in both(world):
        set_value(counts, names.PREDICTION_ERRORS.prometheus, 99)
    assert world.failed()["counts api_log"].endswith("1 without a reason")


def test_rows_that_the_log_lost_fail(world: World) -> None:
    """Answered with 200, but the row is not there."""
    missing = Ids.of({"prediction-1", "prediction-3"})
    world.log = LogFacts(rows=398, labels=400, missing=missing)
    failed = world.failed()
    assert set(failed) == {"counts api_log", "counts log_counter", "counts ids"}


@pytest.mark.parametrize(("dropped", "passes"), [(2, True), (1, False)])
def test_rows_that_the_api_says_it_dropped_are_explained(
    world: World,
    dropped: int,
    passes: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """As many as it counted, and not one more."""
    missing = Ids.of({"prediction-1", "prediction-3"})
    world.log = LogFacts(rows=398, labels=400, missing=missing)
    for counts in both(world):
        set_value(counts, names.LOG_ROWS.prometheus, 400 - dropped, outcome="written")
        labels = {"outcome": "dropped"}
        counts.append(Count(metric=names.LOG_ROWS.prometheus, labels=labels, value=dropped))
    verdict = world.evaluate()
    results = {check.name: check for check in verdict.checks}
    assert results["counts ids"].passed is passes
    assert verdict.passed is passes
    if passes:
        assert "2 whose rows were counted as lost" in results["counts ids"].summary


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ({"foreign": Ids.of({"x"})}, "1 in the log, but never sent by this run: x"),
        ({"duplicated": Ids.of({"r"})}, "1 requests with more than one row: r"),
    ],
)
def test_foreign_and_duplicated_rows_fail(world: World, fault: dict[str, Ids], text: str) -> None:
    """Sums that agree do not hide them."""
    assert world.log is not None
    world.log = world.log.model_copy(update=fault)
    (check,) = world.evaluate().failed
    assert check.name == "counts ids"
    assert check.details == (text,)


def test_an_unreadable_log_fails(world: World) -> None:
    """No log, no proof."""
    world.log = None
    world.problems.append("prediction log: gone")
    assert set(world.failed()) == {"counts api_log", "evidence"}


def test_labels_that_got_lost_fail(world: World) -> None:
    """Posted, but neither counted nor stored."""
    world.labels.append(PostedLabels(1052.0, 200, (*range(5),)))
    assert world.failed()["counts labels_api"] == "load 405, API 400: 5 without a reason"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (422, Reason.REJECTED_422),
        (503, Reason.SHED_503),
        (500, Reason.SERVER_ERROR),
        (None, Reason.NO_ANSWER_TIMEOUT),
    ],
)
def test_labels_that_were_not_taken_have_a_reason(
    world: World, status: int | None, reason: Reason
) -> None:
    """A refused batch is not counted as labels."""
    world.labels.append(PostedLabels(1052.0, status, (*range(5),)))
    row = hop(world.evaluate(), "labels_api")
    assert row.residual == 0
    assert [(item.reason, item.count) for item in row.explained] == [(reason, 5)]


def test_labels_that_the_api_passed_over_are_not_in_the_log(world: World) -> None:
    """Duplicates and unknown ids are counted, but not stored."""
    world.labels.append(PostedLabels(1052.0, 200, (*range(3),)))
    for counts in both(world):
        counts += [
            Count(metric=names.LABELS.prometheus, labels={"outcome": "duplicate"}, value=2),
            Count(metric=names.LABELS.prometheus, labels={"outcome": "unknown"}, value=1),
        ]
    row = hop(world.evaluate(), "labels_log")
    assert row.residual == 0
    assert [item.count for item in row.explained] == [2, 1]


def test_rows_that_were_dropped_are_accounted_for(world: World) -> None:
    """Answered, while the log failed and its spool was full."""
    assert world.log is not None
    world.log = world.log.model_copy(update={"rows": 393})
    for counts in both(world):
        set_value(counts, names.LOG_ROWS.prometheus, 393, outcome="written")
        labels = {"outcome": "dropped"}
        counts.append(Count(metric=names.LOG_ROWS.prometheus, labels=labels, value=7))
    verdict = world.evaluate()
    gone = Explanation(reason=Reason.LOG_FAILED, count=7, certain=False)
    assert hop(verdict, "api_log").explained[-1] == gone
    assert hop(verdict, "log_counter").explained == (gone,)
    assert [row.residual for row in verdict.hops] == [0] * 6


def test_dropped_rows_explain_no_more_than_themselves(world: World) -> None:
    """Another missing row stays without a reason."""
    assert world.log is not None
    world.log = world.log.model_copy(update={"rows": 392})
    for counts in both(world):
        set_value(counts, names.LOG_ROWS.prometheus, 393, outcome="written")
        labels = {"outcome": "dropped"}
        counts.append(Count(metric=names.LOG_ROWS.prometheus, labels=labels, value=7))
    failed = world.failed()
    assert "1 without a reason" in failed["counts api_log"]
    assert "1 without a reason" in failed["counts log_counter"]


def test_rows_that_wait_in_a_spool_are_accounted_for(world: World) -> None:
    """They are answered, and neither in the log nor counted as written yet."""
    assert world.log is not None
    world.log = world.log.model_copy(update={"rows": 390})
    for counts in both(world):
        set_value(counts, names.LOG_ROWS.prometheus, 390)
        counts.append(Count(metric=names.LOG_SPOOLED.prometheus, labels={}, value=10))
    verdict = world.evaluate()
    waits = Explanation(reason=Reason.LOG_SPOOLED, count=10, certain=False)
    assert hop(verdict, "api_log").explained[-1] == waits
    assert [row.residual for row in verdict.hops] == [0] * 6


def test_the_spool_is_not_compared_between_api_and_prometheus(world: World) -> None:
    """It empties while the counters are read."""
    own = world.api[INSTANCE]
    assert own is not None
    own.append(Count(metric=names.LOG_SPOOLED.prometheus, labels={}, value=0))
    world.prometheus[INSTANCE].append(
        Count(metric=names.LOG_SPOOLED.prometheus, labels={}, value=10)
    )
    assert world.evaluate().passed


def test_rows_of_batches_and_streams_are_accounted_for(world: World) -> None:
    """Each row is one of the log; what was refused as a whole, or in part, has its reason."""
    assert world.log is not None
    world.log = world.log.model_copy(update={"rows": 430})
    for counts in both(world):
        set_value(counts, names.LOG_ROWS.prometheus, 430)
        set_value(counts, names.PREDICTION_ERRORS.prometheus, 101, error_type="injected")
        counts += [
            http_count(200, 2, "/predict/batch"),
            http_count(422, 3, "/predict/batch"),
            http_count(500, 1, "/predict/batch"),
            http_count(200, 1, "/predict/stream"),  # two parts of it fail on the way
            Count(metric=names.PREDICTIONS.prometheus, labels={}, value=430),
            Count(
                metric=names.PREDICTION_ERRORS.prometheus, labels={"error_type": "model"}, value=2
            ),
        ]
    verdict = world.evaluate()
    row = hop(verdict, "api_log")
    assert (row.sent, row.arrived, row.residual) == (536, 430, 0)
    assert {item.reason: item.count for item in row.explained} == {
        Reason.INJECTED_ERROR: 101,
        Reason.MODEL_ERROR: 2,
        Reason.REJECTED_422: 3,
    }
    assert hop(verdict, "log_counter").residual == 0
    assert hop(verdict, "load_api").residual == 0


def test_a_row_of_a_batch_that_the_log_lost_fails(world: World) -> None:
    """Predicted, but not in the log."""
    assert world.log is not None
    world.log = world.log.model_copy(update={"rows": 429})
    for counts in both(world):
        counts += [
            http_count(200, 2, "/predict/batch"),
            Count(metric=names.PREDICTIONS.prometheus, labels={}, value=430),
        ]
    assert "1 without a reason" in world.failed()["counts api_log"]

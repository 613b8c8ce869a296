"""Several replicas, one of which crashes: what it took along has a reason, and no more."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from testbed.checks.results import Explanation, Reason
from testbed.facts.finalcounts import Count
from testbed.facts.logcontent import LogContent
from testbed.records import StoredEvent
from testbed_otel import names

from .conftest import http_count

if TYPE_CHECKING:
    from testbed.checks.results import Hop
    from testbed.verdict import Verdict

    from .conftest import World

CRASHED, OTHER, NEW = "api-0-a", "api-1-b", "api-0-c"


def _count(metric: names.Metric, value: int, **labels: str) -> Count:
    return Count(metric=metric.prometheus, labels=labels, value=value)


def _served(predictions: int, injected: int, labels: int, why: str) -> list[Count]:
    """Final counters of a replica."""
    return [
        http_count(200, predictions),
        http_count(500, injected),
        _count(names.PREDICTIONS, predictions),
        _count(names.PREDICTION_ERRORS, injected, error_type="injected"),
        _count(names.LOG_ROWS, predictions, outcome="written"),
        _count(names.LABELS, labels, outcome="stored"),
        _count(names.REPLICA_STARTS, 1, reason=why),
    ]


def _hops(verdict: Verdict) -> dict[str, Hop]:
    return {hop.key: hop for hop in verdict.hops}


@pytest.fixture
def crash(world: World) -> World:
    """Two replicas; one crashes at 1020 and is started again.

    It had served 120 predictions and 70 errors, and taken 50 labels; of these its last export lacks
    20 predictions and 4 labels.
    """
    world.replicas = 2
    rest = {OTHER: _served(200, 20, 250, "first"), NEW: _served(80, 10, 100, "crash")}
    world.api = {CRASHED: None, **rest}
    world.prometheus = {CRASHED: _served(100, 70, 46, "first"), **rest}
    assert world.log is not None
    by_instance = {CRASHED: 120, OTHER: 200, NEW: 80}
    world.log = world.log.model_copy(update={"by_instance": by_instance})
    for time, event, name, details in (
        (994.0, "replica_started", CRASHED, {"why": "first"}),
        (994.0, "replica_started", OTHER, {"why": "first"}),
        (1020.0, "replica_crashed", CRASHED, {"outcome": "signal 9"}),
        (1020.5, "replica_started", NEW, {"why": "crash"}),
    ):
        world.timeline.append(StoredEvent(time, event, name, details))
    return world


def test_what_a_crash_took_along_is_known_from_the_log(crash: World) -> None:
    """It arrived, was logged, and was never exported: no other hop has a difference."""
    verdict = crash.evaluate()
    hops = _hops(verdict)
    assert {key: hop.residual for key, hop in hops.items()} == dict.fromkeys(hops, 0)
    lost = Explanation(reason=Reason.REPLICA_CRASHED, count=20)
    assert hops["api_prometheus"].explained == (lost,)
    assert hops["load_api"].explained == ()
    assert hops["log_counter"].explained == ()
    assert {check.name for check in verdict.failed} == {"replicas", "limit lost_requests"}


def test_a_row_that_was_refused_is_none_that_the_crash_took_along(crash: World) -> None:
    """It is in the log without an answer, and its 503 was exported."""
    assert crash.log is not None
    crash.prometheus[CRASHED] = [*crash.prometheus[CRASHED], http_count(503, 10)]
    by_instance = {CRASHED: 121, OTHER: 200, NEW: 80}
    crash.log = crash.log.model_copy(update={"rows": 401, "by_instance": by_instance})
    for late, residual in ((1, 0), (0, 0)):
        crash.logcontent = LogContent(late_rows=late)
        assert _hops(crash.evaluate())["api_log"].residual == residual
    crash.log = crash.log.model_copy(update={"rows": 399})
    crash.logcontent = LogContent(late_rows=1)
    assert _hops(crash.evaluate())["api_log"].residual == 2, (
        "one late row hides no two that are lost"
    )


def test_a_crash_is_no_excuse_for_what_others_lost(crash: World) -> None:
    """A replica that lives must be found in Prometheus as it is."""
    crash.prometheus[OTHER] = _served(190, 20, 250, "first")
    assert "10 lost: telemetry was lost" in crash.failed()["counts api_prometheus"]


def test_a_crash_is_no_excuse_for_rows_that_are_gone(crash: World) -> None:
    """The load saw answers that no row shows; only the five errors of its last second may."""
    assert crash.log is not None
    by_instance = {CRASHED: 110, OTHER: 200, NEW: 80}
    crash.log = crash.log.model_copy(update={"rows": 390, "by_instance": by_instance})
    assert "5 without a reason" in crash.failed()["counts load_api"]


@pytest.mark.parametrize(("at", "residual"), [(1019.8, 0), (1010.0, 3)])
def test_errors_answered_shortly_before_a_crash_may_have_gone_with_it(
    crash: World, at: float, residual: int
) -> None:
    """They leave no row; those that earlier exports held can't be among them."""
    crash.prometheus[CRASHED] = _served(100, 67, 46, "first")
    quiet = [replace(r, finished_at=1000.0) for r in crash.requests if r.status != 200]
    late = [replace(request, finished_at=at) for request in quiet[:3]]
    crash.requests = [r for r in crash.requests if r.status == 200] + quiet[3:] + late
    hop = _hops(crash.evaluate())["load_api"]
    assert hop.residual == residual
    if not residual:
        gone = Explanation(reason=Reason.REPLICA_CRASHED, count=3, certain=False)
        assert hop.explained == (gone,)


def test_what_was_never_answered_may_have_arrived_all_the_same(crash: World) -> None:
    """A row whose request saw its connection break, and one that has no row either."""
    for number in (0, 2):
        crash.requests[number] = replace(
            crash.requests[number], status=None, error="reset", prediction_id=None
        )
    assert crash.log is not None
    by_instance = {CRASHED: 119, OTHER: 200, NEW: 80}
    crash.log = crash.log.model_copy(update={"rows": 399, "by_instance": by_instance})
    hop = _hops(crash.evaluate())["load_api"]
    reset = Explanation(reason=Reason.NO_ANSWER_RESET, count=1, certain=False)
    assert (hop.explained, hop.residual) == ((reset,), 0)


def test_a_crash_is_reported_with_how_and_whether_it_was_mended(crash: World) -> None:
    """The check names the replica."""
    check = next(c for c in crash.evaluate().checks if c.name == "replicas")
    assert check.summary == "1 crashed, 1 started again"
    assert check.details == (f"{CRASHED}: crashed, signal 9",)


def test_a_crash_that_a_fault_means_is_none_of_the_service(crash: World) -> None:
    """It is accounted for in the same way, and what went with it is no lost telemetry."""
    assert {"replicas", "limit lost_requests"} <= set(crash.failed())
    crash.timeline = [
        replace(e, details={**e.details, "why": "fault"}) if e.event == "replica_crashed" else e
        for e in crash.timeline
    ]
    assert not {"replicas", "limit lost_requests"} & set(crash.failed())


@pytest.mark.parametrize(("at", "missed"), [(1019.8, False), (1010.0, True)])
def test_errors_that_went_with_a_meant_crash_are_none_lost(
    crash: World, at: float, *, missed: bool
) -> None:
    """As they left no row, the time of their answers says whether an export can have held them."""
    crash.timeline = [
        replace(e, details={**e.details, "why": "fault"}) if e.event == "replica_crashed" else e
        for e in crash.timeline
    ]
    error = next(request for request in crash.requests if request.status == 500)
    crash.requests = [
        replace(r, finished_at=1000.0) if r.status != 200 else r for r in crash.requests
    ]
    crash.requests += [replace(error, request_id=f"late-{n}", finished_at=at) for n in range(3)]
    assert ("limit lost_requests" in crash.failed()) is missed


@pytest.mark.parametrize("routed", [0, 1])
def test_what_is_too_large_is_not_missed_whether_it_had_a_route(crash: World, routed: int) -> None:
    """It may be refused before; a prediction that is gone is missed all the same."""
    crash.timeline = [
        replace(e, details={**e.details, "why": "fault"}) if e.event == "replica_crashed" else e
        for e in crash.timeline
    ]
    first = crash.requests[0]
    crash.requests += [
        replace(first, request_id=f"large-{n}", status=413, prediction_id=None) for n in range(2)
    ]
    crash.prometheus[OTHER] += [http_count(413, routed)]  # its own count is the same list
    assert "limit lost_requests" not in crash.failed()
    crash.requests += [replace(first, request_id="gone")]
    assert "1 requests" in crash.failed()["limit lost_requests"]


def test_starts_that_prometheus_does_not_know_fail(crash: World) -> None:
    """Only as many as crashed may have gone before their first export."""
    for name in (OTHER, NEW):
        crash.prometheus[name] = crash.prometheus[name][:-1]
    check = next(c for c in crash.evaluate().checks if c.name == "replicas")
    assert check.details[1:] == (
        "starts by reason: {'first': 2, 'crash': 1}, in Prometheus {'first': 1}",
    )


def test_a_replica_that_was_never_started_fails(crash: World) -> None:
    """Three were wanted."""
    crash.replicas = 3
    crash.timeline = [event for event in crash.timeline if event.event != "replica_crashed"]
    assert crash.failed()["replicas"] == "2 of 3 were started"


def test_one_replica_needs_no_check(world: World) -> None:
    """Its process is a part of the stack."""
    assert "replicas" not in {check.name for check in world.evaluate().checks}

"""Counts: each hop adds up, and what is missing has a reason or fails."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from testbed.checks.counts import account
from testbed.checks.results import Explanation, Reason
from testbed.checks.stages import Stage
from testbed.facts.logcontent import COMMIT_SECONDS, LogContent, refused_late
from testbed.facts.logcounts import LogFacts
from testbed_api.log.writer import COMMIT_SECONDS as API_COMMIT_SECONDS
from testbed_otel import names

from .conftest import INSTANCE, both, hop, http_count, make_requests, set_value

if TYPE_CHECKING:
    from tests.unit.verdict.conftest import World

HTTP = f"{names.HTTP_DURATION.prometheus}_count"


def test_certain_reasons_count_before_possible_ones() -> None:
    """What may have got lost explains only what is left over."""
    explained, rest = account(
        7, [(Reason.REJECTED_422, 4)], [(Reason.NO_ANSWER_TIMEOUT, 2), (Reason.LOG_FAILED, 9)]
    )
    assert explained == (
        Explanation(reason=Reason.REJECTED_422, count=4),
        Explanation(reason=Reason.NO_ANSWER_TIMEOUT, count=2, certain=False),
        Explanation(reason=Reason.LOG_FAILED, count=1, certain=False),
    )
    assert rest == 0


@pytest.mark.parametrize(("difference", "residual"), [(3, 3), (-2, -2), (0, 0)])
def test_what_has_no_reason_stays_as_residual(difference: int, residual: int) -> None:
    """Too many is a residual as well."""
    assert account(difference, []) == ((), residual)


def test_a_whole_run_adds_up(world: World) -> None:
    """Injected errors are the one difference, with its reason."""
    verdict = world.evaluate()
    assert verdict.passed
    assert [row.residual for row in verdict.hops] == [0] * 6
    row = hop(verdict, "api_log")
    assert (row.sent, row.arrived, row.difference) == (500, 400, 100)
    assert row.explained == (Explanation(reason=Reason.INJECTED_ERROR, count=100),)


def test_requests_that_the_api_never_counted_fail(world: World) -> None:
    """The load saw answers that the API does not know of."""
    for counts in both(world):
        set_value(counts, HTTP, 390, http_response_status_code="200", http_route="/predict")
    failed = world.failed()
    assert failed["counts load_api"] == "load 500, API 490: 10 without a reason"


def test_more_requests_than_were_sent_fail(world: World) -> None:
    """Somebody else used the API."""
    for counts in both(world):
        set_value(counts, HTTP, 410, http_response_status_code="200", http_route="/predict")
    assert "10 too many in API" in world.failed()["counts load_api"]


def test_refused_connections_never_arrived(world: World) -> None:
    """They explain exactly themselves."""
    silent = replace(
        world.requests[0], status=None, error="connection", prediction_id=None, request_id="r"
    )
    world.requests += [silent] * 3
    row = hop(world.evaluate(), "load_api")
    assert row.explained == (Explanation(reason=Reason.NO_ANSWER_CONNECTION, count=3),)
    assert row.residual == 0


@pytest.mark.parametrize("arrived", [0, 2, 4])
def test_timed_out_requests_may_have_arrived(world: World, arrived: int) -> None:
    """Between none and all of them are counted by the API."""
    silent = replace(world.requests[0], status=None, error="timeout", prediction_id=None)
    world.requests += [replace(silent, request_id=f"t{n}") for n in range(4)]
    for counts in both(world):
        value = 400 + arrived
        set_value(counts, HTTP, value, http_response_status_code="200", http_route="/predict")
    row = hop(world.evaluate(), "load_api")
    assert row.residual == 0
    assert sum(item.count for item in row.explained) == 4 - arrived


def test_requests_lost_on_the_way_to_prometheus_fail(world: World) -> None:
    """Hop, instance and limit all report it."""
    set_value(
        world.prometheus[INSTANCE], HTTP, 388, http_response_status_code="200",
        http_route="/predict",
    )  # fmt: skip
    failed = world.failed()
    assert set(failed) == {"counts api_prometheus", "counts instances", "limit lost_requests"}
    assert "12 lost: telemetry was lost on the way" in failed["counts api_prometheus"]


def test_losses_within_the_scenarios_limit_have_a_reason(world: World) -> None:
    """``lost_requests`` is what the scenario grants."""
    world.scenario["limits"] = {"error_ratio": 0.25, "lost_requests": 12}
    set_value(
        world.prometheus[INSTANCE], HTTP, 388, http_response_status_code="200",
        http_route="/predict",
    )  # fmt: skip
    verdict = world.evaluate()
    assert verdict.passed
    assert hop(verdict, "api_prometheus").explained[0].reason is Reason.TELEMETRY_LOST


def test_a_run_without_the_collector_fails_and_says_so(world: World) -> None:
    """Nothing reached Prometheus, and the reason is known."""
    world.prometheus.clear()
    world.without = ("collector",)
    failed = world.failed()
    assert "500 lost: the run was made without collector" in failed["counts api_prometheus"]
    assert "without collector" in failed["counts instances"]


def test_any_series_that_differs_fails_by_name(world: World) -> None:
    """Not only requests: every counter of every instance is compared."""
    set_value(world.prometheus[INSTANCE], names.LABELS.prometheus, 399)
    check = next(c for c in world.evaluate().failed if c.name == "counts instances")
    assert check.details == ("api-1: ml_labels_total{stored}: API 400, Prometheus 399",)


def test_prometheus_must_not_hold_more_than_the_api(world: World) -> None:
    """Two replicas with one identity would look so."""
    set_value(world.prometheus[INSTANCE], names.LABELS.prometheus, 401)
    assert world.failed()["counts instances"] == "Prometheus counted more than the API did"


def test_an_instance_that_was_never_started_fails(world: World) -> None:
    """Counters of another run must not mix in."""
    world.prometheus["stranger"] = list(world.prometheus[INSTANCE])
    assert "did not start" in world.failed()["counts instances"]


def test_an_instance_that_could_not_be_asked_counts_as_prometheus_has_it(world: World) -> None:
    """A replica that ended before the run's end is no reason to fail by itself."""
    world.api[INSTANCE] = None
    verdict = world.evaluate()
    assert verdict.passed
    assert verdict.instances[0].api is None


def test_what_an_unasked_instance_lost_is_found_by_the_load(world: World) -> None:
    """The load's answers stand in for the counters that nobody read."""
    world.api[INSTANCE] = None
    set_value(
        world.prometheus[INSTANCE], HTTP, 380, http_response_status_code="200",
        http_route="/predict",
    )  # fmt: skip
    failed = world.failed()
    assert "20 without a reason" in failed["counts load_api"]
    assert "20 requests" in failed["limit lost_requests"]


def test_a_wrong_count_is_blamed_on_the_api_not_on_the_log(world: World) -> None:
    """Load and log agree on the labels; only what the API counts between them is twice as much."""
    for counts in both(world):
        set_value(counts, names.LABELS.prometheus, 800, outcome="stored")
    stages = {check.name: check.stage for check in world.evaluate().failed}
    assert stages["counts labels_api"] is Stage.INSTRUMENT
    assert stages["counts labels_log"] is Stage.INSTRUMENT


@pytest.mark.parametrize(("late", "residual"), [(0, -8), (8, 0), (9, 1)])
def test_rows_that_were_refused_and_written_all_the_same_are_not_too_many(
    world: World, late: int, residual: int
) -> None:
    """As many as the log holds of requests that waited for a commit until their time was up."""
    for counts in both(world):
        counts.append(http_count(503, 20))
    world.log = LogFacts(rows=400 + 8, labels=400)
    world.logcontent = LogContent(late_rows=late)
    found = {each.key: each for each in world.evaluate().hops}["api_log"]
    assert found.residual == residual


def test_a_request_is_refused_late_after_the_wait_for_a_commit() -> None:
    """What was refused at once has no row."""
    assert COMMIT_SECONDS == API_COMMIT_SECONDS
    request = replace(make_requests()[0], sent_at=5.0, finished_at=6.3, status=503)
    assert refused_late(request)
    assert not refused_late(replace(request, status=200))
    assert not refused_late(replace(request, finished_at=5.9))


@pytest.mark.parametrize(("late", "residual"), [(0, -30), (30, 0), (40, 10)])
def test_labels_that_were_refused_and_written_all_the_same_are_not_too_many(
    world: World, late: int, residual: int
) -> None:
    """As many as the log holds of batches whose time was up: the API counts them, too."""
    batch = world.labels[0]
    refused = 40
    world.labels = [
        replace(batch, seqs=batch.seqs[refused:]),
        replace(batch, status=503, seqs=batch.seqs[:refused]),
    ]
    for counts in both(world):
        set_value(counts, names.LABELS.prometheus, 400 - refused + 30, outcome="stored")
    world.log = LogFacts(rows=400, labels=400 - refused + 30)
    world.logcontent = LogContent(late_labels=late)
    found = {each.key: each for each in world.evaluate().hops}["labels_api"]
    assert found.residual == residual


def test_a_log_that_lacks_labels_is_blamed_itself(world: World) -> None:
    """Load and API agree."""
    world.log = LogFacts(rows=400, labels=390)
    stages = {check.name: check.stage for check in world.evaluate().failed}
    assert stages["counts labels_log"] is Stage.LOG

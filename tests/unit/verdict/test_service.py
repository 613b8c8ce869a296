"""A service of one's own: its counters against the load, and what is not applicable to it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from testbed.facts.logcounts import LogFacts
from testbed.facts.servicecounts import Counted, SeriesCount, ServiceCounts
from testbed.records import StoredEvent

from tests.unit.verdict.conftest import hop

if TYPE_CHECKING:
    from tests.unit.verdict.conftest import World

SENT, BROKEN = 500, 100


def counts(**counted: int) -> ServiceCounts:
    """What the service counted; Prometheus holds the same."""
    wanted: dict[Counted, int] = {"requests": SENT, "errors": BROKEN, "latency": SENT}
    return ServiceCounts(
        counts=tuple(
            SeriesCount(
                what=what,
                selector=f"{what}_total",
                series=1,
                counted=counted.get(what, usual),
                stored=counted.get(f"{what}_stored", counted.get(what, usual)),
            )
            for what, usual in wanted.items()
        )
    )


@pytest.fixture
def service(world: World) -> World:
    """A run of a service that counts rightly."""
    world.run["service"] = "shop"
    world.api.clear()
    world.prometheus.clear()
    world.labels.clear()
    world.service = counts()
    world.log = LogFacts(rows=400, labels=400)
    return world


def test_counters_that_agree(service: World) -> None:
    """Every request is found again, and what only the bundled API says is not applicable."""
    verdict = service.evaluate()
    assert service.failed() == {}
    assert [row.key for row in verdict.hops] == ["load_service", "service_prometheus"]
    skipped = {check.name: check.summary for check in verdict.skipped}
    assert {"measured", "content", "panel queries", "counts instances"} <= set(skipped)
    assert "the service shop is not the bundled API" in skipped["measured"]


@pytest.mark.parametrize(
    ("wrong", "check"),
    [
        ({"requests": SENT - 5, "latency": SENT}, "counts load_service"),
        ({"requests": SENT + 5}, "counts load_service"),
        ({"requests_stored": SENT - 5}, "counts service_prometheus"),
        ({"errors": BROKEN - 1}, "service errors"),
        ({"errors": BROKEN + 1}, "service errors"),
        ({"latency": SENT - 1}, "service latency"),
    ],
)
def test_counter_that_is_wrong(service: World, wrong: dict[str, int], check: str) -> None:
    """By one request, or lost on its way."""
    service.service = counts(**wrong)
    assert check in service.failed()


def test_request_without_an_answer_may_be_counted_or_not(service: World) -> None:
    """What never arrived surely isn't; what the load gave up waiting for may be."""
    service.requests[0] = replace(service.requests[0], status=None, error="connection")
    service.requests[1] = replace(service.requests[1], status=None, error="timeout")
    for counted in (SENT - 1, SENT - 2):
        service.service = counts(requests=counted, latency=counted)
        row = hop(service.evaluate(), "load_service")
        assert row.residual == 0
        assert {each.reason for each in row.explained} >= {"no_answer_connection"}
    service.service = counts(requests=SENT - 3)
    assert hop(service.evaluate(), "load_service").residual == 1


def test_what_a_stop_takes_along(service: World) -> None:
    """Requests answered after the last scrape before it may be counted nowhere."""
    service.timeline.append(StoredEvent(1005.0, "component_stopped", "shop", {}))
    service.service = counts(requests=SENT - 5, latency=SENT - 5)
    assert hop(service.evaluate(), "load_service").residual == 0
    service.service = counts(requests=SENT - 50)
    assert hop(service.evaluate(), "load_service").residual > 0


def test_answers_that_hold_no_prediction(service: World) -> None:
    """A service that answers 200 to everything is not one that predicts."""
    service.requests[3] = replace(service.requests[3], status=200, prediction_id=None)
    assert "answers with 2xx hold no prediction" in service.failed()["service answers"]


def test_requests_that_the_service_refuses_are_the_cause(service: World) -> None:
    """A template that misses what it wants is named, before what follows from it."""
    service.requests[:] = [
        replace(each, status=422, prediction_id=None, prediction=None) for each in service.requests
    ]
    assert "refused 500 of 500 requests, mostly with 422" in service.failed()["service answers"]


def test_service_that_limits_rates_refuses_no_wrong_requests(service: World) -> None:
    """However many: the request in its file is right, as the answers to the others show."""
    service.requests[:] = [
        replace(each, status=429, prediction_id=None, prediction=None) if number % 3 else each
        for number, each in enumerate(service.requests)
    ]
    assert "service answers" not in service.failed()


def test_service_whose_answers_are_not_read_has_nothing_that_drifts(service: World) -> None:
    """NO_ACTION is neither shown nor missed; an action that is expected is missed."""
    service.requests[:] = [
        replace(each, prediction_id=None, prediction=None) for each in service.requests
    ]
    service.drift_runs.clear()
    assert "drift decision" not in service.failed()
    skipped = {check.name: check.summary for check in service.evaluate().skipped}
    assert "read no prediction of the service shop" in skipped["drift decision"]


def test_series_that_is_not_there(service: World) -> None:
    """The selector is named; counters that the file does not name are not applicable."""
    (requests, *_) = counts(requests=0).counts
    service.service = ServiceCounts(counts=(requests.model_copy(update={"series": 0}),))
    assert "no series requests_total" in service.failed()["service requests"]
    skipped = {check.name for check in service.evaluate().skipped}
    assert {"service errors", "service latency"} <= skipped


def test_no_error_series_without_an_error(service: World) -> None:
    """A labelled counter begins with its first event."""
    service.requests = [
        replace(r, status=200, prediction_id=r.request_id) for r in service.requests
    ]
    (requests, errors, latency) = counts(errors=0).counts
    absent = errors.model_copy(update={"series": 0})
    service.service = ServiceCounts(counts=(requests, absent, latency))
    assert "service errors" not in service.failed()


def test_telemetry_that_only_prometheus_has(service: World) -> None:
    """A service that pushes has no page: there is one hop to what Prometheus holds."""
    found = [each.model_copy(update={"counted": None}) for each in counts().counts]
    service.service = ServiceCounts(counts=tuple(found))
    assert [row.key for row in service.evaluate().hops] == ["load_service"]
    assert service.failed() == {}

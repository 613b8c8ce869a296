"""Faults: whether they took hold, before an alert is blamed for not having fired."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from testbed.checks.stages import Stage
from testbed.records import StoredEvent

if TYPE_CHECKING:
    from tests.unit.verdict.conftest import World

ERRORS = "fault errors 50% in burst"


def set_status(world: World, keep: int) -> None:
    """Let only one in ``keep`` of the failed requests fail."""
    failed = [i for i, request in enumerate(world.requests) if request.status == 500]
    for number, index in enumerate(failed):
        if keep == 0 or number % keep:
            world.requests[index] = replace(world.requests[index], status=200)


@pytest.mark.parametrize(("keep", "seen"), [(0, "0.0 %"), (2, "24.6 %")])
def test_errors_that_the_load_did_not_see(world: World, keep: int, seen: str) -> None:
    """The service leads, and the alert that did not fire follows."""
    set_status(world, keep)
    world.silence()
    verdict = world.evaluate()
    assert verdict.culprit is Stage.SERVICE
    assert verdict.failed[0].name == ERRORS
    assert verdict.failed[0].summary == (
        "the fault errors 50% of phase burst did not take hold: "
        f"{seen} of the 195 requests of the load failed"
    )
    assert "alert HighErrorRate in burst" in [check.name for check in verdict.failed]


def test_only_requests_during_the_fault_count(world: World) -> None:
    """It begins a little after its phase and ends a little before."""
    world.timeline += [
        StoredEvent(1015.0, "fault_on", "errors 50%", {}),
        StoredEvent(1025.0, "fault_off", "errors 50%", {}),
    ]
    for index, request in enumerate(world.requests):
        if not 1015.0 <= request.sent_at < 1025.0:
            world.requests[index] = replace(request, status=200)
    found = {check.name: check for check in world.evaluate().checks}
    assert found[ERRORS].passed
    assert "of the 95 requests" in found[ERRORS].summary


def test_a_fault_without_requests_is_not_evaluated(world: World) -> None:
    """Nothing is claimed of what could not be seen."""
    world.requests = [request for request in world.requests if request.phase != "burst"]
    assert ERRORS in [check.name for check in world.evaluate().skipped]


@pytest.mark.parametrize(
    ("added", "every", "ratio", "passes"),
    [(1.5, 1, 1.0, True), (0.2, 1, 1.0, False), (1.5, 5, 0.2, True), (1.5, 20, 0.2, False)],
)
def test_latency_by_the_load_s_own_clock(
    world: World, added: float, every: int, ratio: float, *, passes: bool
) -> None:
    """So many requests must be slower by at least half of what is added."""
    world.scenario["phases"][1]["faults"] = [{"kind": "latency", "seconds": 1.5, "ratio": ratio}]
    world.requests = [
        replace(r, status=200, finished_at=r.finished_at + (0.0 if n % every else added))
        if r.phase == "burst"
        else r
        for n, r in enumerate(world.requests)
    ]
    (fault,) = (
        check for check in world.evaluate().checks if check.name.startswith("fault latency")
    )
    assert fault.passed is passes
    assert fault.stage is Stage.SERVICE
    assert "took 0.760 s or more or failed, the median was 0.010 s before" in fault.summary


def test_a_slow_inference_may_be_refused_instead(world: World) -> None:
    """By an API that has a deadline: the fault took hold all the same."""
    world.scenario["phases"][1]["faults"] = [{"kind": "latency", "seconds": 1.5, "ratio": 0.5}]
    (fault,) = (
        check for check in world.evaluate().checks if check.name.startswith("fault latency")
    )
    assert fault.passed


def test_a_dose_of_one_or_two_requests_is_not_evaluated(world: World) -> None:
    """The last of them may have been due when the fault ended."""
    world.scenario["phases"][1]["faults"] = [{"kind": "errors", "ratio": 0.01}]
    (check,) = (check for check in world.evaluate().checks if check.name.startswith("fault errors"))
    assert not check.applicable


def test_a_model_that_was_not_unloaded(world: World) -> None:
    """Its predictions would be answered with 503."""
    world.scenario["phases"][1]["faults"] = [{"kind": "unloaded"}]
    assert "0.0 % of the 195 requests of the load were answered 503" in str(world.failed().values())


def test_a_log_that_refused_nothing(world: World) -> None:
    """Predictions would be answered with 503, unless their rows wait in the spool."""
    world.scenario["phases"][1]["faults"] = [{"kind": "log"}]
    name = "fault prediction log refuses writes in burst"
    assert "did not take hold" in world.failed()[name]
    world.scenario["settings"] = {"api": {"log_failure": "spool"}}
    assert name not in {check.name for check in world.evaluate().checks}


def test_a_component_that_was_never_stopped(world: World) -> None:
    """As when the runner stopped another one."""
    fault = {"kind": "restart", "component": "collector", "down": "5m"}
    world.scenario["phases"][1]["faults"].append(fault)
    name = "fault collector stopped in burst"
    assert world.failed()[name].endswith("collector was never stopped")
    world.timeline += [
        StoredEvent(1010.5, "component_stopped", "collector", {}),
        StoredEvent(1021.0, "component_started", "collector", {}),
    ]
    assert next(c for c in world.evaluate().checks if c.name == name).summary.endswith(
        "collector was stopped at +0.5 s and started again at +11.0 s"
    )

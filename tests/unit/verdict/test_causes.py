"""Faults that make checks fail on purpose: found or not, and named as the cause where they are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from testbed.checks.causes import with_causes
from testbed.checks.results import CheckResult
from testbed.checks.stages import Stage

if TYPE_CHECKING:
    from tests.unit.verdict.conftest import World

FAULT = {"kind": "clock", "seconds": 60}
NAME = "fault clock +60 s in burst"


def result(*, passed: bool) -> CheckResult:
    """What the check of the rows' clocks says."""
    return CheckResult(name="content clock", passed=passed, stage=Stage.LOG, summary="late rows")


def test_a_fault_is_named_as_the_cause_of_what_finds_it(world: World) -> None:
    """The check fails all the same, and the fault took hold."""
    world.scenario["phases"][1]["faults"] = [FAULT]
    found = {c.name: c for c in with_causes(world.case(), [result(passed=False)])}
    assert not found["content clock"].passed
    assert "the fault clock +60 s of phase burst makes it so" in found["content clock"].summary
    assert found[NAME].passed
    assert "was found by content clock" in found[NAME].summary


def test_a_fault_that_nothing_finds_fails(world: World) -> None:
    """Else wrong telemetry would pass in silence."""
    world.scenario["phases"][1]["faults"] = [FAULT]
    found = {c.name: c for c in with_causes(world.case(), [result(passed=True)])}
    assert found["content clock"].summary == "late rows"
    assert not found[NAME].passed
    assert NAME in world.failed()


def test_other_failures_are_not_explained(world: World) -> None:
    """Without such a fault, results stay as they are."""
    given = result(passed=False)
    assert with_causes(world.case(), [given]) == (given,)


def test_an_overload_refuses_what_is_above_the_capacity(world: World) -> None:
    """Ten requests per second arrive in the burst, of which every second one is refused."""
    world.scenario["phases"][1]["faults"] = [{"kind": "overload", "rate": 5}]
    name = "fault overload above 5/s in burst"
    world.requests = [replace(r, status=503) if r.status == 500 else r for r in world.requests]
    check = next(c for c in world.evaluate().checks if c.name == name)
    assert check.passed
    assert "refused with 503" in check.summary
    world.requests = [replace(r, status=200) for r in world.requests]
    assert name in world.failed()

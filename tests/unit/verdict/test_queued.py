"""Requests that wait where the API can't measure it, because a fault makes them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from testbed.checks.latency import check_latency
from testbed.checks.measured import queued_phases
from testbed.facts.timing import Bin, RequestTiming

from .conftest import World

SENT = 3000


def timing() -> RequestTiming:
    """Durations that follow the load's in a calm phase, and don't in a busy one."""
    calm = [Bin(requests=50, server=d, inference=0.0, after=d, client=d, phase="calm") for d in
            (0.01 + 0.001 * number for number in range(30))]  # fmt: skip
    busy = [Bin(requests=50, server=0.05 + 0.01 * (number % 2), inference=0.0,
                after=0.5 + 0.1 * number, client=0.6 + 0.1 * number, phase="busy")
            for number in range(30)]  # fmt: skip
    total = sum(50 * each.client for each in (*calm, *busy))
    return RequestTiming(
        requests=SENT,
        client_sum=total,
        server_count=SENT,
        server_sum=sum(50 * each.server for each in (*calm, *busy)),
        bins=(*calm, *busy),
    )


def test_durations_need_not_follow_where_requests_queue() -> None:
    """Elsewhere they must."""
    assert not all(check.passed for check in check_latency(timing()))
    assert all(check.passed for check in check_latency(timing(), frozenset({"busy"})))


def test_the_end_of_a_queue_counts_as_little() -> None:
    """An export after the phase's end holds requests that queued in it."""
    whole = timing()
    across = [
        each.model_copy(update={"phase": "", "touches": ("busy", "calm")})
        for each in whole.bins
        if each.phase == "busy"
    ]
    calm = [each for each in whole.bins if each.phase == "calm"]
    whole = whole.model_copy(update={"bins": (*calm, *across)})
    assert not all(check.passed for check in check_latency(whole))
    assert all(check.passed for check in check_latency(whole, frozenset({"busy"})))


@pytest.mark.parametrize(("inference", "passes"), [(0.140, True), (0.001, False)])
def test_exports_in_which_one_inference_outweighs_all_else_say_nothing(
    inference: float, *, passes: bool
) -> None:
    """Where inferences wait for their turn, one more or less moves a mean by milliseconds."""
    whole = timing()
    noise = [0.001 * (number * 7 % 5) for number in range(30)]
    overload = [
        Bin(
            requests=30,
            server=inference + 0.005 + each,
            inference=inference,
            after=0.003 + 0.0001 * number,
            client=inference + 0.012,
            phase="overload",
        )
        for number, each in enumerate(noise)
    ]
    calm = [each for each in whole.bins if each.phase == "calm"]
    checks = check_latency(whole.model_copy(update={"bins": (*calm, *overload)}))
    assert all(check.passed for check in checks) == passes


def slow_throughout(number: int, **changed: float) -> Bin:
    """An export of a model that always takes 60 to 70 ms, with few requests."""
    rest = 0.03 + 0.001 * (number * 7 % 20)
    inference = 0.06 + 0.0007 * (number * 11 % 13)
    whole = rest + inference
    made = Bin(
        requests=25,
        server=whole,
        inference=inference,
        after=rest,
        client=whole + 0.01,
        phase="calm",
    )
    return made.model_copy(update=changed)


@pytest.mark.parametrize(
    ("defect", "said"),
    [
        (lambda _: {}, None),
        (lambda _: {"server": 0.085}, "is a constant"),
        (lambda each: {"server": each.inference + 0.002}, "don't follow"),
        (lambda each: {"inference": each.server - 0.0001}, "don't follow"),
    ],
)
def test_a_model_that_always_takes_long_hides_no_defect(
    defect: Callable[[Bin], dict[str, float]], said: str | None
) -> None:
    """That is no queue: its exports say of the scale what those of a quick one do."""
    bins = [slow_throughout(number) for number in range(60)]
    bins = [each.model_copy(update=defect(each)) for each in bins]
    whole = timing()
    sums = {"client_sum": sum(each.client for each in bins) * 25}
    sums |= {"server_sum": sum(each.server for each in bins) * 25}
    sums |= {"inference_sum": sum(each.inference for each in bins) * 25}
    counts = {"requests": 1500, "server_count": 1500, "inferences": 1500}
    update = {"bins": tuple(bins), "bounds": (), **sums, **counts}
    checks = check_latency(whole.model_copy(update=update))
    failed = [f"{check.summary} {check.details}" for check in checks if not check.passed]
    if said is None:
        assert not failed
    else:
        assert said in failed[0]


@pytest.mark.parametrize(
    ("places", "passes"), [({15}, True), ({5, 15, 25}, True), ({3, 11, 19, 27}, False)]
)
def test_a_few_exports_may_hold_inferences_of_other_requests(
    places: set[int], *, passes: bool
) -> None:
    """A process stood still over them; where many do, something else is wrong."""
    whole = timing()
    calm = [each for each in whole.bins if each.phase == "calm"]
    stalled = {"server": 0.5, "inference": 0.9, "client": 0.6}
    bins = tuple(
        each.model_copy(update=stalled) if number in places else each
        for number, each in enumerate(calm)
    )
    checks = check_latency(whole.model_copy(update={"bins": bins}))
    assert all(check.passed for check in checks) == passes


def test_a_fault_on_the_api_or_before_it_makes_requests_queue(world: World) -> None:
    """Those of other components don't."""
    faults = world.scenario["phases"][1]["faults"]
    faults += [
        {"kind": "freeze", "component": "drift"},
        {"kind": "network", "from": "api", "to": "collector", "delay": 1},
    ]
    assert queued_phases(world.case()) == frozenset()
    faults.append({"kind": "network", "from": "load", "to": "api", "delay": 1})
    assert queued_phases(world.case()) == {"burst"}

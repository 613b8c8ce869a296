"""Faults on purpose, set on the management port."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from testbed_api.log.faulty import FaultyLog
from testbed_api.serving.faults import (
    FaultState,
    FaultSwitch,
    InjectedCapacity,
    InjectedErrors,
    InjectedLatency,
    InjectedLeak,
    InjectedLogFailure,
)
from testbed_domain.logengine import LogError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed_api.log.labels import LabelOutcome
    from testbed_domain.logstore import PredictionRow

    from .conftest import Api, ApiMaker

pytestmark = pytest.mark.anyio

NONE = dict.fromkeys(FaultState.model_fields)


async def test_injected_errors_give_500_and_no_row(api: Api) -> None:
    """A share of 1 fails every prediction; deleting the faults ends that."""
    await api.management.put("/faults", json={"errors": {"ratio": 1}})
    reply = await api.public.post("/predict", json=api.row)
    assert (reply.status_code, reply.json()) == (500, {"detail": "injected"})
    assert api.errors("injected") == 1
    assert api.requests("/predict", 500, error_type="500") == 1
    assert not api.log.rows
    assert (await api.management.delete("/faults")).json() == NONE
    assert (await api.public.post("/predict", json=api.row)).status_code == 200


async def test_injected_latency_counts_as_inference(api: Api) -> None:
    """The seconds appear in the inference histogram, where SlowInference looks."""
    await api.management.put("/faults", json={"latency": {"seconds": 0.05}})
    assert (await api.public.post("/predict", json=api.row)).status_code == 200
    total = api.value(
        "ml_model_inference_duration_seconds_sum", model_name="fake-forest", model_version="v1"
    )
    assert total >= 0.05


async def test_an_unloaded_model_gives_503_until_it_is_back(api: Api) -> None:
    """Callers, health and ml_model_loaded say so, and no error is taken for the model's own."""
    labels = {"model_name": "fake-forest", "model_version": "v1"}
    await api.management.put("/faults", json={"unloaded": {}})
    reply = await api.public.post("/predict", json=api.row)
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")
    assert api.errors("not_ready") == 1
    assert (await api.management.get("/health/ready")).status_code == 503
    assert api.value("ml_model_loaded", **labels) == 0
    assert not api.log.rows
    await api.management.delete("/faults")
    assert (await api.public.post("/predict", json=api.row)).status_code == 200
    assert api.value("ml_model_loaded", **labels) == 1


def test_a_log_fails_while_its_fault_is_set() -> None:
    """Every kind of write; what it holds is as it was, and it writes again afterwards."""
    control, behind = FaultSwitch(seed=1), FakeLog()
    log = FaultyLog(behind, control.require_log)
    control.state = FaultState(log=InjectedLogFailure())
    for write in (
        lambda: log.append([]),
        lambda: log.append([], missing=True),
        lambda: log.append_labels([("id", "1", 0.0)]),
    ):
        with pytest.raises(LogError, match="refuses every write by a fault"):
            write()
    assert behind.calls == []
    control.state = FaultState()
    log.append([])
    log.append([], missing=True)
    assert log.append_labels([("id", "1", 0.0)]) == ["stored"]
    log.check()
    log.close()
    assert behind.calls == ["append", "append_missing", "append_labels", "check", "close"]


class FakeLog:
    """Takes everything, and writes down what was called."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def append(self, rows: Sequence[PredictionRow], *, missing: bool = False) -> None:
        """See :class:`LogSink`."""
        del rows
        self.calls.append("append_missing" if missing else "append")

    def append_labels(self, items: Sequence[tuple[str, str, float]]) -> list[LabelOutcome]:
        """See :class:`LogSink`."""
        self.calls.append("append_labels")
        return ["stored" for _ in items]

    def check(self) -> None:
        """See :class:`LogSink`."""
        self.calls.append("check")

    def close(self) -> None:
        """See :class:`LogSink`."""
        self.calls.append("close")


async def test_put_replaces_all_faults(api: Api) -> None:
    """What is not in the body is off afterwards, and GET shows what holds."""
    await api.management.put("/faults", json={"errors": {"ratio": 0.3}})
    state = NONE | {"latency": {"seconds": 1.0, "ratio": 1.0}}
    assert (await api.management.put("/faults", json={"latency": {"seconds": 1}})).json() == state
    assert (await api.management.get("/faults")).json() == state


@pytest.mark.parametrize(
    ("body", "location"),
    [
        ({"errors": {"ratio": 1.1}}, ["errors", "ratio"]),
        ({"errors": {"ratio": -0.1}}, ["errors", "ratio"]),
        ({"latency": {"seconds": 61}}, ["latency", "seconds"]),
        ({"latency": {"seconds": 1, "ratio": 2}}, ["latency", "ratio"]),
        ({"unloaded": {"for": 1}}, ["unloaded", "for"]),
        ({"log": {"for": 1}}, ["log", "for"]),
        ({"errors": {}}, ["errors", "ratio"]),
        ({"error": {"ratio": 1}}, ["error"]),
    ],
)
async def test_wrong_faults_are_refused_and_change_nothing(
    api: Api, body: dict[str, Any], location: list[str]
) -> None:
    """A typing error must not look like a fault that was set."""
    reply = await api.management.put("/faults", json=body)
    assert reply.status_code == 422
    assert reply.json()["detail"][0]["loc"] == ["body", *location]
    assert api.control.state == FaultState()


async def test_faults_exist_only_where_they_are_turned_on(make_api: ApiMaker) -> None:
    """By default nobody can break a service, and never on the public port."""
    async with make_api() as api:
        assert (await api.management.get("/faults")).status_code == 404
    async with make_api(faults_enabled=True) as api:
        assert (await api.public.get("/faults")).status_code == 404


def test_choice_of_failing_predictions_is_seeded() -> None:
    """The same seed fails the same predictions, another one others, at the share asked for."""

    def choice(seed: int) -> list[bool]:
        control = FaultSwitch(seed)
        control.state = FaultState(errors=InjectedErrors(ratio=0.3))
        return [control.fails() for _ in range(2000)]

    assert choice(1) == choice(1) != choice(2)
    assert 599 <= sum(choice(1)) <= 601


def test_failing_predictions_are_evenly_spread() -> None:
    """A small share gives a steady rate: no stretch without a failure, none with two."""
    control = FaultSwitch(1)
    control.state = FaultState(errors=InjectedErrors(ratio=0.01))
    failed = [index for index in range(5000) if control.fails()]
    assert {b - a for a, b in pairwise(failed)} <= {99, 100, 101}


def test_slow_predictions_are_evenly_spread_and_their_own() -> None:
    """One in five is slow, whatever fails: neither choice changes the other."""
    both, slow = FaultSwitch(1), FaultSwitch(1)
    both.state = FaultState(
        errors=InjectedErrors(ratio=0.5), latency=InjectedLatency(seconds=1.5, ratio=0.2)
    )
    slow.state = FaultState(latency=InjectedLatency(seconds=1.5, ratio=0.2))
    alone = [slow.delay() for _ in range(500)]
    assert [(both.fails(), both.delay())[1] for _ in range(500)] == alone
    assert set(alone) == {0.0, 1.5}
    hit = [index for index, seconds in enumerate(alone) if seconds]
    assert {b - a for a, b in pairwise(hit)} <= {4, 5, 6}


async def test_counters_and_durations_can_be_wrong(api: Api) -> None:
    """All else is as it should be: answers, rows, and the count of inferences."""
    wrong = {"missed": 0.5, "milliseconds": True}
    await api.management.put("/faults", json={"telemetry": wrong, "latency": {"seconds": 0.01}})
    for _ in range(4):
        assert (await api.public.post("/predict", json=api.row)).status_code == 200
    assert len(api.log.rows) == 4
    labels = {"model_name": "fake-forest", "model_version": "v1"}
    counted = sum(
        sample.value
        for metric in api.telemetry.registry.collect()
        for sample in metric.samples
        if sample.name == "ml_predictions_total"
    )
    assert counted == 2
    assert api.value("ml_model_inference_duration_seconds_sum", **labels) > 4 * 0.01 * 1000


async def test_a_skewed_clock_stamps_rows(api: Api) -> None:
    """Only while it is set."""
    await api.management.put("/faults", json={"clock": {"seconds": 3600}})
    await api.public.post("/predict", json=api.row)
    await api.management.delete("/faults")
    await api.public.post("/predict", json=api.row)
    first, second = (row.time for row in api.log.rows)
    assert 3590 < first - second < 3610


def test_what_is_above_the_capacity_waits_for_its_turn_or_is_too_late() -> None:
    """Two per second, of a deadline of 1.2 s half to wait in: the third of three is too late.

    It waits beyond what it is due, for a loop whose timers go off a millisecond early: uvloop's.
    """
    switch = FaultSwitch(seed=0)
    assert switch.turn(100.0, 101.2) == 0.0
    switch.state = FaultState(capacity=InjectedCapacity(rate=2.0))
    assert switch.turn(100.0, 101.2) == 0.0
    assert switch.turn(100.0, 101.2) == pytest.approx(0.5)
    assert 1.202 < switch.turn(100.0, 101.2) < 1.21
    assert switch.turn(100.9, 102.1) == pytest.approx(0.1)


def test_a_leak_takes_memory_and_lets_go_of_it() -> None:
    """Of the whole process, as the kernel sees it."""
    switch = FaultSwitch(seed=0)
    process = psutil.Process()
    before = process.memory_info().rss
    switch.state = FaultState(leak=InjectedLeak(mib_per_second=256.0))
    deadline = time.monotonic() + 30
    while process.memory_info().rss < before + 40 * 2**20 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.memory_info().rss >= before + 40 * 2**20
    switch.state = FaultState()
    while process.memory_info().rss >= before + 40 * 2**20 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.memory_info().rss < before + 40 * 2**20

"""Micro-batching: the policy with a clock of its own, the batcher with a model that can be held."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import AsyncIterator, Callable, Sequence

import numpy as np
import pytest
from testbed_api.options import BatchLimits
from testbed_api.serving.batching import (
    QUIET,
    BatchingDecision,
    BatchPolicy,
    ClientGoneError,
    DeadlineError,
    MicroBatcher,
    QueueFullError,
    Reason,
    measure,
)

from tests.support.polling import PATIENCE, until

LIMITS = BatchLimits(rows=8, wait=0.01, queue=16)
COST = 0.010
NEVER = math.inf


def _decide(
    policy: BatchPolicy,
    now: float,
    rows: int,
    *,
    oldest: float | None = None,
    newest: float | None = None,
    deadline: float = NEVER,
) -> BatchingDecision:
    first = now if oldest is None else oldest
    return policy.decide(now, rows, first, now if newest is None else newest, deadline)


def _after(rows: int, waiting: int) -> BatchPolicy:
    """A policy that at time 10 saw a batch end."""
    policy = BatchPolicy(LIMITS, COST)
    policy.finished(10.0, rows, COST, waiting)
    return policy


def test_one_request_alone_waits_for_nobody() -> None:
    """The first request ever, and each of a client that sends one after the other, goes at once."""
    assert _decide(BatchPolicy(LIMITS, COST), 0.0, 1) == BatchingDecision("alone")
    assert _decide(_after(1, 0), 10.0001, 1) == BatchingDecision("alone")


def test_request_after_a_pause_waits_for_nobody() -> None:
    """What was before a pause does not hold up the one that comes after it."""
    assert _decide(_after(8, 0), 10.0 + LIMITS.wait * 1.1, 1) == BatchingDecision("alone")


def test_full_batch_goes_at_once() -> None:
    """More than the largest batch has no reason to wait."""
    assert _decide(_after(8, 8), 10.0, LIMITS.rows) == BatchingDecision("size")


def test_next_batch_waits_for_the_clients_that_were_just_answered() -> None:
    """Of six that were answered one is back: it is held until it is quiet, and not longer."""
    policy = _after(6, 0)
    decision = _decide(policy, 10.0001, 1)
    assert decision.reason is None
    assert decision.wait == pytest.approx(QUIET)
    assert _decide(policy, 10.0002, 6, oldest=10.0001) == BatchingDecision("size"), "all are back"
    late = 10.0001 + QUIET
    assert _decide(policy, late, 1, oldest=10.0001, newest=10.0001) == BatchingDecision("time")


def test_requests_that_keep_coming_are_held_for_as_long_as_a_batch_takes_only() -> None:
    """The time limit follows what a batch costs."""
    policy = BatchPolicy(BatchLimits(rows=8, wait=0.1, queue=16), COST)
    policy.finished(10.0, 6, COST, 0)
    assert _decide(policy, 10.0099, 5, oldest=10.0).reason is None
    assert _decide(policy, 10.0101, 5, oldest=10.0) == BatchingDecision("time")


def test_cheap_model_is_never_held_back() -> None:
    """Where waiting costs as much as predicting, the queue goes at once."""
    policy = BatchPolicy(LIMITS, QUIET * 0.9)
    policy.finished(10.0, 6, QUIET * 0.9, 0)
    assert _decide(policy, 10.0, 2) == BatchingDecision("time")


def test_size_limit_follows_the_load() -> None:
    """As many as lately were there make a batch, when they grow and when they shrink."""
    policy = _after(1, 5)
    assert policy.expected == 6
    policy.finished(10.1, 2, COST, 0)
    assert policy.expected == 2
    policy.finished(10.2, 8, COST, 16)
    assert policy.expected == LIMITS.rows


def test_batch_is_not_held_back_past_a_deadline() -> None:
    """A deadline that needs the model now ends the waiting."""
    policy = _after(6, 0)
    assert _decide(policy, 10.0, 1, deadline=10.0 + COST) == BatchingDecision("deadline")
    soon = _decide(policy, 10.0, 1, deadline=10.0 + COST + 0.0005)
    assert soon.reason is None
    assert soon.wait == pytest.approx(0.0005)


def test_lateness_counts_what_runs_and_what_waits() -> None:
    """Rest of the running batch, batches ahead, and the own one."""
    policy = BatchPolicy(LIMITS, COST)
    assert policy.late(0.0, 0.011, 0, None) < 0
    assert policy.late(0.0, 0.011, 0, -0.005) == pytest.approx(0.004)
    assert policy.late(0.0, 0.011, 8, None) == pytest.approx(0.009)


class HeldModel:
    """Doubles its rows; each call waits for the gate."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """See ``ModelRuntime.predict``."""
        self.sizes.append(len(rows))
        self.entered.set()
        assert self.gate.wait(PATIENCE)
        if np.isnan(rows).any():
            raise ValueError("a row that the model can't take")
        return rows * 2


class Seen:
    """Remembers what it is given."""

    def __init__(self) -> None:
        self.batches: list[tuple[Reason, int, int]] = []

    def dispatched(self, reason: Reason, rows: int, waits: Sequence[float]) -> None:
        """See ``BatchObserver``."""
        assert all(wait >= 0 for wait in waits)
        self.batches.append((reason, rows, len(waits)))


Batcher = MicroBatcher[np.ndarray]


@pytest.fixture
def model() -> HeldModel:
    """A model that can be held."""
    return HeldModel()


@pytest.fixture
def seen() -> Seen:
    """What the batcher reports."""
    return Seen()


@pytest.fixture
async def batcher(model: HeldModel, seen: Seen) -> AsyncIterator[Batcher]:
    """A batcher over the model; closed after the test."""
    made = MicroBatcher(model, BatchPolicy(LIMITS, COST), seen)
    yield made
    model.gate.set()
    await made.close()


class Client:
    """Someone who may leave."""

    def __init__(self) -> None:
        self.watchers: list[Callable[[], None]] = []

    def watch(self, left: Callable[[], None]) -> Callable[[], object]:
        """Call back when it leaves."""
        self.watchers.append(left)
        return lambda: self.watchers.remove(left)

    def leave(self) -> None:
        """Go."""
        for left in self.watchers:
            left()


def _row(value: float, count: int = 1) -> np.ndarray:
    return np.full((count, 2), value, np.float32)


async def _hold(model: HeldModel, batcher: Batcher) -> asyncio.Task[np.ndarray]:
    """A first request that keeps the model busy."""
    model.gate.clear()
    task = asyncio.create_task(batcher.predict(_row(0)))
    assert await asyncio.to_thread(model.entered.wait, PATIENCE)
    return task


@pytest.mark.anyio
async def test_requests_gather_while_the_model_is_busy(
    model: HeldModel, batcher: Batcher, seen: Seen
) -> None:
    """Each caller gets its own rows back; the model was asked twice."""
    first = await _hold(model, batcher)
    rest = [asyncio.create_task(batcher.predict(_row(n, n))) for n in (1, 2, 3)]
    await until(lambda: batcher.waiting == 6)
    model.gate.set()
    assert (await first).tolist() == [[0, 0]]
    for n, answer in zip((1, 2, 3), await asyncio.gather(*rest), strict=True):
        assert answer.tolist() == [[2 * n, 2 * n]] * n
    assert model.sizes == [1, 6]
    assert seen.batches[0] == ("alone", 1, 1)
    assert seen.batches[1][1:] == (6, 3)


@pytest.mark.anyio
async def test_full_queue_sheds_at_once(model: HeldModel, batcher: Batcher) -> None:
    """What does not fit is refused before it waits, with a time to come back."""
    first = await _hold(model, batcher)
    rest = [asyncio.create_task(batcher.predict(_row(1, 8))) for _ in range(2)]
    await until(lambda: batcher.waiting == 16)
    with pytest.raises(QueueFullError) as refused:
        await batcher.predict(_row(1))
    assert refused.value.retry_after > 0
    model.gate.set()
    await asyncio.gather(first, *rest)
    assert model.sizes == [1, 8, 8]


@pytest.mark.anyio
async def test_deadline_that_cannot_be_met_is_refused_at_once(batcher: Batcher) -> None:
    """Less time than a batch takes is no time."""
    with pytest.raises(DeadlineError):
        await batcher.predict(_row(1), deadline=batcher._clock() + COST / 2)


@pytest.mark.anyio
async def test_deadline_that_passes_in_the_queue_ends_the_wait(
    model: HeldModel, batcher: Batcher
) -> None:
    """The caller is answered in time, and the model never sees its row."""
    first = await _hold(model, batcher)
    with pytest.raises(DeadlineError):
        await batcher.predict(_row(1), deadline=batcher._clock() + 5 * COST)
    assert batcher.waiting == 0
    model.gate.set()
    await first
    assert model.sizes == [1]


@pytest.mark.anyio
async def test_client_that_leaves_is_taken_out_of_the_queue(
    model: HeldModel, batcher: Batcher
) -> None:
    """Nobody predicts for someone who is gone; who is being predicted for, is."""
    client = Client()
    model.gate.clear()
    first = asyncio.create_task(batcher.predict(_row(0), gone=client.watch))
    assert await asyncio.to_thread(model.entered.wait, PATIENCE)
    waiting = asyncio.create_task(batcher.predict(_row(1), gone=client.watch))
    await until(lambda: batcher.waiting == 1)
    client.leave()
    with pytest.raises(ClientGoneError):
        await waiting
    assert batcher.waiting == 0
    model.gate.set()
    assert (await first).tolist() == [[0, 0]]
    assert model.sizes == [1]
    assert client.watchers == []


@pytest.mark.anyio
async def test_row_that_the_model_cannot_take_spoils_no_other(
    model: HeldModel, batcher: Batcher
) -> None:
    """A batch that fails is answered one by one."""
    first = await _hold(model, batcher)
    bad = asyncio.create_task(batcher.predict(_row(math.nan)))
    good = asyncio.create_task(batcher.predict(_row(4)))
    await until(lambda: batcher.waiting == 2)
    model.gate.set()
    await first
    with pytest.raises(ValueError, match="can't take"):
        await bad
    assert (await good).tolist() == [[8, 8]]


@pytest.mark.anyio
async def test_close_answers_what_is_in_the_queue(model: HeldModel, seen: Seen) -> None:
    """The end loses nobody."""
    batcher = MicroBatcher(model, BatchPolicy(LIMITS, COST), seen)
    first = await _hold(model, batcher)
    rest = [asyncio.create_task(batcher.predict(_row(n))) for n in (1, 2)]
    await until(lambda: batcher.waiting == 2)
    model.gate.set()
    await batcher.close()
    assert [answer[0, 0] for answer in await asyncio.gather(first, *rest)] == [0, 2, 4]


@pytest.mark.anyio
async def test_who_was_just_answered_comes_back_before_the_next_batch(model: HeldModel) -> None:
    """The callers have their turn before the model is asked again, however cheap it is."""
    policy = BatchPolicy(LIMITS, QUIET / 2)
    batcher = MicroBatcher(model, policy, Seen(), clock=lambda: 0.0)

    async def twice() -> None:
        await batcher.predict(_row(1))
        await batcher.predict(_row(2))

    model.gate.clear()
    first = asyncio.create_task(twice())
    assert await asyncio.to_thread(model.entered.wait, PATIENCE)
    second = asyncio.create_task(batcher.predict(_row(3)))
    await until(lambda: batcher.waiting == 1)
    model.gate.set()
    await asyncio.gather(first, second)
    await batcher.close()
    assert model.sizes == [1, 2]


@pytest.mark.anyio
async def test_part_larger_than_a_batch_is_a_mistake(batcher: Batcher) -> None:
    """Whoever has more rows cuts them himself; they must not wait for ever."""
    with pytest.raises(ValueError, match="up to 8 rows"):
        await batcher.predict(_row(1, 9))


def test_measuring_calls_the_model_and_gives_seconds() -> None:
    """The figure that inline or batched is chosen by."""
    calls: list[int] = []
    assert measure(lambda row: calls.append(len(row)), _row(1), rounds=3) >= 0
    assert calls == [1, 1, 1]

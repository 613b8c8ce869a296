"""Predictions of one turn of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from testbed_api.serving.tickbatcher import MAX_ROWS, TickBatcher

pytestmark = pytest.mark.anyio


@dataclass
class _Model:
    """Doubles numbers, and refuses negative ones; keeps what it was asked and answered."""

    asked: list[list[int]] = field(default_factory=list)
    predicted: list[tuple[str, int]] = field(default_factory=list)

    def predict(self, rows: Sequence[int]) -> list[int]:
        self.asked.append(list(rows))
        if min(rows) < 0:
            raise ValueError(f"{min(rows)} is negative")
        return [2 * row for row in rows]

    def dispatched(self, reason: str, rows: int, waits: Sequence[float]) -> None:
        assert not waits
        self.predicted.append((reason, rows))


async def test_what_comes_in_one_turn_is_predicted_by_one_call() -> None:
    """Each caller gets the answers to its own rows, however many."""
    model = _Model()
    batcher = TickBatcher(model.predict, model)
    answers = await asyncio.gather(*map(batcher.predict, ([1], [2, 3], [4])))
    assert answers == [[2], [4, 6], [8]]
    assert model.asked == [[1, 2, 3, 4]]
    assert model.predicted == [("turn", 4)]


async def test_one_alone_waits_for_nobody() -> None:
    """Its answer is there before anything else that becomes ready later is run."""
    model = _Model()
    batcher = TickBatcher(model.predict, model)
    order: list[str] = []

    async def ask() -> None:
        await batcher.predict([1])
        order.append("answered")

    task = asyncio.ensure_future(ask())
    await asyncio.sleep(0)  # it has asked
    asyncio.get_running_loop().call_soon(
        lambda: asyncio.get_running_loop().call_soon(order.append, "later")
    )
    await task
    assert order[0] == "answered"
    assert model.predicted == [("alone", 1)]


async def test_rows_that_the_model_refuses_spoil_no_others() -> None:
    """Only their caller gets the error."""
    model = _Model()
    batcher = TickBatcher(model.predict, model)
    good, bad, other = await asyncio.gather(
        *map(batcher.predict, ([1], [-1], [3])), return_exceptions=True
    )
    assert (good, other) == ([2], [6])
    assert isinstance(bad, ValueError)
    assert model.asked[0] == [1, -1, 3]


async def test_caller_that_is_gone_is_not_predicted() -> None:
    """A cancelled request's row stays out of the batch."""
    model = _Model()
    batcher = TickBatcher(model.predict, model)
    gone, stays = (asyncio.ensure_future(batcher.predict([row])) for row in (1, 2))
    await asyncio.sleep(0)  # both have asked
    gone.cancel()
    assert await stays == [4]
    assert model.asked == [[2]]


async def test_no_call_has_more_rows_than_the_limit() -> None:
    """A crowd is predicted in several calls, in the order of its coming."""
    model = _Model()
    batcher = TickBatcher(model.predict, model)
    sizes = (MAX_ROWS - 1, 1, MAX_ROWS, 2)
    answers = await asyncio.gather(*(batcher.predict([size] * size) for size in sizes))
    assert answers == [[2 * size] * size for size in sizes]
    assert [rows for _, rows in model.predicted] == [MAX_ROWS, MAX_ROWS, 2]


async def test_answer_of_wrong_length_is_an_error() -> None:
    """Nobody gets the answer to another's row."""
    batcher: TickBatcher[int, int] = TickBatcher(lambda rows: [0] * (len(rows) - 1), _Model())
    with pytest.raises(ValueError, match="0 answers to 1 rows"):
        await batcher.predict([1])

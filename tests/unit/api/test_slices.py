"""Slices of the event loop: one per turn, whoever asks, in their order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from testbed_api.http.pace import BytePace, Writing
from testbed_api.http.streams import LineCutter
from testbed_api.serving.slices import SliceScheduler

if TYPE_CHECKING:
    from collections.abc import Generator

pytestmark = pytest.mark.anyio


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _work(clock: _Clock, steps: int, done: list[int]) -> Generator[None, None, int]:
    for _ in range(steps):
        clock.now += 1.0
        done.append(1)
        yield
    return len(done)


async def test_one_slice_in_one_turn_however_many_ask() -> None:
    """Between two turns of somebody else, no more than one slice is done for all of them."""
    clock = _Clock()
    turns = SliceScheduler(2.0, clock)
    done: list[int] = []
    asked = [asyncio.ensure_future(turns.run(_work(clock, 10, done))) for _ in range(5)]
    maximum, seen = 0, 0
    while not all(task.done() for task in asked):
        await asyncio.sleep(0)
        maximum, seen = max(maximum, len(done) - seen), len(done)
    assert maximum == 2
    assert len(done) == 50


async def test_who_is_cancelled_holds_nobody_up() -> None:
    """Neither in a slice nor in the queue; errors go to who asked."""
    clock = _Clock()
    turns = SliceScheduler(1.0, clock)
    done: list[int] = []
    first, second, third = (
        asyncio.ensure_future(turns.run(_work(clock, 3, done))) for _ in range(3)
    )
    await asyncio.sleep(0)
    first.cancel()
    second.cancel()
    assert await third > 0

    def failing() -> Generator[None, None, None]:
        yield
        raise ValueError("as planned")

    with pytest.raises(ValueError, match="as planned"):
        await turns.run(failing())
    assert await turns.run(_work(clock, 1, [])) == 1


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
async def test_lines_are_the_same_however_blocks_are_cut(size: int) -> None:
    """Numbers count empty lines too; a line of the limit or more is None."""
    text = b"a\n\n bb\n123456789\n0123456789\n\xc3\xa9\r\n \nlast"
    cutter = LineCutter(10)
    blocks = [text[start : start + size] for start in range(0, len(text), size)]
    found = [line for block in blocks for line in cutter.feed(block)] + list(cutter.end())
    assert [line for line in found if line is not None] == [
        (1, b"a"), (3, b" bb"), (4, b"123456789"), (5, None), (6, b"\xc3\xa9\r"), (8, b"last"),
    ]  # fmt: skip
    assert list(LineCutter(10).end()) == []


async def test_pace_wants_its_bytes_in_each_period() -> None:
    """What came quickly in the first period is no credit for the next."""
    pace = BytePace(10.0, 5.0, 0.0)
    assert not pace.late(10.0, 0)
    assert not pace.late(11.0, 1000)
    assert not pace.late(21.0, 1000)
    assert pace.late(21.5, 1052)
    pace.restart(30.0, 1052)
    assert not pace.late(40.0, 1052)
    assert not pace.late(41.0, 1107)


class _Transport(asyncio.WriteTransport):
    size = 0

    def get_write_buffer_size(self) -> int:
        return self.size


async def test_client_that_takes_nothing_is_late() -> None:
    """While much waits, and when the last bytes do; one that gets on is not."""
    transport = _Transport()
    writing = Writing(transport, 10.0, 5.0)
    assert not writing.late(0.0, paused=False)
    transport.size = 100_000
    assert not writing.late(1.0, paused=True)
    transport.size = 99_000
    assert not writing.late(12.0, paused=True)
    assert writing.late(23.0, paused=True)
    writing.resumed()
    assert not writing.late(23.0, paused=True)
    transport.size = 500
    assert not writing.late(24.0, paused=False)
    assert not writing.late(34.0, paused=False)
    assert writing.late(34.5, paused=False)
    transport.size = 499
    assert not writing.late(35.0, paused=False)

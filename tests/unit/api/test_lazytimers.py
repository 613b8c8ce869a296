"""Timers that are set for every request."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

import pytest
from testbed_api.lazytimers import Deadlines, LazyTimer

from tests.support.polling import PATIENCE

pytestmark = pytest.mark.anyio
STEP = 0.005


class Rung:
    """Remembers when it was rung."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.event = asyncio.Event()

    def __call__(self) -> None:
        """Ring."""
        self.times.append(time.monotonic())
        self.event.set()

    async def wait(self) -> None:
        """Return after the first expired."""
        async with asyncio.timeout(PATIENCE):
            await self.event.wait()


async def test_alarm_that_is_put_off_fires_once_and_not_too_early() -> None:
    """Setting it again takes the place of what was set before."""
    rung, now = Rung(), time.monotonic()
    alarm = LazyTimer(rung, time.monotonic)
    for steps in (1, 2, 4):
        alarm.set(now + steps * STEP)
    await rung.wait()
    assert len(rung.times) == 1
    assert rung.times[0] >= now + 4 * STEP
    assert math.isinf(alarm.at)


async def test_alarm_that_is_put_forward_fires_before_another() -> None:
    """The timer that runs is given up for an earlier one."""
    early, late, now = Rung(), Rung(), time.monotonic()
    alarm, other = LazyTimer(early, time.monotonic), LazyTimer(late, time.monotonic)
    other.set(now + 10 * STEP)
    alarm.set(now + 1000)
    alarm.set(now + STEP)
    await late.wait()
    assert len(early.times) == 1
    assert early.times < late.times


@pytest.mark.parametrize("end", ["stop", "close"])
async def test_alarm_that_is_ended_is_silent(end: str) -> None:
    """Another one that was set for later rings alone."""
    silent, rung, now = Rung(), Rung(), time.monotonic()
    alarm, other = LazyTimer(silent, time.monotonic), LazyTimer(rung, time.monotonic)
    alarm.set(now + STEP)
    other.set(now + 4 * STEP)
    getattr(alarm, end)()
    await rung.wait()
    assert silent.times == []


async def test_futures_fail_when_they_are_due_and_not_before() -> None:
    """Each at its own time, whatever the order in which they came."""
    deadlines, now = Deadlines(LookupError), time.monotonic()
    loop = asyncio.get_running_loop()
    late, early, never, removed, done = (loop.create_future() for _ in range(5))
    never_due: list[tuple[asyncio.Future[Any], float]] = [(never, math.inf), (late, now + 1000)]
    for future, due in [*never_due, (early, now + 2 * STEP), (removed, now), (done, now + STEP)]:
        deadlines.add(future, due)
    deadlines.remove(removed)
    done.set_result("in time")
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(LookupError):
            await early
    assert time.monotonic() >= now + 2 * STEP
    assert [future.done() for future in (late, never, removed)] == [False] * 3
    assert await done == "in time"
    later = loop.create_future()
    deadlines.add(later, time.monotonic() + STEP)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(LookupError):
            await later
    deadlines.close()

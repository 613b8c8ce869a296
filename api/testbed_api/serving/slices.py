"""Fair slices of the event loop for work that takes long, whichever request asks for it.

Work is a generator that yields where it may pause. One slice of it runs per turn of the event
loop, and all callers of one :class:`SliceScheduler` wait in one queue: a hundred callers with much
to do hold everybody else up for no longer than a single one.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

T = TypeVar("T")

# Seconds of one slice.
SLICE: Final = 0.004


class SliceScheduler:
    """Runs generators a slice at a time. Belongs to the event loop that awaits it.

    Args:
        seconds: of one slice; it ends with the first pause after that.
        clock: seconds.
    """

    def __init__(
        self, seconds: float = SLICE, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._taken = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def run(self, work: Generator[None, None, T]) -> T:
        """What the generator returns.

        Raises:
            Exception: what the generator raises.
        """
        try:
            while True:
                await self._take()
                try:
                    end = self._clock() + self._seconds
                    while self._clock() < end:
                        next(work)
                except StopIteration as stop:
                    found: T = stop.value
                    return found
                finally:
                    # The next slice belongs to the next turn: what has come meanwhile goes first.
                    asyncio.get_running_loop().call_soon(self._give)
        finally:
            work.close()

    async def _take(self) -> None:
        if not self._taken:
            self._taken = True
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give()
            raise

    def _give(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._taken = False


def at_once(work: Generator[None, None, T]) -> T:
    """What a generator returns, without a pause: for what is known to be short.

    Raises:
        Exception: what the generator raises.
    """
    while True:
        try:
            next(work)
        except StopIteration as stop:
            found: T = stop.value
            return found

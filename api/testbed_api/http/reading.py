"""What connections bring, with a bound on what one turn of the event loop spends on it.

A read of 256 KiB may hold ten thousand pipelined requests, or as many chunks of one byte. What a
turn has no time for waits in its connection, which reads no more meanwhile. A request is charged
with more than its parsing, so that some forty begin in one turn, and what came meanwhile has its
turn between them.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

# Seconds that one turn spends on parsing.
SECONDS: Final = 0.004
# Charged for a request on top: its answer takes several times as long as its parsing.
PER_REQUEST: Final = 0.000_08
# Bytes that are parsed at a time.
PIECE: Final = 4096


class HeldConnection(Protocol):
    """A connection with bytes that are to be parsed."""

    def parse_held(self) -> None:
        """Parse them, as far as there is time."""


class ReadingTime:
    """The time that all connections of a server have for parsing in one turn.

    Args:
        seconds: per turn.
        clock: seconds.
    """

    def __init__(
        self, seconds: float = SECONDS, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._seconds = seconds
        self.clock = clock
        self._spent = 0.0
        self._scheduled = False
        self._waiting: deque[HeldConnection] = deque()

    @property
    def over(self) -> bool:
        """Whether nothing more should be parsed in this turn."""
        return self._spent >= self._seconds

    @property
    def fresh(self) -> bool:
        """Whether one may begin to parse: there is time, and nobody waits for it."""
        return not self._waiting and not self.over

    def spend(self, seconds: float, loop: asyncio.AbstractEventLoop) -> None:
        """Take note of time that was spent."""
        self._spent += seconds
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._turn, loop)

    def wait(self, connection: HeldConnection, loop: asyncio.AbstractEventLoop) -> None:
        """Have a connection parse what it holds in one of the next turns."""
        self._waiting.append(connection)
        self.spend(0.0, loop)

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._scheduled = False
        self._spent = 0.0
        for _ in range(len(self._waiting)):
            if self.over:
                break
            self._waiting.popleft().parse_held()
        if self._waiting:
            self.spend(0.0, loop)

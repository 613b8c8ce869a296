"""What connections bring, with a bound on what one turn of the event loop spends on it.

A read of 256 KiB may hold ten thousand pipelined requests, or as many chunks of one byte. What a
turn has no time for waits in its connection, which reads no more meanwhile. Requests beyond some
begin in the next turn, so that what came meanwhile has its turn between them.
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
# Bytes that are parsed at a time.
PIECE: Final = 4096
# Requests that begin in one turn.
MAX_BEGUN: Final = 24


class Held(Protocol):
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
        self._waiting: deque[Held] = deque()
        self._begun = 0
        self._unbegun: deque[Callable[[], object]] = deque()

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

    def begin(self, request: Callable[[], object], loop: asyncio.AbstractEventLoop) -> None:
        """Begin a request, now or in one of the next turns."""
        if self._begun < MAX_BEGUN:
            self._begun += 1
            request()
        else:
            self._unbegun.append(request)
        self.spend(0.0, loop)

    def wait(self, connection: Held, loop: asyncio.AbstractEventLoop) -> None:
        """Have a connection parse what it holds in one of the next turns."""
        self._waiting.append(connection)
        self.spend(0.0, loop)

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._scheduled = False
        self._spent = 0.0
        self._begun = min(MAX_BEGUN, len(self._unbegun))
        for _ in range(self._begun):
            self._unbegun.popleft()()
        for _ in range(len(self._waiting)):
            if self.over:
                break
            self._waiting.popleft().parse_held()
        if self._waiting or self._unbegun:
            self.spend(0.0, loop)

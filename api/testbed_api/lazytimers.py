"""Timers that are set for every request, at next to no cost per request.

A timer of the event loop costs some microseconds to set and to cancel. These set one, and look when
it expires whether it has been put off in the meantime.
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class LazyTimer:
    """Calls back once at a time that may be changed often. Belongs to one event loop.

    Args:
        expired: called when it is time.
        clock: monotonic seconds.
    """

    def __init__(self, expired: Callable[[], object], clock: Callable[[], float]) -> None:
        self._expired = expired
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self.at = math.inf

    def set(self, at: float) -> None:
        """Expire at this time, and not at what was set before."""
        self.at = at
        if at < self._timer_at:
            self._start(at - self._clock())

    def stop(self) -> None:
        """Don't expired."""
        self.at = math.inf

    def close(self) -> None:
        """Leave no timer behind."""
        self.stop()
        if self._timer is not None:
            self._timer.cancel()

    def _start(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = self.at
        self._timer = asyncio.get_running_loop().call_later(max(0.0, seconds), self._look)

    def _look(self) -> None:
        self._timer, self._timer_at = None, math.inf
        if math.isinf(self.at):
            return
        left = self.at - self._clock()
        if left > 0:
            self._start(left)
            return
        self.stop()
        self._expired()


class Deadlines:
    """Fails futures that are not done when they are due, by one timer for all of them.

    Args:
        error: makes the exception that such a future gets.
        clock: monotonic seconds.
    """

    def __init__(
        self, error: Callable[[], Exception], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._error = error
        self._clock = clock
        self._due: dict[asyncio.Future[Any], float] = {}
        self._timer = LazyTimer(self._sweep, clock)

    def add(self, future: asyncio.Future[Any], due: float) -> None:
        """Watch over a future until it is removed; infinity needs no watching."""
        if math.isinf(due):
            return
        self._due[future] = due
        if due < self._timer.at:
            self._timer.set(due)

    def extend(self, future: asyncio.Future[Any], seconds: float) -> None:
        """Give one that is watched over more time."""
        if future in self._due:
            self._due[future] += seconds

    def remove(self, future: asyncio.Future[Any]) -> None:
        """Watch no longer."""
        self._due.pop(future, None)

    def close(self) -> None:
        """Leave no timer behind."""
        self._timer.close()

    def _sweep(self) -> None:
        now = self._clock()
        for future, due in list(self._due.items()):
            if due <= now and not future.done():
                future.set_exception(self._error())
        left = (due for future, due in self._due.items() if not future.done())
        earliest = min(left, default=math.inf)
        if earliest < math.inf:
            self._timer.set(earliest)

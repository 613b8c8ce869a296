"""Waiting that ends when the process is asked to stop."""

from __future__ import annotations

import os
import select
import signal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_DONE: Final = object()


class WorkStoppedError(BaseException):
    """Raised in the middle of work that nobody waits for; no ``except Exception`` may keep it."""


class StopSignal:
    """Remembers that SIGINT or SIGTERM came.

    A pipe, because a signal handler may write to one at any moment; a lock in the handler could
    wait for the very thread that it interrupted.
    """

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._interrupts = False

    def install(self) -> None:
        """Take the signals over; from the main thread only."""

        def take(_number: int, _frame: object) -> None:
            self.set()
            if self._interrupts:
                raise WorkStoppedError

        for number in SIGNALS:
            signal.signal(number, take)

    def interrupting(self, steps: Iterator[object]) -> Iterator[None]:
        """The steps of work that may be left half done: a signal ends it within a step."""
        try:
            while not self.wait(0.0):
                self._interrupts = True
                try:
                    done = next(steps, _DONE) is _DONE
                finally:
                    self._interrupts = False
                if done:
                    return
                yield
        except WorkStoppedError:
            return

    def set(self) -> None:
        """Stop: every wait ends, now and later."""
        os.write(self._write, b".")

    def wait(self, seconds: float) -> bool:
        """Wait at most so long.

        Returns:
            Whether the process must stop.
        """
        return bool(select.select([self._read], [], [], seconds)[0])

"""Waiting that ends when the process is asked to stop."""

from __future__ import annotations

import os
import select
import signal
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class StopSignal:
    """Remembers that SIGINT or SIGTERM came.

    A pipe, because a signal handler may write to one at any moment; a lock in the handler could
    wait for the very thread that it interrupted.
    """

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)

    def install(self) -> None:
        """Take the signals over; from the main thread only."""
        for number in SIGNALS:
            signal.signal(number, lambda _number, _frame: self.set())

    def set(self) -> None:
        """Stop: every wait ends, now and later."""
        os.write(self._write, b".")

    def wait(self, seconds: float) -> bool:
        """Wait at most so long.

        Returns:
            Whether the process must stop.
        """
        return bool(select.select([self._read], [], [], seconds)[0])

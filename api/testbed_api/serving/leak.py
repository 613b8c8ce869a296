"""Memory that a fault takes little by little, and lets go of as it ends."""

from __future__ import annotations

import mmap
import os
import threading
from typing import Final

STEP: Final = 0.1
"""Seconds between two blocks."""

MAX_MIB: Final = 2048
"""MiB that it takes at most, so that no machine is brought down by it."""


class Leak:
    """Takes memory at a rate, in a thread that lives only as long."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def set(self, rate: float) -> None:
        """Take so many MiB per second from now on, beginning anew; 0 lets go of all."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if rate:
            self._over = threading.Event()
            arguments = (rate, self._over)
            self._thread = threading.Thread(target=_take, args=arguments, name="leak", daemon=True)
            self._thread.start()


def _take(rate: float, over: threading.Event) -> None:
    # Random pages, so that no kernel merges or compresses them away.
    page = os.urandom(4096)
    held: list[mmap.mmap] = []
    size = max(1, round(rate * STEP * 2**20 / len(page)))
    maximum = MAX_MIB * 2**20 // (size * len(page))
    while not over.wait(STEP):
        if len(held) < maximum:
            block = mmap.mmap(-1, len(page) * size)
            block.write(page * size)
            held.append(block)
    for block in held:  # the allocator would keep what is only freed
        block.close()

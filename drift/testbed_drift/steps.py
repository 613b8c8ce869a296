"""What a command is at, for somebody who waits: said only where a step takes long.

The work says each step that it begins, by :func:`step`. Nobody hears it but a command with
:func:`shown`, which says a step once it has lasted a while.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DELAY: Final = 1.0
"""Seconds after which one wonders whether anything happens."""

_listeners: Final[list[Callable[[str], None]]] = []


def step(text: str) -> None:
    """Say that a step begins.

    Args:
        text: what is done now, as "comparing 5,000 rows".
    """
    for listener in _listeners:
        listener(text)


@contextlib.contextmanager
def shown(say: Callable[[str], None], delay: float = DELAY) -> Iterator[None]:
    """Have steps said that last longer than ``delay``.

    Args:
        say: prints a line; called by another thread.
        delay: seconds; 0 says every step at once.
    """
    running: list[threading.Timer] = []

    def begin(text: str) -> None:
        while running:
            running.pop().cancel()
        if delay <= 0:
            say(text)
            return
        timer = threading.Timer(delay, say, (text,))
        timer.daemon = True
        running.append(timer)
        timer.start()

    _listeners.append(begin)
    try:
        yield
    finally:
        _listeners.remove(begin)
        while running:
            running.pop().cancel()

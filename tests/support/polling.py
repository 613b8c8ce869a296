"""Waiting for a condition, always with a deadline."""

from __future__ import annotations

import asyncio
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

PAUSE = 0.02
#: Seconds after which something hangs. A machine with other work may be several times slower than
#: the one that a test was written on, and stand still for seconds; who waits for less than this
#: tests the machine.
PATIENCE: Final = 120.0


def wait_for(
    condition: Callable[[], object],
    seconds: float = 30.0,
    what: str | Callable[[], str] = "it did not come about",
    process: subprocess.Popen[bytes] | subprocess.Popen[str] | None = None,
) -> None:
    """Wait until a condition holds.

    Args:
        condition: asked some fifty times a second, and once more when the time is over.
        seconds: for how long at most, where that is more than :data:`PATIENCE`.
        what: did not come about, for the failure; called when that has come to pass.
        process: the test fails as soon as this one has ended.
    """
    seconds = max(seconds, PATIENCE)
    deadline = time.monotonic() + seconds
    # Looked at before the condition, which may come about while this process stands still.
    over = ended = False
    while not condition():
        if ended and process is not None:
            said = process.communicate() if process.stdout else ()
            pytest.fail(f"it ended with {process.returncode}: {_text(what)} {said}")
        if over:
            pytest.fail(f"after {seconds} s: {_text(what)}")
        time.sleep(PAUSE)
        over = time.monotonic() >= deadline
        ended = process is not None and process.poll() is not None


def _text(what: str | Callable[[], str]) -> str:
    return what if isinstance(what, str) else what()


def answers(url: str) -> bool:
    """Whether a GET is answered with success."""
    try:
        with urllib.request.urlopen(url, timeout=10) as reply:  # noqa: S310 - http only
            return bool(reply.status < 400)
    except (urllib.error.URLError, OSError):
        return False


async def until(
    condition: Callable[[], bool],
    seconds: float = PATIENCE,
    task: asyncio.Task[None] | None = None,
) -> None:
    """Let the event loop go on until a condition holds; a task beside it must not end before."""
    async with asyncio.timeout(max(seconds, PATIENCE)):
        while not condition():
            assert task is None or not task.done(), task
            await asyncio.sleep(0.001)

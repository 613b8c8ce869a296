"""Waiting for a condition, always with a deadline."""

from __future__ import annotations

import asyncio
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

PAUSE = 0.02


def wait_for(
    condition: Callable[[], object],
    seconds: float = 30.0,
    what: str | Callable[[], str] = "it did not come about",
    process: subprocess.Popen[bytes] | subprocess.Popen[str] | None = None,
) -> None:
    """Wait until a condition holds.

    Args:
        condition: asked some fifty times a second.
        seconds: for how long at most.
        what: did not come about, for the failure; called when that has come to pass.
        process: the test fails as soon as this one has ended.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if process is not None and process.poll() is not None:
            said = process.communicate() if process.stdout else ()
            pytest.fail(f"it ended with {process.returncode}: {_text(what)} {said}")
        if time.monotonic() >= deadline:
            pytest.fail(f"after {seconds} s: {_text(what)}")
        time.sleep(PAUSE)


def _text(what: str | Callable[[], str]) -> str:
    return what if isinstance(what, str) else what()


def answers(url: str) -> bool:
    """Whether a GET is answered with success."""
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:  # noqa: S310 - http only
            return bool(reply.status < 400)
    except (urllib.error.URLError, OSError):
        return False


async def until(
    condition: Callable[[], bool], seconds: float = 10.0, task: asyncio.Task[None] | None = None
) -> None:
    """Let the event loop go on until a condition holds; a task beside it must not end before."""
    async with asyncio.timeout(seconds):
        while not condition():
            assert task is None or not task.done(), task
            await asyncio.sleep(0.001)

"""What the overview shows, rendered once for all who look, and streamed where it changed."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Final

from starlette.concurrency import run_in_threadpool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

PERIOD: Final = 2.0
"""Seconds from one look at the stack to the next; nobody looks while no page is open."""

STREAM: Final = 10.0
"""Seconds of one stream: a connection is cut off that takes longer, and the page opens the next."""
RETRY: Final = f"retry: {round(PERIOD * 1000)}\n\n"

Fragments = dict[str, str]
"""Id of a part of the page to its HTML."""


class SharedFragments:
    """Renders the parts at most once a period, however many pages are open.

    Args:
        render: gives all parts; may block.
    """

    def __init__(self, render: Callable[[], Fragments]) -> None:
        self._render = render
        self._lock = asyncio.Lock()
        self._rendered_at = -PERIOD
        self._parts: Fragments = {}

    async def now(self) -> Fragments:
        """The parts, no older than a period."""
        async with self._lock:
            if time.monotonic() - self._rendered_at >= PERIOD:
                self._parts = await run_in_threadpool(self._render)
                self._rendered_at = time.monotonic()
            return self._parts


def changed(parts: Mapping[str, str], sent: Mapping[str, str]) -> Fragments:
    """The parts that a page doesn't show yet."""
    return {name: html for name, html in parts.items() if sent.get(name) != html}


def event(name: str, html: str) -> str:
    """A server-sent event that brings a part."""
    return f"event: part\ndata: {json.dumps({'id': name, 'html': html})}\n\n"


async def stream(
    shared: SharedFragments, gone: Callable[[], Awaitable[bool]]
) -> AsyncIterator[str]:
    """Events for one page, until it is closed.

    Args:
        shared: renders the parts.
        gone: whether the page is closed.
    """
    sent: Fragments = {}
    ends = time.monotonic() + STREAM
    yield RETRY
    while time.monotonic() < ends and not await gone():
        new = changed(await shared.now(), sent)
        sent |= new
        # The comment keeps what lies between from taking the connection for dead.
        yield "".join(event(name, html) for name, html in new.items()) or ":\n\n"
        await asyncio.sleep(PERIOD)

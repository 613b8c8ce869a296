"""Whether the client of a request is still there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import Request
from testbed_api.connections import WHEN_LOST
from testbed_api.requestoptions import request_options

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio


class Server:
    """The server's side of one request."""

    def __init__(self, *, reports: bool) -> None:
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.callback: Callable[[], object] | None = None
        self.left = asyncio.Event()
        scope: dict[str, Any] = {"type": "http", "headers": []}
        if reports:
            scope["extensions"] = {WHEN_LOST: self.when_lost}
        watch = request_options(Request(scope, self.messages.get)).gone
        assert watch is not None
        self.end: Callable[[], object] = watch(self.left.set)

    def when_lost(self, callback: Callable[[], object] | None) -> None:
        """The extension."""
        self.callback = callback


@pytest.mark.parametrize("reports", [True, False])
async def test_client_that_leaves_is_noticed(*, reports: bool) -> None:
    """By the server's call, or by waiting for the message; the message is received either way."""
    server = Server(reports=reports)
    assert (server.callback is not None) is reports
    server.messages.put_nowait({"type": "http.disconnect"})
    if server.callback is not None:
        server.callback()
    async with asyncio.timeout(10):
        await server.left.wait()
    assert server.messages.empty()


async def test_server_that_reports_makes_the_request_no_task() -> None:
    """Nothing is received and nothing runs while the client is there."""
    before = asyncio.all_tasks()
    server = Server(reports=True)
    assert asyncio.all_tasks() == before
    server.end()
    assert server.callback is None


async def test_watch_that_ended_leaves_no_task() -> None:
    """With any other server the task is cancelled."""
    before = asyncio.all_tasks()
    server = Server(reports=False)
    (task,) = asyncio.all_tasks() - before
    server.end()
    await asyncio.wait([task])
    assert task.cancelled()

"""Whether the client of a request is still there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import Request
from testbed_api.http.requestoptions import request_options
from testbed_api.presence import PRESENCE, ClientPresence

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio


class Server:
    """The server's side of one request."""

    def __init__(self, *, reports: bool, gone: bool = False) -> None:
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.presence = ClientPresence()
        self.left = asyncio.Event()
        if gone:
            self.close()
        scope: dict[str, Any] = {"type": "http", "headers": []}
        if reports:
            scope["extensions"] = {PRESENCE: self.presence}
        watch = request_options(Request(scope, self.messages.get)).gone
        assert watch is not None
        self.end: Callable[[], object] = watch(self.left.set)

    def close(self) -> None:
        """The client closes the connection."""
        self.messages.put_nowait({"type": "http.disconnect"})
        self.presence.leave()


@pytest.mark.parametrize("gone", [True, False])
@pytest.mark.parametrize("reports", [True, False])
async def test_client_that_leaves_is_noticed(*, reports: bool, gone: bool) -> None:
    """By the server's call, or by waiting for the message; and where it has left before."""
    server = Server(reports=reports, gone=gone)
    assert not server.left.is_set()
    if not gone:
        server.close()
    async with asyncio.timeout(10):
        await server.left.wait()


async def test_server_that_reports_makes_the_request_no_task() -> None:
    """Nothing is received and nothing runs while the client is there."""
    before = asyncio.all_tasks()
    server = Server(reports=True)
    assert asyncio.all_tasks() == before
    server.end()
    server.close()
    assert not server.left.is_set()


async def test_watch_that_ended_leaves_no_task() -> None:
    """With any other server the task is cancelled."""
    before = asyncio.all_tasks()
    server = Server(reports=False)
    (task,) = asyncio.all_tasks() - before
    server.end()
    await asyncio.wait([task])
    assert task.cancelled()

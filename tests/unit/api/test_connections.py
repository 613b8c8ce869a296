"""Connections tell the application when the client of a request leaves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import uvicorn
from testbed_api.http.connections import ConnectionLimits, connection_class
from testbed_api.presence import presence
from uvicorn.server import ServerState

from tests.support.polling import PATIENCE

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

pytestmark = pytest.mark.anyio

REQUEST = b"GET /%d HTTP/1.1\r\nHost: api\r\n\r\n"


class Application:
    """Answers the first request at once, and no other before its client has left."""

    def __init__(self) -> None:
        self.first: Scope | None = None
        self.arrived = asyncio.Event()
        self.told: asyncio.Queue[str] = asyncio.Queue()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        client = presence(scope)
        assert client is not None
        await receive()
        if self.first is None:
            self.first = scope
        else:
            self.arrived.set()
            client.when_gone(lambda: self.told.put_nowait("gone"))
            self.told.put_nowait((await receive())["type"])
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})


async def test_request_being_served_learns_that_its_client_left() -> None:
    """It does though others wait behind it on the connection; one that was answered doesn't."""
    application = Application()
    protocol = connection_class(ConnectionLimits())
    config = uvicorn.Config(application, http=protocol, lifespan="off", log_config=None)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: protocol(config, state, {}), "127.0.0.1", 0)
    async with listening, asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
        writer.write(b"".join(REQUEST % number for number in range(3)))
        await reader.readuntil(b"ok")
        await application.arrived.wait()
        writer.close()
        assert {await application.told.get() for _ in range(2)} == {"gone", "http.disconnect"}
        assert application.first is not None
        answered = presence(application.first)
        assert answered is not None
        assert not answered.gone
        if state.tasks:
            await asyncio.wait(state.tasks)

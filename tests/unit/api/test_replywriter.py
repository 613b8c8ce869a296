"""Replies written in one piece are the ones that the server writes."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from testbed_api.connections import ConnectionLimits, connection_class
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp, Receive, Scope, Send

pytestmark = pytest.mark.anyio

LENGTH = (b"content-length", b"2")
TYPE = (b"Content-Type", b"text/plain")
BODY = {"type": "http.response.body", "body": b"ok"}


def _start(status: int, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


REPLIES: dict[str, list[dict[str, Any]]] = {
    "plain": [_start(200, LENGTH, TYPE), BODY],
    "error": [_start(503, LENGTH, (b"retry-after", b"1")), BODY],
    "empty": [_start(200, (b"content-length", b"0")), {"type": "http.response.body"}],
    "no body": [_start(204), {"type": "http.response.body"}],
    "no length": [_start(200, TYPE), BODY],
    "stream": [_start(200, TYPE), BODY | {"more_body": True}, BODY | {"more_body": False}],
    "parts": [
        _start(200, (b"content-length", b"4")),
        BODY | {"more_body": True},
        BODY | {"more_body": False},
    ],
    "empty end": [
        _start(200, LENGTH),
        BODY | {"more_body": True},
        {"type": "http.response.body", "body": b""},
    ],
    "not modified": [_start(304, (b"content-length", b"5")), {"type": "http.response.body"}],
    "closing": [_start(200, LENGTH, (b"connection", b"close")), BODY],
    "too long": [_start(200, (b"content-length", b"1")), BODY],
    "too short": [_start(200, (b"content-length", b"3")), BODY],
    "broken value": [_start(200, LENGTH, (b"x-id", b"a\r\nx-evil: 1")), BODY],
    "broken name": [_start(200, LENGTH, (b"x id", b"a")), BODY],
    "nothing": [],
    "start alone": [_start(200, LENGTH)],
}


def _app(messages: list[dict[str, Any]]) -> ASGIApp:
    async def serve(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        for message in messages:
            await send(message)

    return serve


@asynccontextmanager
async def _connected(
    app: ASGIApp,
    protocol: Any,  # noqa: ANN401 - a class of the server
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter, ServerState]]:
    config = uvicorn.Config(app, http=protocol, lifespan="off", log_config=None, date_header=False)
    config.load()
    state = ServerState()
    state.default_headers = [(b"server", b"test")]
    server = await asyncio.get_running_loop().create_server(
        lambda: protocol(config, state, {}), "127.0.0.1", 0
    )
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        yield reader, writer, state
        writer.close()


async def _bytes(messages: list[dict[str, Any]], protocol: Any, method: str) -> bytes:  # noqa: ANN401 - as above
    """All that the server sends for one request that is the connection's last."""
    async with _connected(_app(messages), protocol) as (reader, writer, _):
        writer.write(f"{method} / HTTP/1.1\r\nHost: api\r\n\r\n".encode())
        writer.write(f"{method} / HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n".encode())
        async with asyncio.timeout(10):
            return await reader.read()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("name", REPLIES)
async def test_bytes_are_those_of_the_server(name: str, method: str) -> None:
    """One by one or joined: what the client reads is the same."""
    ours = await _bytes(REPLIES[name], connection_class(ConnectionLimits()), method)
    theirs = await _bytes(REPLIES[name], HttpToolsProtocol, method)
    if name == "start alone":
        # The server has sent the head before it notices; here nothing was sent but the error.
        assert ours.startswith(b"HTTP/1.1 500")
    else:
        assert ours == theirs


@pytest.mark.parametrize("protocol", [HttpToolsProtocol, connection_class(ConnectionLimits())])
async def test_applications_are_reported_alike(protocol: Any) -> None:  # noqa: ANN401 - as above
    """An application that sends in parts may send an empty end."""
    ended = asyncio.Event()

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await _app(REPLIES["empty end"])(scope, receive, send)
        ended.set()

    async with _connected(serve, protocol) as (reader, writer, _):
        writer.write(b"GET / HTTP/1.1\r\nHost: api\r\n\r\n")
        async with asyncio.timeout(10):
            await reader.readuntil(b"ok")
            await ended.wait()


class _Recorder:
    """A transport that keeps what is written to it."""

    def __init__(self, transport: Any, writes: list[bytes]) -> None:  # noqa: ANN401 - asyncio's
        self._transport = transport
        self._writes = writes

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any of the transport's
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """See ``asyncio.Transport``."""
        self._writes.append(data)
        self._transport.write(data)


async def test_plain_reply_is_one_write() -> None:
    """Head and body of a plain reply go to the operating system together."""
    writes: list[bytes] = []

    class Recording(connection_class(ConnectionLimits())):  # type: ignore[misc]
        def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - asyncio's
            super().connection_made(_Recorder(transport, writes))

    async with _connected(_app(REPLIES["plain"]), Recording) as (reader, writer, _):
        writer.write(b"GET / HTTP/1.1\r\nHost: api\r\n\r\n")
        async with asyncio.timeout(10):
            await reader.readuntil(b"ok")
    head = b"HTTP/1.1 200 OK\r\nserver: test\r\ncontent-length: 2\r\n"
    assert writes == [head + b"content-type: text/plain\r\n\r\nok"]


async def test_new_date_is_sent() -> None:
    """Headers of every reply are made anew when the server changes them."""
    connected = _connected(_app(REPLIES["plain"]), connection_class(ConnectionLimits()))
    async with connected as (reader, writer, state):
        heads = []
        for day in (b"yesterday", b"today"):
            state.default_headers = [(b"date", day)]
            writer.write(b"GET / HTTP/1.1\r\nHost: api\r\n\r\n")
            async with asyncio.timeout(10):
                heads.append(await reader.readuntil(b"ok"))
    assert b"date: yesterday\r\n" in heads[0]
    assert b"date: today\r\n" in heads[1]

"""The load of the benchmarks: bare connections in one event loop, so that the client costs little.

A connection sends its next request once the last is answered; every answer must be a 200.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from functools import partial
from typing import TYPE_CHECKING, Final, Self, cast

import uvloop

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from testbed_domain.artefact import Artefact

CONNECTIONS: Final = 32


def prediction_request(artefact: Artefact) -> bytes:
    """The bytes of one POST /predict with the example row of the artefact's schema."""
    row = {feature.name: feature.example for feature in artefact.schema.features}
    body = json.dumps(row).encode()
    return (
        b"POST /predict HTTP/1.1\r\nHost: api\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body)
    ) + body


class Client:
    """One connection that sends one request after the other."""

    def __init__(self, port: int, request: bytes) -> None:
        self._port = port
        self._request = request

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def send(self) -> float:
        """Seconds until the answer, which must be 200."""
        started = time.perf_counter()
        self._writer.write(self._request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await self._reader.readexactly(int(length))
        assert head.startswith(b"HTTP/1.1 200"), head
        return time.perf_counter() - started


class _Sender(asyncio.Protocol):
    """One connection that takes requests from those left, at a fraction of what streams cost."""

    def __init__(self, request: bytes, left: Iterator[int]) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = request
        self._left = left
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._received[:end].lower()
        length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if len(self._received) - end - 4 < int(length):
            return
        self._received = b""
        if head.startswith(b"http/1.1 200"):
            self._next()
        else:
            self._end(AssertionError(head))

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or ConnectionResetError("closed by the server"))

    def _next(self) -> None:
        if next(self._left, None) is None:
            self._end(None)
        else:
            self._transport.write(self._request)

    def _end(self, error: Exception | None) -> None:
        if not self.done.done():
            if error is None:
                self.done.set_result(None)
            else:
                self.done.set_exception(error)
            self._transport.close()


def rate(port: int, request: bytes, count: int, connections: int = CONNECTIONS) -> float:
    """Send ``count`` requests, each as soon as a connection is free; answers per second."""

    async def play() -> float:
        loop, left = asyncio.get_running_loop(), iter(range(count))
        started = time.perf_counter()
        made = [
            await loop.create_connection(partial(_Sender, request, left), "127.0.0.1", port)
            for _ in range(connections)
        ]
        await asyncio.gather(*(sender.done for _, sender in made))
        return count / (time.perf_counter() - started)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(play())


def spread(figures: Iterable[float]) -> dict[str, float]:
    """Median, worst (lowest) and best of figures of which more is better."""
    found = sorted(figures)
    return {
        "median": round(statistics.median(found), 3),
        "worst": round(found[0], 3),
        "best": round(found[-1], 3),
    }

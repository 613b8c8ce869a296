"""Load whose latencies are kept: bare connections, each sends its next request with the answer."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

import uvloop

CONNECTIONS: Final = 32


@dataclass(frozen=True, slots=True)
class Round:
    """What one round of load saw.

    Attributes:
        rate: answers per second.
        latencies: seconds until each answer, sorted.
    """

    rate: float
    latencies: list[float]

    def quantile(self, ratio: float) -> float:
        """Seconds within which that share of the answers came."""
        return self.latencies[min(int(ratio * len(self.latencies)), len(self.latencies) - 1)]


class _Sender(asyncio.Protocol):
    """One connection; it does as little per answer as it can."""

    def __init__(self, request: bytes, count: int, latencies: list[float]) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = request
        self._left = count
        self._latencies = latencies
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's has another base
        self._send()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if not end or len(body) < int(length):
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self._end(AssertionError(self._received))
            return
        self._latencies.append(time.perf_counter() - self._sent)
        self._received = b""
        self._left -= 1
        if self._left:
            self._send()
        else:
            self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or ConnectionResetError("closed by the server"))

    def _end(self, error: BaseException | None) -> None:
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)
        self._transport.close()


def play(port: int, request: bytes, count: int) -> Round:
    """Send ``count`` requests over all connections; every answer must be a 200."""
    latencies: list[float] = []

    async def all_of_them() -> float:
        loop = asyncio.get_running_loop()
        made = partial(_Sender, request, count // CONNECTIONS, latencies)
        started = time.perf_counter()
        senders = [
            (await loop.create_connection(made, "127.0.0.1", port))[1] for _ in range(CONNECTIONS)
        ]
        await asyncio.gather(*(sender.done for sender in senders))
        return time.perf_counter() - started

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        seconds = runner.run(all_of_them())
    return Round(len(latencies) / seconds, sorted(latencies))

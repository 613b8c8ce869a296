"""The load of the benchmarks: bare connections in one event loop, so that the client costs little.

All requests of a connection go one after the other; every answer must be a 200.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

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


def rate(port: int, request: bytes, count: int, connections: int = CONNECTIONS) -> float:
    """Send ``count`` requests, as many over each connection; how many per second were answered."""
    share, left = divmod(count, connections)
    assert not left, f"{connections} connections can't share {count} requests evenly"

    async def one() -> None:
        async with Client(port, request) as client:
            for _ in range(share):
                await client.send()

    async def all_of_them() -> None:
        await asyncio.gather(*(one() for _ in range(connections)))

    started = time.perf_counter()
    asyncio.run(all_of_them())
    return count / (time.perf_counter() - started)


def spread(figures: Iterable[float]) -> dict[str, float]:
    """Median, worst (lowest) and best of figures of which more is better."""
    found = sorted(figures)
    return {
        "median": round(statistics.median(found), 3),
        "worst": round(found[0], 3),
        "best": round(found[-1], 3),
    }

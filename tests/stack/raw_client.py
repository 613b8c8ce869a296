"""A fast raw HTTP client that knows exactly which requests were answered and which were lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field


def prediction_request(row: dict[str, object], *, close: bool = False) -> bytes:
    """The bytes of one POST /predict."""
    body = json.dumps(row).encode()
    end = b"Connection: close\r\n" if close else b""
    head = b"POST /predict HTTP/1.1\r\nHost: api\r\nContent-Type: application/json\r\n%s"
    return (head + b"Content-Length: %d\r\n\r\n") % (end, len(body)) + body


@dataclass
class Ledger:
    """What became of all requests.

    Attributes:
        answered: prediction ids of answers with 200.
        statuses: of all other answers.
        lost: how requests ended that got no answer.
    """

    answered: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    sent: int = 0


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes, ledger: Ledger
) -> bool:
    """Send one request; whether the connection may be used again."""
    ledger.sent += 1
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    body = await reader.readexactly(length)
    status = int(head.split(b" ", 2)[1])
    if status == 200:
        ledger.answered.append(json.loads(body)["prediction_id"])
    else:
        ledger.statuses.append(status)
    return b"connection: close" not in head


async def send_steadily(
    port: int,
    request: bytes,
    ledger: Ledger,
    stop: asyncio.Event,
    *,
    interval: float,
    keep_alive: bool = True,
) -> None:
    """Send a request every ``interval`` seconds until asked to stop, as a careful client does.

    A connection that the server has closed, or has said to close, is not used again.
    """
    loop = asyncio.get_running_loop()
    due = loop.time()
    pair: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    while not stop.is_set():
        try:
            if pair is not None and pair[0].at_eof():
                pair[1].close()
                pair = None
            if pair is None:
                pair = await asyncio.open_connection("127.0.0.1", port)
            if not await _exchange(*pair, request, ledger) or not keep_alive:
                pair[1].close()
                pair = None
        except (OSError, asyncio.IncompleteReadError) as error:
            ledger.lost.append(repr(error))
            if pair is not None:
                pair[1].close()
            pair = None
        due = max(due + interval, loop.time())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), due - loop.time() or 0.0001)
    if pair is not None:
        pair[1].close()

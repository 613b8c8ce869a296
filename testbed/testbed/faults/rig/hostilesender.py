"""Sends requests that nobody wants beside the load's, and writes down what became of each.

A program of its own, so that a runner that is busy holds nothing back. It ends by SIGINT or
SIGTERM, once its open requests have ended; each is a line of the file, in the terms of the truth.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, Final, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping

PATH: Final = "/predict"
JSON: Final = "application/json"
OVERSIZE: Final = 512 * 1024
"""Bytes of a body that is too large; less is sent once the answer is there."""

DEPTH: Final = 20_000
SLOW_SECONDS: Final = 0.8
"""Seconds that a body takes which comes byte by byte: less than makes an answer a slow one."""

TIMEOUT: Final = 5.0
REFUSED_KEY: Final = "tbk_expired-or-never-valid-0000000000000000"
"""Of the form of a key, and nobody's."""

BODIES: Final[Mapping[str, tuple[bytes, str]]] = {
    "bad-json": (b'{"a": 1,, "b"', JSON),
    "oversize": (b'{"a": "' + b"x" * OVERSIZE + b'"}', JSON),
    "wrong-type": (b"a=1&b=two", "application/x-www-form-urlencoded"),
    "deep": (b"[" * DEPTH, JSON),
    "unknown-field": (b'{"no such column": 1}', JSON),
    "slow": (b'{"slow": ', JSON),
    "wrong-key": (b'{"no such column": 1}', JSON),
    "no-key": (b'{"no such column": 1}', JSON),
}
"""Kind to its body and the type that it is said to have; none of them is a prediction's."""


def head(kind: str, number: int, key: str | None) -> bytes:
    """The head of a request.

    Args:
        kind: of the request.
        number: of the request, from 0.
        key: that the load has; None where the service demands none.
    """
    body, media = BODIES[kind]
    if kind == "wrong-key":
        key = REFUSED_KEY
    elif kind == "no-key":
        key = None
    lines = [
        f"POST {PATH} HTTP/1.1",
        "Host: testbed",
        "Connection: close",
        f"X-Request-ID: hostile-{number}",
        f"Content-Type: {media}",
        f"Content-Length: {len(body)}",
        *([] if key is None else [f"X-API-Key: {key}"]),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


async def ask(address: str, kind: str, number: int, key: str | None) -> dict[str, Any]:
    """Send one request; returns its line."""
    began = time.time()
    status, error = None, None
    try:
        async with asyncio.timeout(TIMEOUT):
            status = await _exchange(address, kind, number, key)
    except TimeoutError:
        error = "timeout"
    except ConnectionRefusedError:
        error = "connection"
    except (OSError, ValueError):
        error = "reset"
    return {
        "request_id": f"hostile-{number}", "phase": "", "kind": kind, "sent_at": began,
        "finished_at": time.time(), "status": status, "error": error,
    }  # fmt: skip


async def _exchange(address: str, kind: str, number: int, key: str | None) -> int:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        sending = asyncio.create_task(_send(writer, kind, head(kind, number, key)))
        try:
            line = await reader.readline()  # may come before all is sent
            return int(line.split()[1])
        except IndexError:
            raise ConnectionResetError from None
        finally:
            sending.cancel()
    finally:
        writer.close()


async def _send(writer: asyncio.StreamWriter, kind: str, first: bytes) -> None:
    body = BODIES[kind][0]
    writer.write(first)
    if kind == "slow":
        for place in range(len(body)):
            await asyncio.sleep(SLOW_SECONDS / len(body))
            writer.write(body[place : place + 1])
    else:
        writer.write(body)
    await writer.drain()


async def send(
    address: str, kinds: list[str], rate: float, key: str | None, file: TextIO, over: asyncio.Event
) -> None:
    """Send one kind after the other at a steady rate until it is over."""
    began, open_requests = time.monotonic(), set[asyncio.Task[None]]()

    async def one(number: int) -> None:
        line = await ask(address, kinds[number % len(kinds)], number, key)
        file.write(json.dumps(line) + "\n")

    for number in itertools.count():
        due = began + number / rate
        try:
            await asyncio.wait_for(over.wait(), max(0.0, due - time.monotonic()))
            break
        except TimeoutError:
            task = asyncio.create_task(one(number))
            open_requests.add(task)
            task.add_done_callback(open_requests.discard)
    await asyncio.gather(*open_requests)


async def main(address: str, kinds: str, rate: str, out: str, key_file: str = "") -> None:
    """Send until a signal says that it is over.

    Args:
        address: host and port of the service.
        kinds: of requests, with commas between.
        rate: requests per second.
        out: file that gets the lines; those of before stay.
        key_file: holds the key of the load.
    """
    over, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    key = None
    if key_file:
        with open(key_file, encoding="utf-8") as holding:  # noqa: ASYNC230, PTH123 - once, before all
            key = holding.read().strip()
    with open(out, "a", encoding="utf-8") as file:  # noqa: ASYNC230, PTH123 - short lines
        await send(address, kinds.split(","), float(rate), key, file, over)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

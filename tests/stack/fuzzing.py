"""Seeded bad requests over raw sockets: malformed, huge, deep, slow and cut off."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from dataclasses import dataclass, field
from random import Random

DEADLINE = 30.0


@dataclass
class Outcome:
    """What came back: statuses, and how many connections were closed without an answer."""

    statuses: Counter[int] = field(default_factory=Counter)
    silent: int = 0


def _http(
    body: bytes, *headers: bytes, target: bytes = b"/predict", verb: bytes = b"POST"
) -> bytes:
    length = (
        b""
        if any(b"ontent-Length" in h or b"ransfer" in h for h in headers)
        else (b"Content-Length: %d" % len(body))
    )
    lines = [verb + b" " + target + b" HTTP/1.1", b"Host: api", *headers, length]
    return b"\r\n".join(line for line in lines if line) + b"\r\n\r\n" + body


def bad_request(random: Random, row: dict[str, object]) -> bytes:
    """One request that is wrong in some way, or, at times, right."""
    good = json.dumps(row).encode()
    name = random.choice(list(row))
    junk = random.randbytes(random.randrange(1, 400))
    text = b"Content-Type: application/json"
    value = random.choice(
        [b"NaN", b"1e999", b"-Infinity", b"true", b"null", b'"\\ud800"', b"[[]]", b"9" * 5000, junk]
    )
    field_of = json.dumps(name).encode()
    makers = [
        lambda: _http(good, text),
        lambda: _http(good.replace(field_of + b": ", field_of + b": " + value + b", ", 1), text),
        lambda: _http(good[: random.randrange(len(good))], text),
        lambda: _http(junk, text),
        lambda: _http(b"[" * random.randrange(1, 60_000), text),
        lambda: _http(b'{"a":' * random.randrange(1, 12_000), text),
        lambda: _http(b" " * random.randrange(60_000, 200_000), text),
        lambda: _http(good, b"Content-Type: " + random.choice([b"text/plain", b"x", b"\xff\xfe"])),
        lambda: _http(good, text, target=b"/" + junk.hex().encode()),
        lambda: _http(good, text, target=b"/predict?" + junk.hex().encode() * 20),
        lambda: _http(b"", target=b"/%ff%00/..//predict", verb=b"GET"),
        lambda: _http(good, text, verb=random.choice([b"BREW", b"DELETE", b"OPTIONS", b"HEAD"])),
        lambda: _http(good, text, b"X-Request-ID: " + b"i" * random.randrange(1, 5000)),
        lambda: _http(good, text, *[b"X-%d: y" % each for each in range(random.randrange(500))]),
        lambda: _http(good, text, b"X: " + b"y" * random.randrange(100_000, 200_000)),
        lambda: _http(good, text, b"Content-Length: 5", b"Content-Length: 9"),
        lambda: _http(good, text, b"Content-Length: -1"),
        lambda: _http(good, text, b"Content-Length: 99999999999"),
        lambda: _http(b"zz\r\n" + junk, text, b"Transfer-Encoding: chunked"),
        lambda: _http(b"5\r\nabcde\r\n0\r\n\r\n", text, b"Transfer-Encoding: chunked"),
        lambda: junk,
        lambda: junk + b"\r\n\r\n",
        lambda: b"\x16\x03\x01" + junk,
        lambda: _http(json.dumps({"labels": [{"prediction_id": "a", "label": 1}] * 500}).encode(),
                      text, target=b"/labels"),
        lambda: _http(junk, text, target=b"/labels"),
        lambda: _http(good, text) * 5,
    ]  # fmt: skip
    return random.choice(makers)()


async def _one(port: int, random: Random, row: dict[str, object], outcome: Outcome) -> None:
    request = bad_request(random, row)
    how = random.random()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        outcome.silent += 1
        return
    try:
        if how < 0.1:  # cut off: gone in the middle, without a look at the answer
            writer.write(request[: random.randrange(len(request))])
            if random.random() < 0.5:
                writer.transport.abort()
            return
        if how < 0.15:  # slow: byte by byte for a while
            for byte in request[:50]:
                writer.write(bytes([byte]))
                await asyncio.sleep(0)
            request = request[50:]
        writer.write(request)
        if random.random() < 0.5 and writer.can_write_eof():
            writer.write_eof()
        await _read(reader, outcome)
    except OSError:
        outcome.silent += 1
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _read(reader: asyncio.StreamReader, outcome: Outcome) -> None:
    """Take the first answer, where there is one."""
    try:
        async with asyncio.timeout(0.25):
            line = await reader.readline()
    except TimeoutError:  # the server waits for the rest: that is its right, for a while
        outcome.silent += 1
        return
    if line.startswith(b"HTTP/1.1 "):
        outcome.statuses[int(line.split()[1])] += 1
    else:
        outcome.silent += 1


async def fuzz(
    port: int, row: dict[str, object], seed: int, count: int, users: int = 16
) -> Outcome:
    """Send ``count`` bad requests over connections of their own, ``users`` at a time."""
    outcome = Outcome()

    async def user(number: int) -> None:
        random = Random(seed * 1000 + number)  # noqa: S311 - repeatable on purpose
        for _ in range(count // users):
            async with asyncio.timeout(DEADLINE):
                await _one(port, random, row, outcome)

    await asyncio.gather(*(user(number) for number in range(users)))
    return outcome

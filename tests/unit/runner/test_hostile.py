"""Hostile requests: what is sent beside the load, and the record of it."""

from __future__ import annotations

import asyncio
import io
import json
from typing import TYPE_CHECKING

from testbed.faults.rig.hostilesender import BODIES, REFUSED_KEY, head, send
from testbed.truth import OTHERS, read_truth

if TYPE_CHECKING:
    from pathlib import Path

KEY = "the load's"


async def played(seen: list[bytes], kinds: list[str], file: io.StringIO) -> None:
    """Send until each kind had its turn, to a server that refuses all."""
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readuntil(b"\r\n\r\n")
        seen.append(first)
        if len(seen) >= len(kinds):
            over.set()
        writer.write(b"HTTP/1.1 422 Unprocessable Content\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        await send(f"127.0.0.1:{port}", kinds, 50.0, KEY, file, over)


def test_each_kind_has_its_turn_and_its_line(tmp_path: Path) -> None:
    """The lines are read as requests beside those of the load."""
    seen: list[bytes] = []
    file = io.StringIO()
    kinds = list(BODIES)
    asyncio.run(played(seen, kinds, file))
    lines = [json.loads(line) for line in file.getvalue().splitlines()]
    assert {line["kind"] for line in lines} >= set(kinds)
    assert {line["status"] for line in lines} == {422}
    (tmp_path / OTHERS).write_text(file.getvalue())
    truth = read_truth(tmp_path)
    assert len(truth.others) == len(truth.all_requests) == len(lines)
    assert not truth.requests
    assert all(each.finished_at >= each.sent_at for each in truth.others)


def test_nobody_there_has_a_line_too() -> None:
    """With what went wrong, as the load's own have."""
    file = io.StringIO()

    async def one() -> None:
        over = asyncio.Event()
        asyncio.get_running_loop().call_later(0.2, over.set)
        await send("127.0.0.1:1", ["deep"], 20.0, None, file, over)

    asyncio.run(one())
    line = json.loads(file.getvalue().splitlines()[0])
    assert (line["status"], line["error"]) == (None, "connection")


def test_keys_are_the_loads_none_or_wrong() -> None:
    """As the kind says."""
    assert f"X-API-Key: {KEY}".encode() in head("deep", 0, KEY)
    assert f"X-API-Key: {REFUSED_KEY}".encode() in head("wrong-key", 0, KEY)
    assert b"X-API-Key" not in head("no-key", 0, KEY)
    assert b"X-API-Key" not in head("deep", 0, None)

"""One caller can't hurt the others: hostile requests against the API as a process, on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.apiprocess import api_processes
from tests.support.polling import PATIENCE, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed_domain.artefact import Artefact

HERE = Path(__file__).parent
NDJSON = "application/x-ndjson"
# What the issue of this test allows: the loop's longest work, the slowest /health/live.
BLOCKED, SLOWEST = 0.05, 0.1
# Another try where other programs had the processor: the best one of each measure counts.
TRIES = 12
# An attack may get these; it is too slow itself (408) where the machine stands still.
STATUSES = {0, 200, 408, 413, 422, 431}
TIMEOUT = 60.0
IDLE, SLOW = 500, 60
BITE, BITES = 0.02, 60


def _post(path: str, body: bytes, media: str = "application/json", *headers: str) -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: api",
        f"Content-Type: {media}",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _wide(count: int) -> bytes:
    return b"{" + b",".join(b'"%d":0' % number for number in range(count)) + b"}"


def _stream(line: bytes, count: int) -> bytes:
    return _post("/predict/stream", line * count, NDJSON)


def _batch(body: bytes) -> bytes:
    return _post("/predict/batch", body)


def _chunked(chunk: bytes, count: int) -> bytes:
    head = f"POST /predict/stream HTTP/1.1\r\nHost: api\r\nContent-Type: {NDJSON}\r\n"
    return head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * count + b"0\r\n\r\n"


# Each: the bytes of one connection, and how many connections there are.
ATTACKS: dict[str, tuple[Callable[[], bytes], int]] = {
    "wrong lines": (lambda: _stream(b"[]\n", 30_000), 2),
    "empty lines": (lambda: _stream(b"\n", 500_000), 2),
    "a line without end": (lambda: _stream(b"x", 20_000_000), 2),
    "lines of many columns": (lambda: _stream(_wide(11_000) + b"\n", 20), 2),
    "lines of lists": (lambda: _stream(b"[" + b"[]," * 40_000 + b"0]\n", 20), 2),
    "lines of escapes": (lambda: _stream(b'{"a":"' + b"\\u0041" * 20_000 + b'"}\n', 20), 2),
    "two million values": (lambda: _batch(b'{"columns":{"a":[%s0]}}' % (b"0," * 2_000_000)), 4),
    "many columns": (lambda: _batch(b'{"columns":{%s}}' % _wide(300_000)[1:-1]), 4),
    "rows that are lists": (lambda: _batch(b'{"records":[%s0]}' % (b"[]," * 1_300_000)), 4),
    "empty rows": (lambda: _batch(b'{"records":[%s{}]}' % (b"{}," * 999)), 8),
    "rows of escapes": (
        lambda: _batch(b'{"records":[%s{}]}' % ((b'{"a":"%s"},' % (b"\\u0041" * 600)) * 999)),
        4,
    ),
    "a text without end": (lambda: _batch(b'{"records":["%s"]}' % (b"\\u0041" * 690_000)), 4),
    "brackets without end": (lambda: _batch(b"[" * 4_000_000), 4),
    "long numbers": (lambda: _batch(b'{"columns":{"a":[%s0]}}' % ((b"9" * 4300 + b",") * 900)), 4),
    "many columns in a row": (lambda: _post("/predict", _wide(11_000)), 16),
    "lists in a row": (lambda: _post("/predict", b"[" + b"[]," * 40_000 + b"0]"), 16),
    "many columns in labels": (lambda: _post("/labels", _wide(11_000)), 16),
    "empty labels": (lambda: _post("/labels", b'{"labels":[%s{}]}' % (b"{}," * 999)), 16),
    "chunks of one byte": (lambda: _chunked(b"1\r\na\r\n", 60_000), 4),
    "pipelined requests": (lambda: b"GET / HTTP/1.1\r\n\r\n" * 2000, 4),
    "many headers": (lambda: b"GET / HTTP/1.1\r\n%s\r\n" % (b"a:\r\n" * 15_000), 16),
}


class Watched:
    """A running API, the watchdog of its event loop, and a probe of ``/health/live``."""

    def __init__(self, api: Any, file: Path) -> None:  # noqa: ANN401 - made by a fixture
        self.api = api
        self._file = file

    @contextlib.contextmanager
    def measured(self) -> Iterator[list[float]]:
        """After the block: the loop's longest work, and the slowest answer, in seconds."""
        self._file.unlink(missing_ok=True)
        found: list[float] = []
        probe = subprocess.Popen(
            [sys.executable, HERE / "probe.py", str(self.api.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert probe.stdout is not None
        try:
            assert probe.stdout.readline() == "ready\n"
            yield found
        finally:
            output, _ = probe.communicate("", timeout=TIMEOUT)
        wait_for(self._file.exists, what="the loop does not turn")
        found += [float(self._file.read_text()), float(output)]


@contextlib.contextmanager
def _watched(artefact: Artefact, folder: Path, **settings: str) -> Iterator[Watched]:
    """A watched API with settings."""
    file = folder / "longest"
    environment = {f"TESTBED_API_{name.upper()}": value for name, value in settings.items()}
    program = (str(HERE / "watched_api.py"), str(file))
    log_url = f"sqlite:///{folder / 'log.db'}"
    with api_processes(folder) as start:
        api = start(artefact.path, log_url=log_url, environment=environment, program=program)
        yield Watched(api, file)


@pytest.fixture(scope="module")
def attacked(
    small_artefact: Artefact, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    """The API that takes one attack after the other, and must still serve after each."""
    folder = tmp_path_factory.mktemp("attacked")
    # A client that sends no end of its connection is let go soon.
    limits = {"body_seconds": "2", "head_seconds": "2", "write_seconds": "2"}
    with _watched(small_artefact, folder, **limits) as watched:
        yield watched


async def _send(port: int, request: bytes) -> int:
    """Send a request, read its answer to the end; the status, 0 where there is none."""
    async with asyncio.timeout(TIMEOUT):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            sending = asyncio.ensure_future(_write(writer, request))
            status = 0
            with contextlib.suppress(OSError):
                line = await reader.readline()
                status = int(line.split()[1]) if line else 0
                writer.write_eof()
                while await reader.read(1 << 16):
                    pass
            await sending
            return status
        finally:
            writer.close()


async def _write(writer: asyncio.StreamWriter, request: bytes) -> None:
    with contextlib.suppress(OSError):
        writer.write(request)
        await writer.drain()


async def _attack(port: int, request: bytes, connections: int) -> list[int]:
    return await asyncio.gather(*(_send(port, request) for _ in range(connections)))


@pytest.mark.parametrize("name", ATTACKS)
def test_nobody_else_waits(attacked: Watched, name: str) -> None:
    """The event loop is never at work for long, so /health/live answers at once."""
    make, connections = ATTACKS[name]
    request = make()
    blocked = slowest = math.inf
    for _ in range(TRIES):
        with attacked.measured() as found:
            statuses = asyncio.run(_attack(attacked.api.port, request, connections))
        assert set(statuses) <= STATUSES
        blocked, slowest = min(blocked, found[0]), min(slowest, found[1])
        if blocked < BLOCKED and slowest < SLOWEST:
            break
    assert (blocked < BLOCKED, slowest < SLOWEST) == (True, True), (blocked, slowest)
    assert attacked.api.process.poll() is None
    assert "Traceback" not in attacked.api.output.read_text()


def test_many_connections_are_served_in_turns(attacked: Watched) -> None:
    """Whoever comes waits for those before, but the loop looks around between them."""
    for _ in range(TRIES):
        with attacked.measured() as found:
            statuses = asyncio.run(_attack(attacked.api.port, b"GET / HTTP/1.1\r\n\r\n", 400))
        assert set(statuses) <= {0, 200, 404, 408}
        if found[0] < BLOCKED:
            break
    assert found[0] < BLOCKED


async def _read_slowly(port: int, request: bytes) -> int:
    """Take some of the answer in small bites, slower than it comes, and leave; its status."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # so that the server feels it
    client.settimeout(0)
    loop, taken = asyncio.get_running_loop(), b""
    with client, contextlib.suppress(OSError):
        await loop.sock_connect(client, ("127.0.0.1", port))
        await loop.sock_sendall(client, request)
        for _ in range(BITES):
            taken += await loop.sock_recv(client, 512)
            await asyncio.sleep(BITE)  # the pace of the attack, nothing waits for it
    return int(taken.split()[1]) if taken else 0


async def _idle_and_slow(port: int, request: bytes) -> list[int]:
    """Many connections that say nothing, and meanwhile some that hardly read."""
    idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(IDLE)]
    try:
        async with asyncio.timeout(TIMEOUT):
            return await asyncio.gather(*(_read_slowly(port, request) for _ in range(SLOW)))
    finally:
        for _, writer in idle:
            writer.close()


def test_idle_connections_and_slow_readers_hold_up_nobody(
    attacked: Watched, small_artefact: Artefact
) -> None:
    """Replies that nobody takes wait aside; who comes while too many rows wait is turned away."""
    row = {feature.name: feature.example for feature in small_artefact.schema.features}
    body = json.dumps({"records": [row] * 300}).encode()
    request = _post("/predict/batch", body, "application/json", "Connection: close")
    blocked = slowest = math.inf
    answered = False
    for _ in range(TRIES):
        with attacked.measured() as found:
            statuses = asyncio.run(_idle_and_slow(attacked.api.port, request))
        # Readers that the machine holds up for too long are cut off.
        assert set(statuses) <= {200, 503, 0, 408}
        answered = answered or (set(statuses) <= {200, 503} and 200 in statuses)
        blocked, slowest = min(blocked, found[0]), min(slowest, found[1])
        if answered and blocked < BLOCKED and slowest < SLOWEST:
            break
    assert (blocked < BLOCKED, slowest < SLOWEST) == (True, True), (blocked, slowest)
    assert answered, statuses
    assert "Traceback" not in attacked.api.output.read_text()


@pytest.mark.parametrize("line", [b"[]\n", b"\n"], ids=["wrong", "empty"])
def test_end_comes_in_time_whatever_is_being_answered(
    small_artefact: Artefact, tmp_path: Path, line: bytes
) -> None:
    """Who streams for minutes is cut off when the time for open requests is over."""
    request = _stream(line, 9_000_000 // len(line))

    async def attack(watched: Watched) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", watched.api.port)
        writer.write(request)
        await writer.drain()
        if line.strip():
            assert await reader.readline()
        watched.api.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(OSError):
            while await reader.read(1 << 16):
                pass
        writer.close()

    with _watched(small_artefact, tmp_path, shutdown_seconds="1") as watched:
        asyncio.run(attack(watched))
        # 0 is the end in time: whatever holds it up longer is ended with another code.
        assert watched.api.process.wait(PATIENCE) == 0, watched.api.output.read_text()

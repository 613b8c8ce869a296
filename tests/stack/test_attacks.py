"""One caller can't hurt the others: hostile requests against the API as a process, on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed_domain.artefact import Artefact

HERE = Path(__file__).parent
NDJSON = "application/x-ndjson"
# What the issue of this test allows: the loop's longest work, the slowest /health/live.
BLOCKED, SLOWEST = 0.05, 0.1
# Another try where other programs had the processor.
TRIES = 3
TIMEOUT = 60.0


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
        found += [float(self._file.read_text()), float(output)]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the watchdog writes."""
    return tmp_path_factory.mktemp("watchdog") / "longest"


@pytest.fixture
def start(
    small_artefact: Artefact, start_api: Callable[..., Any], tmp_path: Path, file: Path
) -> Callable[..., Watched]:
    """Starts a watched API with settings."""

    def started(**settings: str) -> Watched:
        environment = {f"TESTBED_API_{name.upper()}": value for name, value in settings.items()}
        program = (str(HERE / "watched_api.py"), str(file))
        log_url = f"sqlite:///{tmp_path / 'log.db'}"
        api = start_api(
            small_artefact.path, log_url=log_url, environment=environment, program=program
        )
        return Watched(api, file)

    return started


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
def test_nobody_else_waits(start: Callable[..., Watched], name: str) -> None:
    """The event loop is never at work for long, so /health/live answers at once."""
    make, connections = ATTACKS[name]
    request = make()
    # A client that sends no end of its connection is let go soon.
    watched = start(body_seconds="2", head_seconds="2", write_seconds="2")
    for _ in range(TRIES):
        with watched.measured() as found:
            statuses = asyncio.run(_attack(watched.api.port, request, connections))
        assert set(statuses) <= {0, 200, 413, 422, 431}
        blocked, slowest = found
        if blocked < BLOCKED and slowest < SLOWEST:
            break
    assert (blocked < BLOCKED, slowest < SLOWEST) == (True, True), found
    assert "Traceback" not in watched.api.output.read_text()


@pytest.mark.parametrize("line", [b"[]\n", b"\n"], ids=["wrong", "empty"])
def test_end_comes_in_time_whatever_is_being_answered(
    start: Callable[..., Watched], line: bytes
) -> None:
    """Who streams for minutes is cut off when the time for open requests is over."""
    watched = start(shutdown_seconds="1")
    request = _stream(line, 9_000_000 // len(line))

    async def attack() -> None:
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

    asyncio.run(attack())
    # The deadline, closing, and the slowness of a busy machine; far below what is to be answered.
    assert watched.api.process.wait(20) == 0, watched.api.output.read_text()

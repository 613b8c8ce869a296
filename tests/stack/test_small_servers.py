"""The receiver as a process, against clients that are slow, many or lie."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

from tests.support.polling import answers, wait_for
from tests.support.ports import free_port
from tests.support.processes import end

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAM = """
import sys
from testbed_receiver.__main__ import main
from testbed_domain.boundedconnections import Bounds
bounds = Bounds(request_seconds=1.0, answer_seconds=1.0, connections=20)
sys.exit(main(sys.argv[1:], bounds))
"""
TIMEOUT = 60.0
SPAN = (
    b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":%s,'
    b'"endTimeUnixNano":1,"traceId":"","spanId":""}]}]}]}'
)


class Receiver:
    """A running receiver with short limits."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.output = folder / "receiver.log"
        files = ("--out", "n.jsonl", "--traces", "t.jsonl", "--log-records", "l.jsonl")
        command = [sys.executable, "-c", PROGRAM, "--port", str(self.port), *files]
        with self.output.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)

    def answers(self) -> None:
        """It does, within some time."""
        url = f"http://127.0.0.1:{self.port}/health/ready"
        wait_for(lambda: answers(url), TIMEOUT, self.output.read_text, self.process)

    def connect(self, first: bytes = b"") -> socket.socket:
        """A connection that has sent some bytes."""
        client = socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT)
        client.sendall(first)
        return client

    def post(self, path: str, body: bytes) -> int:
        """Status of the answer to a POST, which may have to wait until others are let go."""
        url = f"http://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(url, body)
        found: list[int] = []

        def answered() -> bool:
            with contextlib.suppress(OSError):
                try:
                    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310 - of this test
                        found.append(int(answer.status))
                except urllib.error.HTTPError as error:
                    found.append(error.code)
            return bool(found)

        wait_for(answered, TIMEOUT, "no answer", self.process)
        return found[0]


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """A receiver that all of these clients meet, one kind after the other."""
    started = Receiver(tmp_path_factory.mktemp("receiver"))
    try:
        started.answers()
        yield started
    finally:
        end(started.process)


def _ends(client: socket.socket) -> bool:
    """Whether the server ends the connection, whatever it says before."""
    try:
        while client.recv(1 << 16):
            pass
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    return True


HOST = b"HTTP/1.1\r\nHost: localhost\r\n"
STANDSTILLS = {
    "nothing": b"",
    "a head": b"GET / " + HOST,
    "body of a GET": b"GET / " + HOST + b"Content-Length: 10\r\n\r\n",
    "body": b"POST /notifications " + HOST + b"Content-Length: 10\r\n\r\n{",
    "chunk": b"POST /notifications " + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
    "HTTP 2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "websocket": b"GET / "
    + HOST
    + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
}


@pytest.mark.parametrize("first", STANDSTILLS.values(), ids=STANDSTILLS)
def test_who_stands_still_is_cut_off(receiver: Receiver, first: bytes) -> None:
    """Before, within and after a request."""
    with receiver.connect(first) as client:
        assert _ends(client)
    receiver.answers()


def test_a_dripping_head_is_cut_off(receiver: Receiver) -> None:
    """Time counts from its beginning, not from its last byte."""
    with receiver.connect(b"GET / HTTP/1.1\r\n") as client:
        client.settimeout(0.2)
        began = time.monotonic()
        ended = False
        while not ended and time.monotonic() - began < TIMEOUT:
            try:
                client.sendall(b"a: b\r\n")
                ended = client.recv(1 << 16) == b""
            except TimeoutError:
                continue
            except OSError:
                ended = True
        assert ended


def test_a_head_without_end_is_refused(receiver: Receiver) -> None:
    """Far below what would hurt."""
    with receiver.connect() as client, contextlib.suppress(OSError):
        for _ in range(1000):
            client.sendall(b"a" * 16_000)
        pytest.fail("16 MB of a head were taken")
    receiver.answers()


def test_who_does_not_read_is_cut_off(receiver: Receiver) -> None:
    """An answer that nobody takes is let go."""
    alert = {
        "status": "firing",
        "labels": {"alertname": "A"},
        "annotations": {"summary": "x" * 10_000},
        "startsAt": "2023-11-14T22:13:10Z",
    }
    # In parts: a request that takes too long to come is cut off, too.
    webhook = {"version": "4", "groupKey": "g", "receiver": "r", "alerts": [alert] * 50}
    for _ in range(20):
        assert receiver.post("/notifications", json.dumps(webhook).encode()) == 200
    clients = [receiver.connect(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n") for _ in range(19)]
    try:
        receiver.answers()
    finally:
        for client in clients:
            client.close()


def test_many_connections_keep_nobody_out_for_long(receiver: Receiver) -> None:
    """One too many is closed at once, and those that do nothing soon."""
    clients = [receiver.connect() for _ in range(100)]
    try:
        receiver.answers()
    finally:
        for client in clients:
            client.close()


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"resourceSpans":' + b"[" * 5000 + b"]" * 5000 + b"}",
        SPAN % b"1e999",
        SPAN % (b"9" * 4000),
        SPAN % b"NaN",
        b"\xff\xfe\x00",
    ],
    ids=["brackets", "lists", "infinity", "digits", "not a number", "bytes"],
)
def test_hostile_exports_are_refused(receiver: Receiver, body: bytes) -> None:
    """With 400 and without a traceback."""
    assert receiver.post("/v1/traces", body) == 400
    assert receiver.post("/v1/logs", body) == 400
    assert receiver.post("/notifications", body) == 400
    assert "Traceback" not in receiver.output.read_text()

"""The gate before a receiver of OTLP."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import httpx
import pytest
from testbed.stack.gate import Gate

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Receiver(HTTPServer):
    """Keeps path, encoding and body of what came."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str | None, bytes]] = []
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, self.headers["Content-Encoding"], body))
        self.send_response(202)
        self.send_header("Content-Type", "application/x-protobuf")
        self.end_headers()
        self.wfile.write(b"taken")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        pass


@pytest.fixture
def receiver() -> Iterator[_Receiver]:
    """One that lives."""
    server = _Receiver()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def gate(receiver: _Receiver) -> Iterator[Gate]:
    """A gate before it."""
    made = Gate(f"127.0.0.1:{receiver.server_port}")
    yield made
    made.close()


def test_an_open_gate_changes_nothing(gate: Gate, receiver: _Receiver) -> None:
    """Path, encoding and body arrive, and the answer comes back."""
    headers = {"Content-Encoding": "gzip"}
    with httpx.Client() as client:
        for body in (b"\x00one", b"two"):
            url = f"http://{gate.address}/v1/metrics?a=1"
            reply = client.post(url, content=body, headers=headers)
            assert (reply.status_code, reply.content) == (202, b"taken")
            assert reply.headers["Content-Type"] == "application/x-protobuf"
    assert receiver.got == [
        ("/v1/metrics?a=1", "gzip", b"\x00one"),
        ("/v1/metrics?a=1", "gzip", b"two"),
    ]


def test_a_shut_gate_answers_itself_until_it_is_opened(gate: Gate, receiver: _Receiver) -> None:
    """Nothing passes meanwhile."""
    gate.shut(400)
    assert httpx.post(f"http://{gate.address}/v1/metrics", content=b"x").status_code == 400
    assert receiver.got == []
    gate.open()
    assert httpx.post(f"http://{gate.address}/v1/metrics", content=b"x").status_code == 202


def test_a_receiver_that_is_away_is_to_be_tried_again(unused_port: int) -> None:
    """Senders retry a 503, as they do where nobody listens."""
    gate = Gate(f"127.0.0.1:{unused_port}")
    try:
        assert httpx.post(f"http://{gate.address}/v1/metrics", content=b"x").status_code == 503
    finally:
        gate.close()

"""Connections to the API as a process: their number and pace, and a log that is locked."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import sqlite3
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.polling import PATIENCE, wait_for

from .raw_client import prediction_request

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testbed_domain.artefact import Artefact


@pytest.fixture
def row(small_artefact: Artefact) -> dict[str, object]:
    """A row that is right."""
    return {feature.name: feature.example for feature in small_artefact.schema.features}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Where the prediction log lives."""
    return tmp_path / "log.db"


@pytest.fixture
def start(
    small_artefact: Artefact, start_api: Callable[..., Any], database: Path
) -> Callable[..., Any]:
    """Starts the API with settings."""

    def started(**settings: str) -> Any:  # noqa: ANN401 - made by a fixture
        environment = {f"TESTBED_API_{name.upper()}": value for name, value in settings.items()}
        log_url = f"sqlite:///{database}"
        return start_api(small_artefact.path, log_url=log_url, environment=environment)

    return started


def _connect(api: Any, sent: bytes = b"") -> socket.socket:  # noqa: ANN401 - made by a fixture
    client = socket.create_connection(("127.0.0.1", api.port), timeout=30)
    client.sendall(sent)
    return client


def _active(api: Any, route: str) -> float:  # noqa: ANN401 - made by a fixture
    return _shown(api, "http_server_active_requests", route)


def _ended(api: Any, route: str) -> float:  # noqa: ANN401 - made by a fixture
    return _shown(api, "http_server_request_duration_seconds_count", route)


def _shown(api: Any, name: str, route: str) -> float:  # noqa: ANN401 - made by a fixture
    page = httpx.get(f"http://127.0.0.1:{api.management_port}/metrics", timeout=30).text
    lines = [
        line
        for line in page.splitlines()
        if line.startswith(f"{name}{{") and f'http_route="{route}"' in line
    ]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def test_idle_connections_give_way(start: Callable[..., Any], row: dict[str, object]) -> None:
    """Who holds all connections and says nothing keeps nobody out; the oldest goes first."""
    api = start(connections_limit="5")
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(_connect(api)) for _ in range(5)]
        for _ in range(3):
            client = stack.enter_context(_connect(api, prediction_request(row)))
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert [client.recv(1) for client in idle[:3]] == [b""] * 3
    assert "idle ones are closed" in api.output.read_text()


def test_connection_beyond_the_limit_is_refused(
    start: Callable[..., Any], row: dict[str, object]
) -> None:
    """Where all others are at work, a new one gets 503; there is room as soon as one is done."""
    api = start(connections_limit="3", body_seconds="120")
    request = prediction_request(row)
    with contextlib.ExitStack() as stack:
        busy = [stack.enter_context(_connect(api, request[:-1])) for _ in range(3)]
        wait_for(lambda: _active(api, "/predict") == 3, 30, "the requests do not begin")
        with _connect(api) as refused:
            assert refused.recv(4096).startswith(b"HTTP/1.1 503 ")
        for client in busy:
            client.sendall(request[-1:])
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        with _connect(api, request) as client:
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_client_that_takes_no_answer_is_cut_off(start: Callable[..., Any]) -> None:
    """Its request ends, and its connection is free."""
    api = start(write_seconds="1")
    body = b"[]\n" * 120_000
    head = "POST /predict/stream HTTP/1.1\r\nHost: api\r\nContent-Type: application/x-ndjson\r\n"
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(30)
        client.connect(("127.0.0.1", api.port))
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        # Who looks too seldom does not see it at work, but that it has been.
        wait_for(lambda: _ended(api, "/predict/stream") == 1, 60, "the stream does not end")
        assert _active(api, "/predict/stream") == 0
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while part := client.recv(1 << 16):
                received = part
        assert not received.endswith(b"\r\n0\r\n\r\n")


@pytest.mark.parametrize("size", [70_000, 200_000])
def test_long_head_is_refused_however_it_comes(start: Callable[..., Any], size: int) -> None:
    """In one read, too."""
    api = start()
    head = b"GET / HTTP/1.1\r\nHost: api\r\nX: %s\r\n\r\n" % (b"y" * size)
    with _connect(api, head) as client:
        assert client.recv(4096).startswith(b"HTTP/1.1 431 ")
    fits = b"GET / HTTP/1.1\r\nHost: api\r\nX: %s\r\n\r\n" % (b"y" * 60_000)
    with _connect(api, fits) as client:
        assert client.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_locked_log_holds_up_neither_answers_nor_the_end(
    start: Callable[..., Any], database: Path, row: dict[str, object]
) -> None:
    """Predictions and labels get 503 when they are due; SIGTERM ends the process all the same."""
    api = start(deadline="0.5", shutdown_seconds="1")
    base = f"http://127.0.0.1:{api.port}"
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as locker:
        locker.execute("BEGIN IMMEDIATE")
        # Below the half minute for which a connection waits for a lock.
        with httpx.Client(timeout=25) as client:
            for _ in range(2):
                reply = client.post(f"{base}/predict", json=row)
                assert (reply.status_code, reply.headers["Retry-After"]) == (503, "1")
                label = {"prediction_id": "a", "label": 1}
                assert client.post(f"{base}/labels", json=label).status_code == 503
            lines = (json.dumps(row) + "\n") * 3
            media = {"Content-Type": "application/x-ndjson"}
            reply = client.post(f"{base}/predict/stream", content=lines, headers=media)
            statuses = [json.loads(line)["status"] for line in reply.text.splitlines()]
            assert statuses == [503] * 3
        api.process.send_signal(signal.SIGTERM)
        assert api.process.wait(PATIENCE) == 0, api.output.read_text()
        locker.execute("ROLLBACK")
        (count,) = locker.execute("SELECT count(*) FROM predictions").fetchone()
    assert count == 0
    assert "did not close" in api.output.read_text()

"""Strangers at the public port: no input and no pace may break the service or make it grow."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest
from testbed_api.http.keys import digest, new_key

from tests.support.polling import wait_for

from .fuzzing import fuzz

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed_domain.artefact import Artefact

ALLOWED = {200, 400, 401, 404, 405, 408, 413, 415, 422, 431, 503}
EXPECTED = {200, 400, 404, 405, 413, 415, 422, 431}
TRIES = 3
# 100,000 in the long form: TESTBED_FUZZ_REQUESTS=100000.
REQUESTS = int(os.environ.get("TESTBED_FUZZ_REQUESTS", "3000"))


@pytest.fixture
def api(small_artefact: Artefact, start_api: Callable[..., Any], request: Any) -> Any:  # noqa: ANN401 - made by a fixture
    """The API with the settings of the test, and no metrics on the public port."""
    chosen = getattr(request, "param", {})
    environment = {"TESTBED_API_PUBLIC_METRICS": "false", "TESTBED_API_DEADLINE": "120", **chosen}
    keys = request.getfixturevalue("tmp_path") / "keys"
    keys.write_text(f"me {digest(KEY)}\n")
    if "TESTBED_API_KEYS_FILE" in environment:
        environment["TESTBED_API_KEYS_FILE"] = str(keys)
    database = f"sqlite:///{request.getfixturevalue('tmp_path') / 'log.db'}"
    return start_api(small_artefact.path, log_url=database, environment=environment)


@pytest.fixture
def row(small_artefact: Artefact) -> dict[str, object]:
    """A row that is right."""
    return {feature.name: feature.example for feature in small_artefact.schema.features}


def _series(api: Any) -> set[str]:  # noqa: ANN401 - made by a fixture
    page = httpx.get(f"http://127.0.0.1:{api.management_port}/metrics", timeout=30).text
    lines = [line for line in page.splitlines() if not line.startswith("#")]
    return {line.rpartition(" ")[0] for line in lines}


def test_bad_requests_break_nothing_and_leave_nothing(api: Any, row: dict[str, object]) -> None:  # noqa: ANN401 - made by a fixture
    """Every answer is one that is stated; series, memory and files stay as they were."""
    ratio = REQUESTS // 3
    process = psutil.Process(api.process.pid)
    warm = asyncio.run(fuzz(api.port, row, 1, ratio))
    series, memory, files = _series(api), process.memory_info().rss, process.num_fds()
    statuses = warm.statuses
    # Where the machine is so slow that many answers are not waited for, some more are asked for.
    for seed in range(2, 2 + TRIES):
        statuses += asyncio.run(fuzz(api.port, row, seed, REQUESTS - ratio)).statuses
        if set(statuses) >= EXPECTED:
            break
    assert set(statuses) <= ALLOWED, statuses
    assert set(statuses) >= EXPECTED
    # A status that the first third happened not to see makes the series of one more histogram.
    assert len(_series(api) - series) <= 40
    assert process.memory_info().rss - memory < 30e6
    wait_for(lambda: process.num_fds() - files < 40, what="files stay open")
    reply = httpx.post(f"http://127.0.0.1:{api.port}/predict", json=row, timeout=30)
    assert reply.status_code == 200
    assert "Traceback" not in api.output.read_text()


# More than a busy machine takes between a connection and what is sent over it.
SLOW = {"TESTBED_API_HEAD_SECONDS": "2", "TESTBED_API_BODY_SECONDS": "2"}


BEGINNINGS = (
    b"",
    b"POST /pre",
    b"POST /predict HTTP/1.1\r\nHost: api\r\nX: ",
    b"POST /predict HTTP/1.1\r\nHost: api\r\nContent-Length: 50\r\n\r\n{",
)


@pytest.mark.parametrize("api", [SLOW], indirect=True)
def test_slow_clients_are_cut_off(api: Any, row: dict[str, object]) -> None:  # noqa: ANN401 - made by a fixture
    """Whoever does not get on is answered with 408 and let go; the same for a silent one."""
    with contextlib.ExitStack() as stack:
        clients = []
        for start in BEGINNINGS:
            address = ("127.0.0.1", api.port)
            clients.append(stack.enter_context(socket.create_connection(address, timeout=60)))
            clients[-1].sendall(start)
        for client in clients:
            answer = b""
            while part := client.recv(4096):
                answer += part
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert b"connection: close" in answer
    with httpx.Client(timeout=30) as careful:
        url = f"http://127.0.0.1:{api.port}/predict"
        assert [careful.post(url, json=row).status_code for _ in range(3)] == [200] * 3


@pytest.mark.parametrize("api", [SLOW], indirect=True)
def test_idle_connection_between_requests_is_kept(api: Any, row: dict[str, object]) -> None:  # noqa: ANN401 - made by a fixture
    """The limits are for requests that were begun, not for pauses between them."""
    url = f"http://127.0.0.1:{api.port}/predict"
    with httpx.Client(timeout=30) as client:
        client.post(url, json=row)
        with socket.create_connection(("127.0.0.1", api.port), timeout=30) as slow:
            while slow.recv(4096):  # by then the limit is over for a client that sends nothing
                pass
        reply = client.post(url, json=row)
        assert reply.status_code == 200
        stream = reply.extensions["network_stream"]
        assert stream.get_extra_info("client_addr") is not None


def test_answers_carry_security_headers(api: Any, row: dict[str, object]) -> None:  # noqa: ANN401 - made by a fixture
    """On successes and on errors alike."""
    base = f"http://127.0.0.1:{api.port}"
    for reply in (
        httpx.post(f"{base}/predict", json=row, timeout=30),
        httpx.get(f"{base}/nothing", timeout=30),
    ):
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["X-Frame-Options"] == "DENY"
        assert "server" not in reply.headers


KEY = new_key()
# What schemathesis is to send besides; keys are in the file that the fixture writes.
WITH_KEY = ("-H", f"X-API-Key: {KEY}")


@pytest.mark.parametrize(
    ("api", "chosen"),
    [
        ({}, ()),
        ({"TESTBED_API_LOG_URL": "none"}, ()),
        ({"TESTBED_API_KEYS_FILE": "keys"}, ()),
        ({"TESTBED_API_KEYS_FILE": "keys", "TESTBED_API_PUBLIC_METRICS": "true"}, WITH_KEY),
    ],
    ids=["default", "without log", "without key", "with key"],
    indirect=["api"],
)
def test_schemathesis_finds_nothing(api: Any, tmp_path: Path, chosen: tuple[str, ...]) -> None:  # noqa: ANN401 - made by a fixture
    """What the schema describes is what the service does, by all default checks."""
    _schemathesis(api.port, tmp_path, *chosen)


@pytest.mark.parametrize("api", [{"TESTBED_API_FAULTS_ENABLED": "true"}], indirect=True)
def test_schemathesis_finds_nothing_on_the_management_port(api: Any, tmp_path: Path) -> None:  # noqa: ANN401 - made by a fixture
    """Operators' routes are as described, too."""
    token = api.bearer["Authorization"]
    _schemathesis(api.management_port, tmp_path, "-H", f"Authorization: {token}")


@pytest.mark.parametrize("api", [{"TESTBED_API_MONITORING_TEST_ENABLED": "true"}], indirect=True)
def test_entries_by_hand_are_as_described_and_few(api: Any, tmp_path: Path) -> None:  # noqa: ANN401 - made by a fixture
    """Nothing is found there either, and no input makes series without end."""
    _schemathesis(api.port, tmp_path, "--include-path-regex", "^/monitoring/test/")
    versions = [series for series in _series(api) if series.startswith("ml_model_accuracy{")]
    # 20 are distinguished, the rest is one more.
    assert 1 < len(versions) <= 21


def _schemathesis(port: int, folder: Path, *chosen: str) -> None:
    program = str(Path(sys.executable).parent / "schemathesis")
    hooks = {"SCHEMATHESIS_HOOKS": "ndjson_hooks", "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        [
            *(program, "--no-color", "run", f"http://127.0.0.1:{port}/openapi.json"),
            *("--phases", "examples,coverage,fuzzing", "--max-examples", "30", "--seed", "1"),
            *("--generation-database", "none", "--continue-on-failure", *chosen),
            "--request-timeout=60",  # of a machine that stands still for a while
        ],
        cwd=folder,
        env=os.environ | hooks,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]

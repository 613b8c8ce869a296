"""The API as a process: durable, drained at the end, nothing left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from testbed_api.http.keys import digest, new_key

from tests.support.polling import PATIENCE, answers, wait_for

from .raw_client import prediction_request

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testbed_domain.artefact import Artefact


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Where the prediction log lives."""
    return tmp_path / "log.db"


def _post(url: str, body: object) -> dict[str, Any]:
    reply = httpx.post(url, json=body, timeout=30)
    answer: dict[str, Any] = reply.raise_for_status().json()
    return answer


def _ids(database: Path) -> set[str]:
    connection = sqlite3.connect(database)
    try:
        return {row[0] for row in connection.execute("SELECT id FROM predictions")}
    finally:
        connection.close()


MODEL = """
import pathlib, time
import numpy as np

def make(artefact):
    hold = pathlib.Path(__file__).with_name("hold")
    def predict(rows):
        while hold.exists():
            time.sleep(0.01)
        return np.full((len(rows), 2), 0.5, np.float32)
    return predict
"""


@pytest.fixture
def held_model(tmp_path: Path) -> dict[str, str]:
    """Settings of an API whose model answers no one while there is a file ``hold``."""
    (tmp_path / "held_model.py").write_text(MODEL)
    return {
        "PYTHONPATH": str(tmp_path),
        "TESTBED_API_RUNTIME": "python",
        "TESTBED_API_MODEL": "held_model:make",
        "TESTBED_API_BATCHING": "always",
    }


def test_process_serves_and_drains(
    small_artefact: Artefact,
    start_api: Callable[..., Any],
    database: Path,
    held_model: dict[str, str],
    tmp_path: Path,
) -> None:
    """Predictions are in the log; on SIGTERM open requests are answered, then exit code 0."""
    api = start_api(
        small_artefact.path,
        log_url=f"sqlite:///{database}",
        environment=held_model | {"TESTBED_API_SHUTDOWN_SECONDS": "120"},
    )
    public = f"http://127.0.0.1:{api.port}"
    management = f"http://127.0.0.1:{api.management_port}"
    row = {feature.name: feature.example for feature in small_artefact.schema.features}
    first = _post(f"{public}/predict", row)
    assert first["model_version"] == small_artefact.version
    assert _ids(database) == {first["prediction_id"]}, "durable before the reply"
    label = {"prediction_id": first["prediction_id"], "label": first["prediction"]}
    assert _post(f"{public}/labels", label)["labels"][0]["outcome"] == "stored"

    hold = tmp_path / "hold"
    hold.touch()
    answers: list[dict[str, Any]] = []
    waiting = [
        threading.Thread(target=lambda: answers.append(_post(f"{public}/predict", row)))
        for _ in range(4)
    ]
    for thread in waiting:
        thread.start()
    _wait_for_active(management, 4)
    api.process.send_signal(signal.SIGTERM)
    wait_for(lambda: not _listens(api.port), what="it still listens")
    hold.unlink()
    for thread in waiting:
        thread.join(PATIENCE)
    assert api.process.wait(PATIENCE) == 0, api.output.read_text()
    ids = {answer["prediction_id"] for answer in answers}
    assert len(ids) == 4
    assert _ids(database) == ids | {first["prediction_id"]}
    assert "Traceback" not in api.output.read_text()


def _listens(port: int) -> bool:
    with contextlib.suppress(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=30).close()
        return True
    return False


def _wait_for_active(management: str, count: int) -> None:
    labels = 'http_request_method="POST",http_route="/predict",url_scheme="http"'
    wanted = f"http_server_active_requests{{{labels}}} {count}"

    def there() -> bool:
        return wanted in httpx.get(f"{management}/metrics", timeout=30).text

    wait_for(there, what=f"there never were {count} requests at a time")


def test_client_that_closes_its_connection_leaves_the_queue(
    small_artefact: Artefact,
    start_api: Callable[..., Any],
    held_model: dict[str, str],
    tmp_path: Path,
) -> None:
    """Its row is never predicted, and it is counted as cancelled and as a client that left."""
    api = start_api(small_artefact.path, environment=held_model)
    management = f"http://127.0.0.1:{api.management_port}"
    row: dict[str, object] = {
        feature.name: feature.example for feature in small_artefact.schema.features
    }
    hold = tmp_path / "hold"
    hold.touch()
    answers: list[dict[str, Any]] = []
    url = f"http://127.0.0.1:{api.port}/predict"
    first = threading.Thread(target=lambda: answers.append(_post(url, row)))
    first.start()
    _wait_for_active(management, 1)
    with socket.create_connection(("127.0.0.1", api.port)) as leaving:
        leaving.sendall(prediction_request(row))
        _wait_for_active(management, 2)
    _wait_for_active(management, 1)
    hold.unlink()
    first.join(PATIENCE)
    assert len(answers) == 1
    seen = httpx.get(f"{management}/metrics", timeout=30).text
    cancelled = [line for line in seen.splitlines() if 'error_type="cancelled"' in line]
    assert [line.rsplit(" ", 1)[1] for line in cancelled] == ["1.0"]
    left = [line for line in seen.splitlines() if 'error_type="client_disconnect"' in line]
    assert any(line.endswith(" 1.0") and "_count{" in line for line in left)
    predicted = [line for line in seen.splitlines() if line.startswith("ml_batch_size_sum")]
    assert [line.rsplit(" ", 1)[1] for line in predicted] == ["1.0"]


def test_interrupt_ends_an_idle_process_with_0(
    small_artefact: Artefact, start_api: Callable[..., Any]
) -> None:
    """Ctrl-C is an end like any other."""
    api = start_api(small_artefact.path)
    api.process.send_signal(signal.SIGINT)
    assert api.process.wait(PATIENCE) == 0
    assert "Traceback" not in api.output.read_text()


def test_end_is_not_held_up_by_a_missing_collector(
    small_artefact: Artefact, start_api: Callable[..., Any], unused_port: int
) -> None:
    """With nobody at the OTLP endpoint requests are answered and the process ends with 0."""
    api = start_api(small_artefact.path, otlp=f"http://127.0.0.1:{unused_port}")
    row = {feature.name: feature.example for feature in small_artefact.schema.features}
    assert _post(f"http://127.0.0.1:{api.port}/predict", row)["prediction_id"]
    api.process.send_signal(signal.SIGTERM)
    assert api.process.wait(PATIENCE) == 0
    assert "could not be pushed" in api.output.read_text()


def test_instance_id_comes_from_the_environment(
    small_artefact: Artefact, start_api: Callable[..., Any], database: Path
) -> None:
    """The id that the runner gives is in the log, on /health and on /metrics."""
    api = start_api(
        small_artefact.path,
        log_url=f"sqlite:///{database}",
        environment={"OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=run-1-api"},
    )
    row = {feature.name: feature.example for feature in small_artefact.schema.features}
    _post(f"http://127.0.0.1:{api.port}/predict", row)
    connection = sqlite3.connect(database)
    assert connection.execute("SELECT instance FROM predictions").fetchall() == [("run-1-api",)]
    references = connection.execute("SELECT count(*) FROM reference_rows").fetchone()[0]
    assert references == small_artefact.splits["reference"]
    connection.close()
    page = httpx.get(f"http://127.0.0.1:{api.port}/metrics", timeout=30).text
    assert 'service_instance_id="run-1-api"' in page


HEAVY = (
    "pandas",
    "sklearn",
    "skl2onnx",
    "scipy",
    "evidently",
    "locust",
    "gevent",
    "mlflow",
    "skops",
)


def test_serving_process_never_imports_what_it_does_not_use(
    small_artefact: Artefact, tmp_path: Path, unused_port: int
) -> None:
    """From start over prediction, label and /metrics to the end: no data frame, no training."""
    seen = tmp_path / "modules"
    code = (
        "import atexit, pathlib, runpy, sys; "
        f"atexit.register(lambda: pathlib.Path({str(seen)!r}).write_text(' '.join(sys.modules))); "
        "runpy.run_module('testbed_api', run_name='__main__')"
    )
    settings = {
        "TESTBED_API_ARTEFACT": str(small_artefact.path),
        "TESTBED_API_PORT": str(unused_port),
        "TESTBED_API_MANAGEMENT_PORT": "0",
        "TESTBED_API_LOG_URL": f"sqlite:///{tmp_path / 'log.db'}",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "none",
    }
    process = subprocess.Popen([sys.executable, "-c", code], env=os.environ | settings)
    base = f"http://127.0.0.1:{unused_port}"

    try:
        ready = partial(answers, f"{base}/health/ready")
        wait_for(ready, 60, "the API did not get ready", process)
        row = {feature.name: feature.example for feature in small_artefact.schema.features}
        answer = _post(f"{base}/predict", row)
        label = {"prediction_id": answer["prediction_id"], "label": answer["prediction"]}
        assert _post(f"{base}/labels", label)["labels"][0]["outcome"] == "stored"
        assert "ml_predictions_total" in httpx.get(f"{base}/metrics", timeout=30).text
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait(PATIENCE)
    modules = set(seen.read_text().split())
    assert "testbed_api.ops.server" in modules
    assert modules & set(HEAVY) == set()


def test_retention_is_at_work(
    small_artefact: Artefact, start_api: Callable[..., Any], database: Path
) -> None:
    """Rows older than the setting are gone soon after the start; a new one stays."""
    url = f"sqlite:///{database}"
    first = start_api(small_artefact.path, log_url=url)
    row = {feature.name: feature.example for feature in small_artefact.schema.features}
    old = _post(f"http://127.0.0.1:{first.port}/predict", row)["prediction_id"]
    new = _post(f"http://127.0.0.1:{first.port}/predict", row)["prediction_id"]
    first.process.terminate()
    assert first.process.wait(PATIENCE) == 0
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE predictions SET time = time - 2 * 86400 WHERE id = ?", (old,))
    start_api(small_artefact.path, log_url=url, environment={"TESTBED_API_LOG_RETENTION_DAYS": "1"})
    wait_for(lambda: _ids(database) == {new}, 30, "the old row stays")


def test_api_keys_are_nowhere_to_be_read(
    small_artefact: Artefact, start_api: Callable[..., Any], database: Path, tmp_path: Path
) -> None:
    """Neither right nor wrong ones: not in logs, the access log, metrics, health or the database.

    Whichever way they are given, on requests that succeed, fail, or are no HTTP.
    """
    right, wrong = new_key(), new_key()
    keys, access = tmp_path / "keys", tmp_path / "access.jsonl"
    keys.write_text(f"me {digest(right)}\n")
    api = start_api(
        small_artefact.path,
        log_url=f"sqlite:///{database}",
        environment={
            "TESTBED_API_KEYS_FILE": str(keys),
            "TESTBED_API_ACCESS_LOG": str(access),
            "TESTBED_API_FAULTS_ENABLED": "true",
            "OTEL_TRACES_SAMPLER_ARG": "1",
        },
    )
    base = f"http://127.0.0.1:{api.port}"
    management = f"http://127.0.0.1:{api.management_port}"
    row = {feature.name: feature.example for feature in small_artefact.schema.features}

    def call() -> set[int]:
        bodies = (row, {"x": 1})
        headers = [
            header
            for key in (right, wrong)
            for header in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"})
        ]
        return {
            httpx.post(
                f"{base}/predict", params={"api_key": right}, json=body, headers=header, timeout=30
            ).status_code
            for body in bodies
            for header in headers
        }

    assert call() == {200, 401, 422}
    errors = {"errors": {"ratio": 1.0}}
    reply = httpx.put(f"{management}/faults", json=errors, headers=api.bearer, timeout=30)
    reply.raise_for_status()
    assert call() == {401, 422, 500}
    with socket.create_connection(("127.0.0.1", api.port), timeout=30) as client:
        client.sendall(f"X-API-Key: {right}\r\n\r\n".encode())
        assert client.recv(100).startswith(b"HTTP/1.1 400")
    shown = [httpx.get(f"{management}{path}", timeout=30).text for path in ("/metrics", "/health")]
    api.process.terminate()
    assert api.process.wait(PATIENCE) == 0
    assert len(access.read_text().splitlines()) >= 16
    shown += [access.read_text(), api.output.read_text()]
    shown += [path.read_bytes().decode("latin-1") for path in tmp_path.glob("log.db*")]
    assert 'api_key_name="me"' in shown[0]
    for text in shown:
        assert right not in text
        assert wrong not in text

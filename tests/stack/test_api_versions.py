"""Two versions in one process: changed under load on the management port, nothing lost."""

from __future__ import annotations

import signal
import sqlite3
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testbed_domain.artefact import Artefact


@pytest.fixture
def candidate(tmp_path: Path) -> Artefact:
    """Another small forest of the same use case."""
    from testbed_domain.training import TrainingOptions, train  # noqa: PLC0415 - slow to import
    from testbed_domain.use_cases import get_use_case  # noqa: PLC0415 - goes with the above

    options = TrainingOptions(10, 4, train_rows=600, test_rows=200, reference_rows=100)
    return train(get_use_case("diabetes"), None, 2, tmp_path / "candidate", options)


def test_promotion_and_rollback_under_load_lose_nothing(
    small_artefact: Artefact,
    candidate: Artefact,
    start_api: Callable[..., Any],
    tmp_path: Path,
) -> None:
    """Every request is answered with 200, and rows, counters and answers agree per version."""
    database = tmp_path / "log.db"
    api = start_api(
        small_artefact.path,
        log_url=f"sqlite:///{database}",
        environment={
            "TESTBED_API_CHALLENGER": str(candidate.path),
            "TESTBED_API_SPLIT": "0.5",
            "TESTBED_API_BATCHING": "always",
        },
    )
    public = f"http://127.0.0.1:{api.port}"
    management = f"http://127.0.0.1:{api.management_port}"
    row = {feature.name: feature.example for feature in small_artefact.schema.features}
    stop = threading.Event()
    answered: list[str] = []
    failed: list[str] = []

    def send(number: int) -> None:
        with httpx.Client(timeout=30) as client:
            count = 0
            while not stop.is_set():
                count += 1
                headers = {"X-Routing-Key": f"{number}-{count}"}
                reply = client.post(f"{public}/predict", json=row, headers=headers)
                if reply.status_code == httpx.codes.OK:
                    answered.append(reply.json()["model_version"])
                else:
                    failed.append(reply.text)

    clients = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for client in clients:
        client.start()
    try:
        for step in ("promote", "rollback", "rollback"):
            _wait_for_more(answered, 40)
            httpx.post(f"{management}/models/{step}", timeout=30).raise_for_status()
        body = {"artefact": str(small_artefact.path), "split": 0.5}
        put = httpx.put(f"{management}/models/challenger", json=body, timeout=30)
        assert put.status_code == httpx.codes.OK, put.text
        _wait_for_more(answered, 40)
    finally:
        stop.set()
        for client in clients:
            client.join(30)
    assert failed == []
    counted = httpx.get(f"{management}/metrics", timeout=30).text
    api.process.send_signal(signal.SIGTERM)
    assert api.process.wait(30) == 0, api.output.read_text()
    assert "Traceback" not in api.output.read_text()
    connection = sqlite3.connect(database)
    query = "SELECT model_version, count(*) FROM predictions GROUP BY model_version"
    rows = dict(connection.execute(query).fetchall())
    references = "SELECT DISTINCT model_version FROM reference_rows"
    registered = {version for (version,) in connection.execute(references)}
    connection.close()
    versions = {small_artefact.version, candidate.version}
    assert rows == Counter(answered)
    assert set(rows) == registered == versions
    for version in versions:
        assert _sum(counted, f'ml_predictions_total{{model_version="{version}"') == rows[version]


def _wait_for_more(answered: list[str], count: int) -> None:
    wanted = len(answered) + count
    waiting = threading.Event()
    for _ in range(3000):
        if len(answered) >= wanted:
            return
        waiting.wait(0.01)
    pytest.fail(f"no {count} answers came")


def _sum(page: str, start: str) -> float:
    lines = (line for line in page.splitlines() if line.startswith(start))
    return sum(float(line.rpartition(" ")[2]) for line in lines)

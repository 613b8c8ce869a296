"""Two versions in one process: changed under load on the management port, nothing lost."""

from __future__ import annotations

import signal
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.polling import PATIENCE, wait_for

if TYPE_CHECKING:
    from testbed_domain.artefact import Artefact


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
            address = f"{management}/models/{step}"
            httpx.post(address, headers=api.bearer, timeout=30).raise_for_status()
        body = {"artefact": str(small_artefact.path), "split": 0.5}
        address = f"{management}/models/challenger"
        put = httpx.put(address, json=body, headers=api.bearer, timeout=30)
        assert put.status_code == httpx.codes.OK, put.text
        _wait_for_more(answered, 40)
    finally:
        stop.set()
        for client in clients:
            client.join(PATIENCE)
    assert failed == []
    counted = httpx.get(f"{management}/metrics", timeout=30).text
    api.process.send_signal(signal.SIGTERM)
    assert api.process.wait(PATIENCE) == 0, api.output.read_text()
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


@dataclass
class Restarting:
    """An API that ends and starts anew with the same file of versions."""

    start: Callable[..., Any]
    artefact: Path
    file: Path
    api: Any = None

    def again(self, **settings: str) -> dict[str, Any]:
        """End it the hard way where it runs, start it; returns version by role."""
        if self.api is not None:
            self.api.process.kill()
            self.api.process.wait(PATIENCE)
        environment = {"TESTBED_API_VERSIONS_FILE": str(self.file), **settings}
        self.api = self.start(self.artefact, environment=environment)
        return self.roles(self.call("GET", ""))

    def call(self, method: str, path: str, **body: Any) -> Any:  # noqa: ANN401 - JSON
        """Ask the management port about versions."""
        address = f"http://127.0.0.1:{self.api.management_port}/models{path}"
        headers = self.api.bearer
        reply = httpx.request(method, address, json=body or None, headers=headers, timeout=30)
        return reply.raise_for_status().json()

    @staticmethod
    def roles(found: dict[str, Any]) -> dict[str, Any]:
        """Version by role, and what the challenger gets."""
        versions = {one["role"]: one["version"] for one in found["versions"]}
        return versions | {"split": found["split"], "shadow": found["shadow"]}


@pytest.fixture
def restarting(
    small_artefact: Artefact, start_api: Callable[..., Any], tmp_path: Path
) -> Restarting:
    """With no file yet."""
    return Restarting(start_api, small_artefact.path, tmp_path / "versions.json")


def test_changes_outlive_a_kill(
    restarting: Restarting, small_artefact: Artefact, candidate: Artefact
) -> None:
    """Challenger with its share, promotion and rollback; all of them are loaded again."""
    old, new = small_artefact.version, candidate.version
    none = {"split": 0.0, "shadow": False}
    assert restarting.again() == {"champion": old, **none}
    assert not restarting.file.exists()
    restarting.call("PUT", "/challenger", artefact=str(candidate.path), split=0.25, shadow=True)
    given = {"split": 0.25, "shadow": True}
    assert restarting.again() == {"champion": old, "challenger": new, **given}
    restarting.call("POST", "/promote")
    assert restarting.again() == {"champion": new, "previous": old, **none}
    row = {feature.name: feature.example for feature in small_artefact.schema.features}
    answer = httpx.post(f"http://127.0.0.1:{restarting.api.port}/predict", json=row, timeout=30)
    assert answer.json()["model_version"] == new
    restarting.call("POST", "/rollback")
    assert restarting.again() == {"champion": old, "previous": new, **none}
    assert [path.name for path in restarting.file.parent.glob("*versions.json*")] == [
        "versions.json"
    ]


def test_kept_roles_that_can_t_be_used_are_left_aside(
    restarting: Restarting, small_artefact: Artefact, candidate: Artefact
) -> None:
    """Other settings, a version that is gone, a file of something else: what is set counts."""
    old, new = small_artefact.version, candidate.version
    restarting.again()
    restarting.call("PUT", "/challenger", artefact=str(candidate.path))
    restarting.call("POST", "/promote")
    assert restarting.again()["champion"] == new
    assert restarting.again(TESTBED_API_SPLIT="0.5")["champion"] == old
    assert "is of other settings" in restarting.api.output.read_text()
    moved = candidate.path.rename(candidate.path.with_name("elsewhere"))
    assert restarting.again()["champion"] == old
    assert "versions.json is left aside: " in restarting.api.output.read_text()
    moved.rename(candidate.path)
    restarting.file.write_text("{")
    assert restarting.again()["champion"] == old
    assert "versions.json is left aside: " in restarting.api.output.read_text()


def test_a_file_that_can_t_be_written_costs_no_change(
    restarting: Restarting, candidate: Artefact
) -> None:
    """The promotion is done and a line reports that it is not kept."""
    restarting.file = restarting.file.parent / "away" / "versions.json"
    restarting.file.parent.mkdir()
    restarting.again()
    restarting.file.parent.rmdir()
    restarting.call("PUT", "/challenger", artefact=str(candidate.path))
    found = restarting.roles(restarting.call("POST", "/promote"))
    assert found["champion"] == candidate.version
    assert "a restart will not know of the change" in restarting.api.output.read_text()
    restarting.api.process.kill()
    with pytest.raises(pytest.fail.Exception, match="VERSIONS_FILE: there is no folder"):
        restarting.again()


def _wait_for_more(answered: list[str], count: int) -> None:
    wanted = len(answered) + count
    wait_for(lambda: len(answered) >= wanted, what=f"no {count} answers came")


def _sum(page: str, start: str) -> float:
    lines = (line for line in page.splitlines() if line.startswith(start))
    return sum(float(line.rpartition(" ")[2]) for line in lines)

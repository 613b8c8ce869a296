"""Replicas: real processes behind one port, killed and restarted under load."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from testbed_domain.artefact import Artefact

from tests.support.jsonlines import whole_lines
from tests.support.polling import PATIENCE, wait_for
from tests.support.ports import free_port, ports_in_a_row

from .raw_client import Ledger, prediction_request, send_steadily

# Ten in the long form: TESTBED_KILLS=10.
KILLS = int(os.environ.get("TESTBED_KILLS", "2"))


@dataclass
class Replicas:
    """A supervisor with its replicas."""

    process: subprocess.Popen[bytes]
    port: int
    management_ports: list[int]
    output: Path
    database: Path
    row: dict[str, Any]

    def health(self, number: int) -> dict[str, Any] | None:
        """What one replica says of itself; None while it can't be asked."""
        url = f"http://127.0.0.1:{self.management_ports[number]}/health"
        with suppress(httpx.HTTPError):
            body: dict[str, Any] = httpx.get(url, timeout=5).json()
            return body
        return None

    def instances(self) -> list[str | None]:
        """The instance ids of the replicas that are ready, None for the others."""
        said = [self.health(number) for number in range(len(self.management_ports))]
        return [body["instance"] if body and body["status"] == "ok" else None for body in said]

    def children(self) -> list[psutil.Process]:
        """The processes of the replicas."""
        return psutil.Process(self.process.pid).children()

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        """What the supervisor wrote of its replicas, of some kinds."""
        lines = whole_lines(self.database.parent / "replicas.jsonl")
        return [event for event in lines if event["event"] in kinds]

    def starts(self) -> set[str]:
        """Why the replicas of now were started, as each says on its ``/metrics``."""
        pages = [
            httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=30).text
            for port in self.management_ports
        ]
        pattern = re.compile(r'^ml_replica_starts_total\{.*reason="(\w+)".*\} 1\.0$', re.MULTILINE)
        return {why for page in pages for why in pattern.findall(page)}

    def logged(self) -> list[tuple[str, str]]:
        """Id and instance of all predictions in the log."""
        with closing(sqlite3.connect(self.database)) as connection:
            return connection.execute("SELECT id, instance FROM predictions").fetchall()


@pytest.fixture
def start_replicas(small_artefact: Artefact, tmp_path: Path) -> Iterator[Callable[..., Replicas]]:
    """Starts a supervisor; ends it after the test, after which nothing may be left."""
    started: list[Replicas] = []

    def start(count: int, **environment: str) -> Replicas:
        port, management = free_port(), ports_in_a_row(count)
        settings = {
            "TESTBED_API_ARTEFACT": str(small_artefact.path),
            "TESTBED_API_PORT": str(port),
            "TESTBED_API_MANAGEMENT_PORT": str(management),
            "TESTBED_API_MANAGEMENT_TOKEN_FILE": str(tmp_path / "management-token"),
            "TESTBED_API_ARTEFACT_FOLDERS": str(small_artefact.path.parents[1]),
            "TESTBED_API_REPLICAS": str(count),
            "TESTBED_API_LOG_URL": f"sqlite:///{tmp_path / 'log.db'}",
            "TESTBED_API_REPLICAS_FILE": str(tmp_path / "replicas.jsonl"),
            "OTEL_EXPORTER_OTLP_ENDPOINT": "none",
            "TESTBED_API_DEADLINE": "120",  # nobody is refused because the machine is busy
            **environment,
        }
        output = tmp_path / "replicas.log"
        with output.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "testbed_api"],
                env=os.environ | settings,
                stdout=log,
                stderr=log,
            )
        made = Replicas(
            process,
            port,
            list(range(management, management + count)),
            output,
            tmp_path / "log.db",
            {feature.name: feature.example for feature in small_artefact.schema.features},
        )
        started.append(made)
        wait_for(lambda: None not in made.instances(), 60, output.read_text, process)
        return made

    yield start
    for one in started:
        if one.process.poll() is None:
            children = one.children()
            one.process.kill()
            psutil.wait_procs(children, PATIENCE)
        one.process.wait(PATIENCE)


async def _all_ready(replicas: Replicas) -> list[str | None]:
    """Ids of all replicas: one that is too busy to say its own in time is asked again."""
    found: list[str | None] = []

    def ready() -> bool:
        found[:] = replicas.instances()
        return None not in found

    await asyncio.to_thread(wait_for, ready, 60, "a replica does not answer")
    return found


async def _wait_for_new(replicas: Replicas, before: list[str | None], count: int) -> None:
    """Wait until all are ready and ``count`` of them are new."""

    def there() -> bool:
        now = replicas.instances()
        return None not in now and len(set(now) - set(before)) == count

    await asyncio.to_thread(wait_for, there, 60, "no new replicas")


async def _wait_all_served(replicas: Replicas) -> None:
    """Wait until each of the replicas has answered under the load that goes on."""

    def served() -> bool:
        return set(replicas.instances()) <= {instance for _, instance in replicas.logged()}

    await asyncio.to_thread(wait_for, served, 60, "a replica gets no request")


async def _under_load(
    replicas: Replicas, what: Callable[[], Awaitable[None]], *, new_connections: bool = True
) -> Ledger:
    """Do something while clients of every kind send some 500 requests per second."""
    ledger, stop = Ledger(), asyncio.Event()
    request = prediction_request(replicas.row)
    kinds = [(0.02, True)] * 8 + [(0.4, True)] * 8 + [(0.02, False)] * (2 * new_connections)
    clients = [
        asyncio.create_task(
            send_steadily(
                replicas.port, request, ledger, stop, interval=interval, keep_alive=keep_alive
            )
        )
        for interval, keep_alive in kinds
    ]
    try:
        await what()
    finally:
        stop.set()
        await asyncio.gather(*clients)
    return ledger


def test_replicas_share_the_load_and_keep_their_identities(
    start_replicas: Callable[..., Replicas],
) -> None:
    """Each has its own id and counts what it served; together that is all; the port hides them."""
    replicas = start_replicas(2)
    ids = replicas.instances()
    assert len(set(ids)) == 2
    ledger = asyncio.run(_under_load(replicas, lambda: _wait_all_served(replicas)))
    assert (ledger.lost, ledger.statuses) == ([], [])
    counted = {}
    for number, instance in enumerate(ids):
        url = f"http://127.0.0.1:{replicas.management_ports[number]}/metrics"
        page = httpx.get(url, timeout=30).text
        assert f'service_instance_id="{instance}"' in page
        found = re.findall(r"^ml_predictions_total\{.*\} ([0-9.e+]+)$", page, re.MULTILINE)
        counted[instance] = sum(map(float, found))
    logged = replicas.logged()
    for instance, count in counted.items():
        assert count == sum(found == instance for _, found in logged) > 0
    assert sorted(identifier for identifier, _ in logged) == sorted(ledger.answered)
    assert httpx.get(f"http://127.0.0.1:{replicas.port}/metrics", timeout=30).status_code == 404


def test_rolling_restart_under_load_loses_no_request(
    start_replicas: Callable[..., Replicas],
) -> None:
    """With busy and with sleepy keep-alive connections and with new ones, every request is served.

    Twice; then SIGTERM drains the rest just so.
    """
    replicas = start_replicas(2)
    seen = [set(replicas.instances())]

    async def roll() -> None:
        await _wait_all_served(replicas)
        for _ in range(2):
            before = await _all_ready(replicas)
            replicas.process.send_signal(signal.SIGHUP)
            await _wait_for_new(replicas, before, 2)
            seen.append(set(replicas.instances()))
            await _wait_all_served(replicas)

    ledger = asyncio.run(_under_load(replicas, roll))
    assert (ledger.lost, ledger.statuses) == ([], [])
    assert len(set.union(*seen)) == 6
    logged = replicas.logged()
    assert sorted(identifier for identifier, _ in logged) == sorted(ledger.answered)
    assert len({instance for _, instance in logged}) == 6
    assert len(replicas.events("stopped")) == 4
    assert replicas.starts() == {"restart"}
    children = replicas.children()
    replicas.process.send_signal(signal.SIGTERM)
    assert replicas.process.wait(PATIENCE) == 0, replicas.output.read_text()
    assert not any(child.is_running() for child in children)
    assert "Traceback" not in replicas.output.read_text()
    assert "cut off" not in replicas.output.read_text()


def test_killed_replica_loses_nothing_that_was_answered_and_comes_back(
    start_replicas: Callable[..., Replicas],
) -> None:
    """Kill -9 under load: each answered prediction is in the log; a new one takes over."""
    replicas = start_replicas(2)

    async def kill() -> None:
        for _ in range(KILLS):
            await asyncio.sleep(0.5)
            before = await _all_ready(replicas)
            replicas.children()[0].kill()
            await _wait_for_new(replicas, before, 1)

    ledger = asyncio.run(_under_load(replicas, kill))
    logged = {identifier for identifier, _ in replicas.logged()}
    assert len(ledger.answered) > 100
    assert not set(ledger.answered) - logged
    # A row of a request that the kill left unanswered may stand in the log.
    assert len(logged - set(ledger.answered)) <= len(ledger.lost)
    assert replicas.output.read_text().count("crashed (signal 9)") == KILLS
    crashed = replicas.events("crashed")
    assert [event["how"] for event in crashed] == ["signal 9"] * KILLS
    started = replicas.events("started")
    assert [event["why"] for event in started] == ["first", "first", *["crash"] * KILLS]
    assert {event["instance"] for event in started} == {
        *(event["instance"] for event in crashed),
        *replicas.instances(),
    }
    assert "crash" in replicas.starts()


def test_killed_replica_comes_back_with_the_promoted_version(
    start_replicas: Callable[..., Replicas],
    small_artefact: Artefact,
    candidate: Artefact,
    tmp_path: Path,
) -> None:
    """Replicas share the file, so that none of them answers with what the others have left."""
    replicas = start_replicas(2, TESTBED_API_VERSIONS_FILE=str(tmp_path / "versions.json"))
    addresses = [f"http://127.0.0.1:{port}/models" for port in replicas.management_ports]
    token = (tmp_path / "management-token").read_text().strip()
    bearer = {"Authorization": f"Bearer {token}"}
    for address in addresses:
        body = {"artefact": str(candidate.path)}
        url = f"{address}/challenger"
        httpx.put(url, json=body, headers=bearer, timeout=30).raise_for_status()
        httpx.post(f"{address}/promote", headers=bearer, timeout=30).raise_for_status()
    before = replicas.instances()
    replicas.children()[0].kill()
    asyncio.run(_wait_for_new(replicas, before, 1))
    assert "crash" in replicas.starts()
    for address in addresses:
        versions = httpx.get(address, timeout=30).json()["versions"]
        roles = {one["role"]: one["version"] for one in versions}
        assert roles == {"champion": candidate.version, "previous": small_artefact.version}


def test_nothing_is_left_when_the_supervisor_is_killed(
    start_replicas: Callable[..., Replicas],
) -> None:
    """The replicas drain and end with their supervisor."""
    replicas = start_replicas(2)
    children = replicas.children()
    replicas.process.kill()
    replicas.process.wait(PATIENCE)
    _, alive = psutil.wait_procs(children, PATIENCE)
    assert not alive


def test_settings_that_no_replica_can_use_end_the_supervisor(
    small_artefact: Artefact, tmp_path: Path
) -> None:
    """An error that would come again is reported once, with exit code 2."""
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "testbed_api"],
        env=os.environ
        | {
            "TESTBED_API_ARTEFACT": str(small_artefact.path),
            "TESTBED_API_LOG_URL": f"sqlite:///{tmp_path}/absent/log.db",
            "TESTBED_API_PORT": "0",
            "TESTBED_API_MANAGEMENT_PORT": "0",
            "TESTBED_API_REPLICAS": "2",
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 2, started
    assert "does not exist; make it" in done.stderr

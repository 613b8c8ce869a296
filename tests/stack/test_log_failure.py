"""The prediction log of a real process when its disk is full or its file is locked."""

from __future__ import annotations

import contextlib
import os
import resource
import sqlite3
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from testbed_domain.logstore import open_log

from tests.support.polling import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from testbed_domain.artefact import Artefact


class Served:
    """An API over a SQLite log."""

    def __init__(self, api: Any, artefact: Artefact, folder: Path) -> None:  # noqa: ANN401 - made by a fixture
        self.api = api
        self.database = folder / "log.db"
        self.spool = folder / "spool"
        self.row = {feature.name: feature.example for feature in artefact.schema.features}
        self.client = httpx.Client(timeout=60)

    def predict(self) -> httpx.Response:
        """One prediction."""
        return self.client.post(f"http://127.0.0.1:{self.api.port}/predict", json=self.row)

    def ready(self) -> dict[str, Any]:
        """What readiness says."""
        url = f"http://127.0.0.1:{self.api.management_port}/health/ready"
        body: dict[str, Any] = self.client.get(url).json()
        return body

    def metric(self, name: str) -> float:
        """Value of one series, given as on the page."""
        page = self.client.get(f"http://127.0.0.1:{self.api.management_port}/metrics").text
        (line,) = [line for line in page.splitlines() if line.startswith(f"{name} ")]
        return float(line.rpartition(" ")[2])

    def spool_is_empty(self) -> bool:
        """Whether all that waited is in the log, and counted: the file goes before the count."""
        return not list(self.spool.iterdir()) and self.metric("ml_prediction_log_spooled") == 0

    def ids(self) -> list[str]:
        """All that is in the log."""
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            return sorted(row[0] for row in connection.execute("SELECT id FROM predictions"))


@pytest.fixture
def serve(
    small_artefact: Artefact, start_api: Callable[..., Any], tmp_path: Path
) -> Iterator[Callable[..., Served]]:
    """Starts the API with a policy."""
    made: list[Served] = []

    def start(policy: str, **settings: str) -> Served:
        environment = {
            "TESTBED_API_LOG_FAILURE": policy,
            "TESTBED_API_LOG_SPOOL": str(tmp_path / "spool"),
            **settings,
        }
        url = f"sqlite:///{tmp_path / 'log.db'}"
        api = start_api(small_artefact.path, log_url=url, environment=environment)
        made.append(Served(api, small_artefact, tmp_path))
        return made[-1]

    yield start
    for served in made:
        served.client.close()


def _fill_disk(served: Served) -> None:
    """No file of the process may grow beyond what the log's largest one has now."""
    sizes = [path.stat().st_size for path in served.database.parent.glob("log.db*")]
    limits = (max(sizes), resource.RLIM_INFINITY)
    resource.prlimit(served.api.process.pid, resource.RLIMIT_FSIZE, limits)


def _free_disk(served: Served) -> None:
    limits = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(served.api.process.pid, resource.RLIMIT_FSIZE, limits)


def _until_failing(served: Served, status: int, wanted: str) -> list[str]:
    """Predict until the log fails; ids of the answered predictions."""
    ids = []
    for _ in range(2000):
        reply = served.predict()
        if reply.status_code == 200:
            ids.append(reply.json()["prediction_id"])
        if reply.status_code != 200 or served.ready()["status"] == wanted:
            assert reply.status_code == status
            return ids
    pytest.fail("the log never failed")


def test_full_disk_refuses_predictions_that_it_cannot_record(serve: Callable[..., Served]) -> None:
    """With `refuse` a prediction is answered only when it is recorded, and comes back by itself."""
    served = serve("refuse")
    _fill_disk(served)
    ids = _until_failing(served, 503, "unavailable")
    _free_disk(served)
    wait_for(lambda: served.ready()["status"] == "ok", 30, "the log did not come back")
    ids.append(served.predict().json()["prediction_id"])
    assert served.ids() == sorted(ids)


def test_full_disk_with_a_spool_loses_nothing(serve: Callable[..., Served]) -> None:
    """With `spool` every prediction is answered, and is in the log once there is room again."""
    served = serve("spool")
    _fill_disk(served)
    ids = _until_failing(served, 200, "degraded")

    def spooling() -> bool:
        ids.append(served.predict().raise_for_status().json()["prediction_id"])
        state = served.metric('ml_prediction_log_state{state="spooling"}')
        return state == 1 and served.metric("ml_prediction_log_spooled") >= 50

    # SQLite makes room when it closes its files, so the log comes back and fails again until its
    # largest file is full, too.
    wait_for(spooling, 30, "the log never fails for good")
    _free_disk(served)
    wait_for(lambda: served.ready()["status"] == "ok", 30, "the log did not come back")
    wait_for(served.spool_is_empty, 30, "the spool is not empty")
    assert served.ids() == sorted(ids)
    assert served.metric('ml_prediction_log_rows_total{outcome="written"}') == len(ids)
    assert "Traceback" not in served.api.output.read_text()


def test_locked_file_with_a_spool_loses_nothing(serve: Callable[..., Served]) -> None:
    """Another program that holds the log's write lock does not hold predictions up for long."""
    served = serve("spool")
    ids = []
    with contextlib.closing(sqlite3.connect(served.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        ids += [served.predict().raise_for_status().json()["prediction_id"] for _ in range(20)]
        assert served.ready()["status"] == "degraded"
        assert "locked" in served.ready()["warnings"][0]
        other.execute("ROLLBACK")
    wait_for(lambda: served.ready()["status"] == "ok", 30, "the log did not come back")
    wait_for(served.spool_is_empty, 30, "the spool is not empty")
    assert served.ids() == sorted(ids)


def test_full_spool_drops_rows_and_counts_them(serve: Callable[..., Served]) -> None:
    """Beyond the limit predictions are answered without a record, and the metric says how many."""
    served = serve("spool", TESTBED_API_LOG_SPOOL_LIMIT="4096")
    with contextlib.closing(sqlite3.connect(served.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for _ in range(30):
            assert served.predict().status_code == 200
        dropped = served.metric('ml_prediction_log_rows_total{outcome="dropped"}')
        waiting = served.metric("ml_prediction_log_spooled")
        assert dropped > 0
        assert waiting + dropped == 30
        assert "NOT recorded" in served.ready()["warnings"][0]
        other.execute("ROLLBACK")
    writing = 'ml_prediction_log_state{state="writing"}'
    wait_for(lambda: served.metric(writing) == 1, 30, "the log did not come back")
    wait_for(served.spool_is_empty, 30, "the spool is not empty")
    assert len(served.ids()) == waiting
    # What is lost is shown though its cause is gone.
    lost = f"{dropped:.0f} predictions since the start were answered, but NOT recorded"
    assert served.ready()["warnings"] == [lost]
    assert served.ready()["status"] == "degraded"


def _remove(database: Path) -> None:
    database.unlink()


def _remove_write_ahead(database: Path) -> None:
    database.with_name("log.db-wal").unlink()


def _rename(database: Path) -> None:
    database.rename(database.with_name("away.db"))


def _replace(database: Path) -> None:
    other = database.with_name("other.db")
    with open_log(f"sqlite:///{other}"):
        pass
    other.replace(database)


def _truncate(database: Path) -> None:
    os.truncate(database, 0)


@pytest.mark.parametrize("policy", ["refuse", "spool"])
@pytest.mark.parametrize("fault", [_remove, _remove_write_ahead, _rename, _replace, _truncate])
def test_files_that_are_taken_away_cost_no_answered_prediction(
    serve: Callable[..., Served], policy: str, fault: Callable[[Path], None]
) -> None:
    """Each prediction answered with 200 from then on is in the log that stands at its path."""
    served = serve(policy)
    served.predict().raise_for_status()
    fault(served.database)
    ids = []
    for _ in range(20):
        reply = served.predict()
        assert reply.status_code in ({200, 503} if policy == "refuse" else {200})
        if reply.status_code == 200:
            ids.append(reply.json()["prediction_id"])
    wait_for(lambda: served.predict().status_code == 200, 30, "the log did not come back")
    writing = 'ml_prediction_log_state{state="writing"}'
    wait_for(lambda: served.metric(writing) == 1, 30, "the log did not come back")
    if policy == "spool":
        wait_for(served.spool_is_empty, 30, "the spool is not empty")
    assert set(ids) <= set(served.ids())
    assert served.ready()["status"] == "degraded"
    assert "earlier predictions may be missing" in served.ready()["warnings"][0]
    assert "Traceback" not in served.api.output.read_text()


def test_file_that_is_removed_is_noticed_without_a_request(serve: Callable[..., Served]) -> None:
    """Readiness shows it though nobody predicts."""
    served = serve("refuse")
    served.predict().raise_for_status()
    served.database.unlink()
    wait_for(lambda: served.ready()["status"] == "degraded", 10, "nobody noticed")
    assert "log.db was removed" in served.ready()["warnings"][0]

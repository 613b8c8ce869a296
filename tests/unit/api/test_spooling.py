"""A log whose database fails: predictions go on, and nothing is lost or stored twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from testbed_api.instruments import Instruments
from testbed_api.logwriter import LogWriter
from testbed_api.spool import Spool
from testbed_api.spooling import SpoolingLog
from testbed_domain.logstore import PredictionRow
from testbed_otel.sdk import Telemetry

from .conftest import ApiMaker

ROW = PredictionRow("1", 0.0, None, "one", "model", "v1", {"a": 1}, "1", 0.5, {"0": 0.5, "1": 0.5})


class FakeDatabase:
    """A database in memory that can be broken, before or after it has stored something."""

    def __init__(self) -> None:
        self.rows: dict[str, PredictionRow] = {}
        self.error: Exception | None = None
        self.error_after: Exception | None = None
        self.opened = 0
        self.labelled = 0

    def open(self) -> FakeDatabase:
        """What the log calls to reach it."""
        if self.error is not None:
            raise self.error
        self.opened += 1
        return self

    def append(self, rows: Sequence[PredictionRow]) -> None:
        """See ``IdempotentLog``."""
        assert not {row.id for row in rows} & self.rows.keys(), "stored twice"
        self.append_missing(rows)

    def append_missing(self, rows: Sequence[PredictionRow]) -> None:
        """See ``IdempotentLog``."""
        if self.error is not None:
            raise self.error
        for row in rows:
            self.rows.setdefault(row.id, row)
        if self.error_after is not None:
            raise self.error_after

    def append_labels(self, items: Sequence[tuple[str, str, float]]) -> list[Any]:
        """See ``IdempotentLog``."""
        if self.error is not None:
            raise self.error
        self.labelled += len(items)
        return ["stored" if identifier in self.rows else "unknown" for identifier, _, _ in items]

    def close(self) -> None:
        """See ``IdempotentLog``."""


def _rows(*numbers: int) -> list[PredictionRow]:
    return [ROW._replace(id=str(number)) for number in numbers]


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        pause.wait(0.005)


@pytest.fixture
def database() -> FakeDatabase:
    """The database behind the log."""
    return FakeDatabase()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """Where rows wait."""
    return Spool(tmp_path / "spool", 10_000)


@pytest.fixture
def log(database: FakeDatabase, spool: Spool, instruments: Instruments) -> Iterator[SpoolingLog]:
    """The log, which tries the database again at once."""
    made = SpoolingLog(database.open, spool, instruments, retry=0.005)
    yield made.open()
    made.close()


def _value(telemetry: Telemetry, name: str, **labels: str) -> float | None:
    return telemetry.registry.get_sample_value(name, labels)


def test_rows_wait_while_the_database_fails(
    log: SpoolingLog, database: FakeDatabase, telemetry: Telemetry
) -> None:
    """Every row is in the database once it is back, the state and the backlog are metrics."""
    assert log.append(_rows(1)) == "written"
    assert _value(telemetry, "ml_prediction_log_state", state="writing") == 1
    database.error = OSError("gone")
    assert log.append(_rows(2, 3)) == "spooled"
    assert log.append(_rows(4)) == "spooled"
    assert "gone" in str(log.warning)
    assert _value(telemetry, "ml_prediction_log_state", state="spooling") == 1
    assert _value(telemetry, "ml_prediction_log_state", state="writing") == 0
    assert _value(telemetry, "ml_prediction_log_spooled") == 3
    assert list(database.rows) == ["1"]
    database.error = None
    _until(lambda: log.warning is None and not log._spool.waits())
    assert sorted(database.rows) == ["1", "2", "3", "4"]
    _until(lambda: _value(telemetry, "ml_prediction_log_spooled") == 0)
    assert _value(telemetry, "ml_prediction_log_rows_total", outcome="written") == 3
    assert log.append(_rows(5)) == "written"


def test_write_whose_end_nobody_saw_is_stored_once(
    log: SpoolingLog, database: FakeDatabase
) -> None:
    """A commit that went through though it failed for us does not store its rows twice."""
    database.error_after = OSError("connection lost after commit")
    assert log.append(_rows(1, 2)) == "spooled"
    database.error_after = None
    _until(lambda: not log._spool.waits())
    assert sorted(database.rows) == ["1", "2"]


def test_database_that_is_absent_at_the_start(
    database: FakeDatabase, spool: Spool, instruments: Instruments
) -> None:
    """Rows wait from the first one on."""
    database.error = OSError("not there yet")
    log = SpoolingLog(database.open, spool, instruments, retry=0.005).open()
    assert log.append(_rows(1)) == "spooled"
    database.error = None
    _until(lambda: log.warning is None and not spool.waits())
    log.close()
    assert list(database.rows) == ["1"]


def test_rows_beyond_the_spool_are_dropped_and_said_so(
    log: SpoolingLog, database: FakeDatabase, spool: Spool
) -> None:
    """Nothing pretends that they are recorded."""
    database.error = OSError("gone")
    assert log.append(_rows(1)) == "spooled"
    assert log.append(_rows(*range(100, 200))) == "dropped"
    assert "NOT recorded" in str(log.warning)
    database.error = None
    _until(lambda: log.warning is None and not spool.waits())
    assert list(database.rows) == ["1"]


def test_rows_that_wait_at_the_end_are_written_by_the_next_process(
    database: FakeDatabase, tmp_path: Path, instruments: Instruments
) -> None:
    """A spool survives its process."""
    database.error = OSError("gone")
    first = SpoolingLog(
        database.open, Spool(tmp_path / "spool", 10_000), instruments, retry=0.005
    ).open()
    assert first.append(_rows(1)) == "spooled"
    first.close()
    database.error = None
    second = SpoolingLog(
        database.open, Spool(tmp_path / "spool", 10_000), instruments, retry=0.005
    ).open()
    _until(lambda: not second._spool.waits())
    second.close()
    assert list(database.rows) == ["1"]


@pytest.mark.anyio
async def test_api_goes_on_while_the_log_fails(
    make_api: ApiMaker, database: FakeDatabase, spool: Spool, instruments: Instruments
) -> None:
    """Predictions get 200, labels wait with 503, readiness stays and says what is wrong."""
    log = SpoolingLog(database.open, spool, instruments, retry=0.005)
    async with make_api() as api:
        writer = LogWriter(log.open, instruments, lambda: log.warning)
        api.service.writer = writer
        database.error = OSError("gone")
        reply = await api.public.post("/predict", json=api.row)
        assert reply.status_code == 200
        identifier = reply.json()["prediction_id"]
        label = {"prediction_id": identifier, "label": 1}
        refused = await api.public.post("/labels", json=label)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        ready = await api.management.get("/health/ready")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        assert "gone" in ready.json()["warnings"][0]
        assert api.value("ml_prediction_log_rows_total", outcome="written") == 0
        assert api.value("ml_prediction_log_state", state="spooling") == 1
        database.error = None
        _until(lambda: log.warning is None and not spool.waits())
        stored = await api.public.post("/labels", json=label)
        assert stored.json()["labels"][0]["outcome"] == "stored"
        assert (await api.management.get("/health/ready")).json()["status"] == "ok"
        assert api.value("ml_prediction_log_rows_total", outcome="written") == 1
        assert api.value("ml_prediction_log_state", state="writing") == 1
        await writer.close()


@pytest.mark.anyio
async def test_dropped_rows_are_counted(
    make_api: ApiMaker, database: FakeDatabase, tmp_path: Path, instruments: Instruments
) -> None:
    """With no room left predictions go on, and each lost row is in the metric."""
    log = SpoolingLog(database.open, Spool(tmp_path / "small", 1), instruments, retry=0.005)
    database.error = OSError("gone")
    async with make_api() as api:
        writer = LogWriter(log.open, instruments, lambda: log.warning)
        api.service.writer = writer
        for _ in range(3):
            assert (await api.public.post("/predict", json=api.row)).status_code == 200
        assert api.value("ml_prediction_log_rows_total", outcome="dropped") == 3
        await writer.close()

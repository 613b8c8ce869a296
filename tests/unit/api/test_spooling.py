"""A log whose database fails: predictions go on, and nothing is lost or stored twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from testbed_api.log.spool import DAMAGED_SUFFIX, SUFFIX, Spool
from testbed_api.log.spooling import SpoolingLog
from testbed_api.log.writer import LogWriter
from testbed_api.telemetry.instruments import Instruments
from testbed_domain.logstore import PredictionRow
from testbed_otel.sdk import Telemetry

from tests.support.polling import wait_for

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

    def append(self, rows: Sequence[PredictionRow], *, missing: bool = False) -> None:
        """See ``LogSink``."""
        assert missing or not {row.id for row in rows} & self.rows.keys(), "stored twice"
        if self.error is not None:
            raise self.error
        for row in rows:
            self.rows.setdefault(row.id, row)
        if self.error_after is not None:
            raise self.error_after

    def append_labels(self, items: Sequence[tuple[str, str, float]]) -> list[Any]:
        """See ``LogSink``."""
        if self.error is not None:
            raise self.error
        self.labelled += len(items)
        return ["stored" if identifier in self.rows else "unknown" for identifier, _, _ in items]

    def check(self) -> None:
        """See ``LogSink``."""

    def close(self) -> None:
        """See ``LogSink``."""


def _rows(*numbers: int) -> list[PredictionRow]:
    return [ROW._replace(id=str(number)) for number in numbers]


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
    wait_for(lambda: log.warning is None and not log._spool.waits())
    assert sorted(database.rows) == ["1", "2", "3", "4"]
    wait_for(lambda: _value(telemetry, "ml_prediction_log_spooled") == 0)
    assert _value(telemetry, "ml_prediction_log_rows_total", outcome="written") == 3
    assert log.append(_rows(5)) == "written"


def test_write_whose_end_nobody_saw_is_stored_once(
    log: SpoolingLog, database: FakeDatabase
) -> None:
    """A commit that went through though it failed for us does not store its rows twice."""
    database.error_after = OSError("connection lost after commit")
    assert log.append(_rows(1, 2)) == "spooled"
    database.error_after = None
    wait_for(lambda: not log._spool.waits())
    assert sorted(database.rows) == ["1", "2"]


def test_database_that_is_absent_at_the_start(
    database: FakeDatabase, spool: Spool, instruments: Instruments
) -> None:
    """Rows wait from the first one on."""
    database.error = OSError("not there yet")
    log = SpoolingLog(database.open, spool, instruments, retry=0.005).open()
    assert log.append(_rows(1)) == "spooled"
    database.error = None
    wait_for(lambda: log.warning is None and not spool.waits())
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
    wait_for(lambda: "gone" not in str(log.warning) and not spool.waits())
    assert list(database.rows) == ["1"]
    # What was lost stays lost, so the warning stays though the database is back.
    assert log.warning == "100 predictions since the start were answered, but NOT recorded"
    assert log.append(_rows(2)) == "written"


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
    wait_for(lambda: not second._spool.waits())
    second.close()
    assert list(database.rows) == ["1"]


def test_damaged_rows_are_set_aside_counted_and_shown(
    database: FakeDatabase, instruments: Instruments, telemetry: Telemetry, tmp_path: Path
) -> None:
    """Every other row is written; the damaged line is there for a person until one takes it."""
    database.error = OSError("gone")
    first = SpoolingLog(database.open, Spool(tmp_path / "spool", 10_000), instruments).open()
    assert first.append(_rows(1, 2, 3)) == "spooled"
    first.close()  # nothing has read the rows that are damaged now, nor will before they are
    (segment,) = (tmp_path / "spool").glob(f"*{SUFFIX}")
    lines = segment.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b'"a":1', b'"a":7')
    segment.write_bytes(b"".join(lines))
    database.error = None
    spool = Spool(tmp_path / "spool", 10_000)
    log = SpoolingLog(database.open, spool, instruments, retry=0.005).open()
    wait_for(lambda: not spool.waits() and "damaged" in str(log.warning))
    assert sorted(database.rows) == ["1", "3"]
    assert "1 damaged lines of the spool are NOT in the log" in str(log.warning)
    wait_for(lambda: _value(telemetry, "ml_prediction_log_rows_total", outcome="damaged") == 1)
    assert _value(telemetry, "ml_prediction_log_state", state="writing") == 1
    (aside,) = (tmp_path / "spool").iterdir()
    assert aside.read_bytes() == lines[1]
    aside.unlink()
    wait_for(lambda: log.warning is None)
    log.close()


def test_damaged_rows_of_an_earlier_process_are_shown(
    database: FakeDatabase, tmp_path: Path, instruments: Instruments
) -> None:
    """A restart does not make them well."""
    folder = tmp_path / "spool"
    folder.mkdir()
    (folder / f"x{DAMAGED_SUFFIX}").write_bytes(b"one\ntwo\n")
    log = SpoolingLog(database.open, Spool(folder, 10_000), instruments, retry=0.005).open()
    assert str(log.warning).startswith("2 damaged lines")
    log.close()


def test_segment_stays_while_its_damaged_lines_can_not_be_set_aside(
    log: SpoolingLog, database: FakeDatabase, spool: Spool, tmp_path: Path
) -> None:
    """Its whole rows are in the log, and new ones go there; it is tried again."""
    database.error = OSError("gone")
    assert log.append(_rows(1)) == "spooled"
    (segment,) = (tmp_path / "spool").glob(f"*{SUFFIX}")
    with segment.open("ab") as file:
        file.write(b"damaged\n")
    blocked = segment.with_name(segment.name.replace(SUFFIX, ".v1.half"))
    blocked.mkdir()
    database.error = None
    wait_for(lambda: "can't be copied" in str(log.warning) and list(database.rows) == ["1"])
    assert log.append(_rows(2)) == "written"
    assert segment.exists()
    blocked.rmdir()
    wait_for(lambda: not spool.waits() and "can't be copied" not in str(log.warning))
    assert len(list((tmp_path / "spool").glob(f"*{DAMAGED_SUFFIX}"))) == 1


def test_segment_that_can_not_be_opened_is_shown(
    log: SpoolingLog, database: FakeDatabase, spool: Spool, tmp_path: Path
) -> None:
    """What nobody owns and nobody can read is not passed over in silence."""
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / f"x{SUFFIX}").mkdir()
    wait_for(lambda: "can't be opened: Is a directory" in str(log.warning))
    assert log.append(_rows(1)) == "written"
    assert list(database.rows) == ["1"]
    (tmp_path / "spool" / f"x{SUFFIX}").rmdir()
    wait_for(lambda: not spool.waits() and log.warning is None)


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
        wait_for(lambda: log.warning is None and not spool.waits())
        stored = await api.public.post("/labels", json=label)
        assert stored.json()["labels"][0]["outcome"] == "stored"
        assert (await api.management.get("/health/ready")).json()["status"] == "ok"
        # The rows are counted once their segment has gone.
        wait_for(lambda: api.value("ml_prediction_log_rows_total", outcome="written") == 1)
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

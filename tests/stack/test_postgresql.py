"""The prediction log on a real PostgreSQL server."""

from __future__ import annotations

import random
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest
from testbed.faults.rig.proxied import probe
from testbed.faults.rig.questions import question_for
from testbed_domain.logmaintenance import export, prune, stats
from testbed_domain.logstore import LogError, PredictionLog, PredictionRow, Selection, open_log
from testbed_drift.jobs.windowscheduler import WindowScheduler
from testbed_drift.rows.reading import WindowLog
from testbed_drift.rows.windows import NotEnoughRowsError, WindowReader
from testbed_drift.settings import DriftSettings

from tests.support.needs import missing
from tests.support.polling import PATIENCE, wait_for
from tests.support.postgres import PostgresServer
from tests.support.predictionlog import label_count, logged_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from testbed_domain.artefact import Artefact

ICU_DATABASES = 150_000
ROW = PredictionRow(
    "0", 0.5, "r", "one", "m", "v1", {"a": 1, "b": None, "c": 0.1, "ü": "x"}, "1", 0.75, {"1": 0.75}
)


def _rows(numbers: range) -> list[PredictionRow]:
    return [ROW._replace(id=str(number), time=float(number)) for number in numbers]


@pytest.fixture
def log(postgresql: PostgresServer) -> Iterator[PredictionLog]:
    """An empty log."""
    with open_log(postgresql.url) as opened:
        yield opened


def test_rows_and_labels(log: PredictionLog, postgresql: PostgresServer) -> None:
    """All that SQLite does: rows as they were, all or none, labels once, missing rows only."""
    log.append(_rows(range(4)))
    with pytest.raises(LogError, match="duplicate key"):
        log.append(_rows(range(3, 9)))
    log.append(_rows(range(2, 6)), missing=True)
    items = [("1", "1", 9.0), ("1", "0", 9.0), ("nobody", "1", 9.0)]
    assert log.append_labels(items) == ["stored", "duplicate", "unknown"]
    with open_log(postgresql.url, create=False) as reader:
        window = reader.window("v1")
        assert window.id == ["0", "1", "2", "3", "4", "5"]
        assert window.features["c"] == [0.1] * 6
        assert window.features["b"] == [None] * 6
        assert window.label == [None, "1", None, None, None, None]
        assert reader.counts() == {("one", "v1"): 6}
        assert sorted(logged_ids(reader)) == window.id


def test_a_disturbed_link_shows_by_a_question_that_the_database_answers(
    postgresql: PostgresServer,
) -> None:
    """Said in its protocol; anything else it closes itself, as if the link had been reset."""
    address = f"127.0.0.1:{postgresql.port}"
    assert probe(address, question_for("database"), PATIENCE) == "was answered"
    assert probe(address, question_for("api"), PATIENCE) != "was answered"


def test_another_password_than_that_of_the_data_is_reported(postgresql: PostgresServer) -> None:
    """With what may be wrong, and without any password."""
    url = postgresql.url.replace("secret-of-the-test", "another")
    with pytest.raises(LogError, match="keeps the password that its data were made with") as caught:
        open_log(url)
    assert "another one now" in str(caught.value)
    assert "another@" not in str(caught.value)


def test_replicas_at_once(postgresql: PostgresServer) -> None:
    """They make the tables once, and a label that all of them get is stored by exactly one."""
    gate = threading.Barrier(4)
    items = [(str(number), "1", 0.0) for number in range(100)]

    def start(number: int) -> list[str]:
        gate.wait(PATIENCE)
        with open_log(postgresql.url) as opened:
            opened.append(_rows(range(100 * number, 100 * number + 100)))
            gate.wait(PATIENCE)
            return [str(outcome) for outcome in opened.append_labels(items)]

    with ThreadPoolExecutor(4) as pool:
        outcomes = [outcome for one in pool.map(start, range(4)) for outcome in one]
    assert (outcomes.count("stored"), outcomes.count("duplicate")) == (100, 300)
    with open_log(postgresql.url) as opened:
        assert opened.count() == 400


def test_keeping(log: PredictionLog, tmp_path: Path) -> None:
    """Statistics, export and pruning work there too."""
    log.append(_rows(range(10)))
    log.append_labels([("3", "1", 20.0)])
    found = stats(log)
    assert (found.versions[0].rows, found.versions[0].labelled) == (10, 1)
    assert found.size > 1_000_000
    assert export(log, tmp_path / "out.parquet", start=2.0) == 8
    assert prune(log, 4.0, group=2) == 4
    assert (log.count(), label_count(log)) == (6, 0)


@pytest.fixture
def english(postgresql: PostgresServer) -> str:
    """URL of a database that orders texts as English does: a-1, A, a1, b, B."""
    with psycopg.connect(postgresql.url) as connection:
        if connection.info.server_version < ICU_DATABASES:
            missing("databases with a language's order: PostgreSQL 15 or newer")
    postgresql.execute(
        "CREATE DATABASE english TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"
    )
    return postgresql.url.removesuffix("/postgres") + "/english"


def test_windows_by_number_hold_each_row_once(english: str, tmp_path: Path) -> None:
    """Places have one order, whatever the database thinks of texts, over rows of one time too."""
    keys = [f"{letter}{mark}{number}" for letter in "aBbA" for mark in "-_ " for number in (1, 2)]
    with open_log(english) as log:
        log.append([ROW._replace(id=key, time=5.0, features={"a": 1.0}) for key in keys])
        log.append([ROW._replace(id=f"late-{number}", time=6.0 + number) for number in range(4)])
        every = Selection("v1")
        third = log.place(every, 3)
        assert third
        assert (log.size(replace(every, after=third)), log.size(replace(every, upto=third))) == (
            25,
            3,
        )
        parts = (replace(every, upto=third), replace(every, after=third))
        assert [key for part in parts for key in log.window_of(part).id] == log.window("v1").id
        assert log.place(every, 29) is None
    settings = DriftSettings(
        log_url=english,
        artefact=tmp_path,
        output=tmp_path,
        min_rows=2,
        window_rows=7,
        window_mode="tumbling",
    )
    turns, read = WindowScheduler.of(settings, "v1"), []
    turns.position.write(after=[0.0, ""])
    with WindowLog(open_log(english, create=False)) as windows:
        for behind in (True, True, True, False):
            found = turns.next(windows, WindowReader("v1", {"a": "numeric"}, 2, 100), 99.0)
            assert turns.behind is behind
            turns.done()
            assert found.columns
            read += list(found.columns.time)
        with pytest.raises(NotEnoughRowsError, match="0 of 7 rows of model v1 since"):
            turns.next(windows, WindowReader("v1", {"a": "numeric"}, 2, 100), 99.0)
    assert read == [5.0] * 24 + [6.0, 7.0, 8.0, 9.0]


def test_samples_and_pieces_are_those_of_sqlite(english: str, tmp_path: Path) -> None:
    """Both databases give the same share of the same rows, and pieces that make the same window."""
    rng = random.Random(1)  # noqa: S311 - ids of a test
    rows = [
        ROW._replace(
            id=str(uuid.UUID(int=rng.getrandbits(128), version=4)),
            time=float(number),
            features={"a": number, "b": None if number % 3 else 0.5, "ü": "xy"[number % 2]},
        )
        for number in range(3000)
    ]
    found = []
    for url in (english, f"sqlite:///{tmp_path / 'log.db'}"):
        with open_log(url) as log:
            log.append(rows)
            log.append_labels([(row.id, "1", 9.0) for row in rows[::2]])
            some = Selection("v1", 100, 2900, limit=2000, ratio=0.5)
            drawn = log.window_of(some)
            assert 900 <= len(drawn) <= 1100
            assert min(drawn.time) >= 900
            pieces = list(log.chunks(replace(some, ratio=None), size=700))
            assert [len(piece) for piece in pieces] == [700, 700, 600]
            assert pieces[0].time[-1] == 2899
        with WindowLog(open_log(url, create=False), cap=400) as windows:
            capped = windows.window("v1", 100, 2900, 2000)
            assert 330 <= len(capped) <= 470
            assert windows.size(Selection("v1", 100, 2900)) == 2800
        with WindowLog(open_log(url, create=False)) as windows:
            whole = windows.window("v1", 100, 2900, 2000)
            assert list(whole.time) == [float(number) for number in range(900, 2900)]
        shown = [
            ({name: [str(value) for value in part] for name, part in one.features.items()})
            | {"time": list(one.time), "label": list(one.label), "delay": list(one.label_time)}
            for one in (drawn, capped, whole)
        ]
        found.append(shown)
    assert found[0] == found[1]


def _predict(api: Any) -> httpx.Response:  # noqa: ANN401 - made by a fixture
    return httpx.post(f"http://127.0.0.1:{api.port}/predict", json=api_row(api), timeout=30)


def api_row(api: Any) -> dict[str, Any]:  # noqa: ANN401 - made by a fixture
    """The example of the API's own description."""
    page = httpx.get(f"http://127.0.0.1:{api.port}/openapi.json", timeout=30).json()
    body = page["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    example: dict[str, Any] = body["example"]
    return example


def _ready(api: Any) -> dict[str, Any]:  # noqa: ANN401 - made by a fixture
    url = f"http://127.0.0.1:{api.management_port}/health/ready"
    body: dict[str, Any] = httpx.get(url, timeout=30).json()
    return body


@pytest.fixture
def spooling_api(
    small_artefact: Artefact,
    start_api: Callable[..., Any],
    postgresql: PostgresServer,
    tmp_path: Path,
) -> Any:  # noqa: ANN401 - made by the fixture above
    """The API with its log in PostgreSQL, and a spool for while that is down."""
    return start_api(
        small_artefact.path,
        log_url=postgresql.url,
        environment={
            "TESTBED_API_LOG_FAILURE": "spool",
            "TESTBED_API_LOG_SPOOL": str(tmp_path / "spool"),
        },
    )


def test_server_that_crashes_and_comes_back(
    spooling_api: Any,  # noqa: ANN401 - made by a fixture
    postgresql: PostgresServer,
    tmp_path: Path,
) -> None:
    """Predictions go on without the server; with it back each is in the log exactly once."""
    ids = [_predict(spooling_api).json()["prediction_id"]]
    postgresql.stop("immediate")
    ids += [_predict(spooling_api).raise_for_status().json()["prediction_id"] for _ in range(20)]
    assert _ready(spooling_api)["status"] == "degraded"
    postgresql.start()
    wait_for(lambda: _ready(spooling_api)["status"] == "ok", 30, "the log did not come back")
    ids.append(_predict(spooling_api).json()["prediction_id"])
    wait_for(lambda: not list((tmp_path / "spool").iterdir()), 30, "the spool is not empty")
    with psycopg.connect(postgresql.url) as connection:
        stored = [row[0] for row in connection.execute("SELECT id FROM predictions")]
    assert sorted(stored) == sorted(ids)
    assert "secret-of-the-test" not in spooling_api.output.read_text()
    assert "Traceback" not in spooling_api.output.read_text()


def test_locked_tables_hold_predictions_up_for_seconds_only(
    spooling_api: Any,  # noqa: ANN401 - made by a fixture
    postgresql: PostgresServer,
    tmp_path: Path,
) -> None:
    """Someone else's lock on the tables sends the rows to the spool."""
    with psycopg.connect(postgresql.url) as connection:
        connection.execute("LOCK TABLE predictions IN ACCESS EXCLUSIVE MODE")
        ids = [_predict(spooling_api).raise_for_status().json()["prediction_id"] for _ in range(3)]
    wait_for(lambda: _ready(spooling_api)["status"] == "ok", 30, "the log did not come back")
    wait_for(lambda: not list((tmp_path / "spool").iterdir()), 30, "the spool is not empty")
    with open_log(postgresql.url) as log:
        assert sorted(logged_ids(log)) == sorted(ids)

"""The prediction log: durable, idempotent, readable while it is written."""

from __future__ import annotations

import contextlib
import math
import random
import sqlite3
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from testbed_domain.logengine import _write_ahead, create_log_engine
from testbed_domain.logstore import (
    LogError,
    PredictionLog,
    PredictionRow,
    Selection,
    open_log,
)

from tests.support.polling import PATIENCE
from tests.support.predictionlog import label_count, logged_ids

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed_domain.artefact import Artefact


def _row(number: int, *, version: str = "v1", instance: str = "one") -> PredictionRow:
    return PredictionRow(
        id=f"{version}-{number}",
        time=float(number),
        request_id=None,
        instance=instance,
        model_name="model",
        model_version=version,
        features={"a": number, "b": None, "c": 0.1},
        prediction="1",
        probability=0.75,
        probabilities={"0": 0.25, "1": 0.75},
    )


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A log that does not exist yet."""
    return f"sqlite:///{tmp_path / 'log.db'}"


@pytest.fixture
def log(url: str) -> Iterator[PredictionLog]:
    """An empty log."""
    with open_log(url) as opened:
        yield opened


def test_rows_survive_as_they_were(log: PredictionLog, url: str) -> None:
    """Another connection reads exactly what was appended, oldest first."""
    log.append([_row(2), _row(1)])
    with open_log(url, create=False) as reader:
        window = reader.window("v1")
    assert window.id == ["v1-1", "v1-2"]
    assert window.time == [1.0, 2.0]
    assert window.features == {"a": [1, 2], "b": [None, None], "c": [0.1, 0.1]}
    assert window.prediction == ["1", "1"]
    assert window.probability == [0.75, 0.75]
    assert window.label == [None, None]
    assert window.probabilities == [{"0": 0.25, "1": 0.75}] * 2


def test_window_bounds_limit_and_version(log: PredictionLog) -> None:
    """The start is in, the end is out, a limit keeps the latest, and versions stay apart."""
    log.append([_row(number) for number in range(10)])
    log.append([_row(5, version="v2")])
    assert log.window("v1", 3, 6).time == [3.0, 4.0, 5.0]
    assert log.window("v1", 3, 6, limit=2).time == [4.0, 5.0]
    assert log.window("v1", start=8).time == [8.0, 9.0]
    assert len(log.window("v2")) == 1
    empty = log.window("v1", 100)
    assert len(empty) == 0
    assert empty.features == {}


def test_counts(log: PredictionLog) -> None:
    """Rows are counted in all, by version and time, and by instance."""
    log.append([_row(number) for number in range(4)])
    log.append([_row(number, version="v2", instance="two") for number in range(10, 13)])
    assert log.count() == 7
    assert log.count("v1") == 4
    assert log.count(start=3, end=11) == 2
    assert log.counts() == {("one", "v1"): 4, ("two", "v2"): 3}
    assert sorted(logged_ids(log))[:2] == ["v1-0", "v1-1"]
    assert [(found.model_version, found.rows, found.last) for found in log.versions()] == [
        ("v1", 4, 3.0),
        ("v2", 3, 12.0),
    ]


def test_an_append_is_all_or_nothing(log: PredictionLog) -> None:
    """A batch with an id that is there already leaves nothing behind."""
    log.append([_row(1)])
    with pytest.raises(LogError, match="UNIQUE"):
        log.append([_row(2), _row(1)])
    assert log.count() == 1
    log.append([])
    assert log.count() == 1


def test_labels_are_idempotent(log: PredictionLog) -> None:
    """A label counts once: repeats are duplicates, the first value stays, strangers are unknown."""
    log.append([_row(1), _row(2)])
    first = [("v1-1", "1", 5.0), ("v1-1", "0", 5.0), ("nobody", "1", 5.0)]
    assert log.append_labels(first) == ["stored", "duplicate", "unknown"]
    assert log.append_labels([("v1-1", "0", 6.0), ("v1-2", "0", 6.0)]) == ["duplicate", "stored"]
    assert log.append_labels([]) == []
    assert log.window("v1").label == ["1", "0"]
    assert log.window("v1").label_time == [5.0, 6.0]
    assert label_count(log) == 2


def test_many_labels_at_once(log: PredictionLog) -> None:
    """Batches beyond a query's limit of parameters are stored whole."""
    log.append([_row(number) for number in range(2_500)])
    items = [(f"v1-{number}", "1", 0.0) for number in range(2_600)]
    assert log.append_labels(items) == ["stored"] * 2_500 + ["unknown"] * 100
    assert log.append_labels(items) == ["duplicate"] * 2_500 + ["unknown"] * 100


def test_two_label_writers(log: PredictionLog, url: str) -> None:
    """When two replicas get the same labels at once, each label is stored by exactly one."""
    log.append([_row(number) for number in range(300)])
    items = [(f"v1-{number}", "1", 0.0) for number in range(300)]
    batches = [items[start : start + 10] for start in range(0, 300, 10)]
    with open_log(url) as other, ThreadPoolExecutor(2) as pool:
        both = list(
            pool.map(lambda one: [one.append_labels(batch) for batch in batches], (log, other))
        )
    outcomes = [outcome for writer in both for batch in writer for outcome in batch]
    assert outcomes.count("stored") == outcomes.count("duplicate") == 300


def test_reference_is_registered_once(log: PredictionLog, iris: Artefact) -> None:
    """The log's reference is the artefact's, in order, however often it is registered."""
    log.register_reference(iris)
    log.register_reference(iris)
    reference, rows = log.reference(iris.version), list(iris.reference())
    assert len(reference) == len(rows)
    assert reference.label == [row.label for row in rows]
    assert reference.probability == [row.probability for row in rows]
    assert reference.probabilities == [row.probabilities for row in rows]
    assert reference.label_time == []
    assert reference.features == {
        name: [row.features[name] for row in rows] for name in iris.schema.names
    }
    assert len(log.reference("another")) == 0


def test_reading_while_writing(log: PredictionLog, url: str) -> None:
    """A reader beside a busy writer never fails and sees whole batches that only grow."""
    batches, size = 60, 20
    done = threading.Event()

    def write() -> None:
        try:
            for batch in range(batches):
                log.append([_row(batch * size + number) for number in range(size)])
        finally:
            done.set()

    seen: list[int] = []
    with open_log(url, create=False) as reader, ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write)
        while not done.is_set():
            seen.append(reader.count())
        writer.result()
        seen.append(reader.count())
    assert seen == sorted(seen)
    assert {number % size for number in seen} == {0}
    assert seen[-1] == batches * size


def test_a_reader_in_the_middle_does_not_block_the_writer(log: PredictionLog) -> None:
    """Rows can be appended while someone streams the ids."""
    log.append([_row(number) for number in range(5)])
    ids = logged_ids(log)
    next(ids)
    log.append([_row(9)])
    assert len(list(ids)) == 4


def test_opening_at_once(url: str) -> None:
    """Replicas that start together make the tables once, and all can write."""
    gate = threading.Barrier(4)

    def start(number: int) -> None:
        gate.wait(PATIENCE)
        with open_log(url) as opened:
            opened.append([_row(number, instance=str(number))])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(start, range(4)))
    with open_log(url) as opened:
        assert opened.count() == 4


def test_the_change_to_writing_ahead_waits_for_its_turn(tmp_path: Path) -> None:
    """SQLite refuses it at once where another connection writes; it is tried again."""
    with (
        contextlib.closing(sqlite3.connect(tmp_path / "log.db", isolation_level=None)) as other,
        contextlib.closing(sqlite3.connect(tmp_path / "log.db", 0.0)) as connection,
    ):
        other.execute("CREATE TABLE a (b)")
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO a VALUES (1)")
        tried: list[str] = []

        def seen(statement: str) -> None:
            tried.append(statement)
            if len(tried) == 2:
                other.execute("COMMIT")

        connection.set_trace_callback(seen)
        _write_ahead(connection, 30)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert len(tried) >= 2


def test_the_change_to_writing_ahead_ends(tmp_path: Path) -> None:
    """Who never gets his turn is answered."""
    with (
        contextlib.closing(sqlite3.connect(tmp_path / "log.db", isolation_level=None)) as other,
        contextlib.closing(sqlite3.connect(tmp_path / "log.db", 0.0)) as connection,
    ):
        other.execute("CREATE TABLE a (b)")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            _write_ahead(connection, 0.05)


def test_sqlite_is_durable_and_does_not_block(log: PredictionLog) -> None:
    """Every connection writes ahead and syncs each commit."""
    with log._read() as connection:
        settings = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout")
        ]
    assert settings == ["wal", 2, 30_000]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("log.db", "URL is not valid; write sqlite:"),
        ("sqlite://", "in memory is lost with"),
        ("sqlite:////nowhere/at/all/log.db", "directory /nowhere/at/all does not exist"),
        ("mysql://host/log", "cannot be stored in mysql"),
    ],
)
def test_unusable_urls(url: str, message: str) -> None:
    """Each kind of unusable URL is answered with what to write instead."""
    with pytest.raises(LogError, match=message):
        open_log(url)


def test_a_password_may_stand_in_a_file(tmp_path: Path) -> None:
    """As Docker hands secrets over; a file that can't be read is named."""
    file = tmp_path / "password"
    file.write_text("a@b/c:d\n")
    url = f"postgresql://user@127.0.0.1:1/log?password_file={file}&sslmode=disable"
    engine = create_log_engine(url, create=False)
    assert engine.url.password == "a@b/c:d"  # noqa: S105 - made up
    assert dict(engine.url.query) == {"sslmode": "disable"}
    with pytest.raises(LogError, match=f"the password can't be read from {file}x"):
        create_log_engine(url.replace("&", "x&"), create=False)


def test_passwords_are_not_shown() -> None:
    """A PostgreSQL server that cannot be reached is named without its password."""
    for url in (
        "postgresql://user:secret@127.0.0.1:1/log",
        "postgresql://user@127.0.0.1:1/log?password=secret",
        "postgresql://user@127.0.0.1:1/log?connect_timeout=2&pass%77ord=secret",
        "postgresql://user:sec/secret@127.0.0.1:1/log",
        "postgresql://user:sec@secret@127.0.0.1:1/log",
        "postgresql://user:sec@secret/secret@127.0.0.1:1/log",
        "postgresql://user:sec@127.0.0.1:secret@127.0.0.1:1/log",
        "mysql://user:secret@127.0.0.1/log",
        "secret",
    ):
        with pytest.raises(LogError) as caught:
            open_log(url)
        assert "secret" not in str(caught.value), url
        assert "\n" not in str(caught.value)


def test_what_is_no_log(tmp_path: Path, url: str) -> None:
    """An absent log, a file that is no database, and a foreign schema version are distinguished."""
    with pytest.raises(LogError, match=r"no prediction log at .*log\.db"):
        open_log(url, create=False)
    assert not list(tmp_path.iterdir())

    text = tmp_path / "text.db"
    text.write_text("no database, but long enough to be looked at\n" * 40, encoding="utf-8")
    with pytest.raises(LogError, match="file is not a database"):
        open_log(f"sqlite:///{text}")

    empty = tmp_path / "empty.db"
    empty.touch()
    with pytest.raises(LogError, match="holds no prediction log"):
        open_log(f"sqlite:///{empty}", create=False)

    open_log(url).close()
    with sqlite3.connect(tmp_path / "log.db") as connection:
        connection.execute("UPDATE prediction_log_meta SET value = '99'")
    connection.close()
    with pytest.raises(LogError, match="schema version 99, this program needs 1"):
        open_log(url)
    with sqlite3.connect(tmp_path / "log.db") as connection:
        connection.execute("DROP TABLE prediction_log_meta")
    connection.close()
    with pytest.raises(LogError, match="schema version None"):
        open_log(url)


def test_pieces_come_newest_first_and_hold_the_window(log: PredictionLog) -> None:
    """A window in pieces has the rows of the window, each piece oldest first."""
    log.append([_row(number) for number in range(10)])
    pieces = [list(piece.time) for piece in log.chunks(Selection("v1", 1, 9, limit=7), size=3)]
    assert pieces == [[6.0, 7.0, 8.0], [3.0, 4.0, 5.0], [2.0]]


def test_a_share_is_drawn_from_the_newest_rows_by_their_ids(log: PredictionLog) -> None:
    """About the share of the rows is read, the same ones by every reader, none beyond the limit."""
    rng = random.Random(1)  # noqa: S311 - ids of a test
    ids = [str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in range(4000)]
    log.append([_row(number)._replace(id=key) for number, key in enumerate(ids)])
    half = Selection("v1", limit=2000, ratio=0.5)
    found = log.window_of(half)
    assert 900 <= len(found) <= 1100
    assert min(found.time) >= 2000
    assert log.window_of(half).id == found.id
    assert set(found.id) > set(log.window_of(replace(half, ratio=0.25)).id)
    assert len(log.window_of(replace(half, ratio=1.0))) == log.size(half) == 2000
    assert len(log.window_of(replace(half, ratio=0.0))) == 0


def test_places_count_rows_of_the_same_time(log: PredictionLog) -> None:
    """The order is that of time and id, so that no row is skipped or read twice."""
    log.append([_row(5)._replace(id=f"same-{place}") for place in (2, 0, 1)])
    log.append([_row(4), _row(6)])
    first = log.place(Selection("v1"), 3)
    assert first == (5.0, "same-1")
    rest = Selection("v1", after=first)
    assert list(log.window_of(rest).time) == [5.0, 6.0]
    assert log.window_of(Selection("v1", upto=first)).id == ["v1-4", "same-0", "same-1"]
    assert log.place(rest, 2) == (6.0, "v1-6")
    assert log.place(rest, 3) is None
    assert (log.size(rest), log.size(Selection("v1", upto=first))) == (2, 3)


def test_versions_of_a_span(log: PredictionLog) -> None:
    """Only versions that were asked in the span are named."""
    log.append([_row(1), _row(2), _row(9, version="v2")])
    assert [found.model_version for found in log.versions(2, 9)] == ["v1"]
    assert [found.rows for found in log.versions(2, 10)] == [1, 1]


def test_numbers_that_json_lacks_are_read(log: PredictionLog) -> None:
    """A NaN that the standard library wrote does not hide the window."""
    log.append([_row(1)._replace(features={"a": math.nan}), _row(2)], missing=True)
    assert math.isnan(float(str(log.window("v1").features["a"][0])))

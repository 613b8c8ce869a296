"""The prediction log as a store: appending for the API, reading for the drift job and the checks.

Synchronous; a web server calls it from a thread of its own. SQLite by default, in WAL mode, so
that readers never wait for the writer, and with every commit on disk before it returns;
PostgreSQL by URL with the same code. The tables are those of :mod:`testbed_domain.predictionlog`.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeAlias

import orjson
from sqlalchemy import Connection, Engine, func, insert, inspect, select
from sqlalchemy.dialects import postgresql, sqlite
from testbed_otel.masking import mask

from testbed_domain.logengine import (
    LogError,
    LogReplacedError,
    check_files,
    create_log_engine,
    lock_schema,
    one_line,
    writing,
)
from testbed_domain.logreading import (
    Place,
    Selection,
    conditions,
    joined,
    place_query,
    reference_columns,
    reference_query,
    size_query,
    window_columns,
    window_query,
)
from testbed_domain.logrows import Columns, LoggedVersion, PredictionRow
from testbed_domain.predictionlog import (
    SCHEMA_VERSION,
    labels,
    log_meta,
    metadata,
    predictions,
    reference_rows,
)
from testbed_domain.shallow import shallow_dict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from testbed_domain.artefact import Artefact

__all__ = [
    "Columns",
    "LogError",
    "LogReplacedError",
    "LoggedVersion",
    "Place",
    "PredictionLog",
    "PredictionRow",
    "Selection",
    "open_log",
]

LabelOutcome: TypeAlias = Literal["stored", "duplicate", "unknown"]

# Ids asked for in one query: far below every database's limit of parameters.
_CHUNK: Final = 1_000


class PredictionLog:
    """An open prediction log. Safe to use from several threads; close it or use it in ``with``.

    Every method raises :class:`LogError` where the database refuses.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._append = str(insert(predictions).compile(dialect=engine.dialect))
        self._insert: Any = postgresql.insert if engine.name == "postgresql" else sqlite.insert

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def engine(self) -> Engine:
        """The database, for :mod:`testbed_domain.logmaintenance`."""
        return self._engine

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def check(self) -> None:
        """Raise :class:`LogReplacedError` where the log's file was replaced or removed."""
        with one_line(self._engine.url):
            check_files(self._engine)

    def append(self, rows: Sequence[PredictionRow], *, missing: bool = False) -> None:
        """Append predictions in one transaction; on return they are durable, all or none.

        Args:
            rows: what to append.
            missing: leave out those whose ids are there already.
        """
        if not rows:
            return
        if missing:
            values = [row._asdict() for row in rows]
            with self._write() as connection:
                connection.execute(self._insert(predictions).on_conflict_do_nothing(), values)
            return
        values = [
            row._asdict()
            | {
                "features": orjson.dumps(row.features).decode(),
                "probabilities": orjson.dumps(row.probabilities).decode(),
            }
            for row in rows
        ]
        with self._write() as connection:
            # Straight to the driver: half the time that an insert of the ORM's core takes.
            connection.exec_driver_sql(self._append, values)

    def append_labels(self, items: Sequence[tuple[str, str, float]]) -> list[LabelOutcome]:
        """Store labels that arrived; the first label of a prediction stays.

        Args:
            items: prediction id, class as text, and time of arrival in UTC Unix seconds.

        Returns:
            For each item ``stored``, ``duplicate`` (it had a label already) or ``unknown`` (the log
            has no such prediction).
        """
        if not items:
            return []
        first: dict[str, dict[str, Any]] = {}
        for prediction_id, label, time in items:
            first.setdefault(
                prediction_id, {"prediction_id": prediction_id, "label": label, "time": time}
            )
        with self._write() as connection:
            known = _known(connection, list(first))
            # Sorted, so that two replicas with the same labels lock rows in the same order.
            new = [first[prediction_id] for prediction_id in sorted(known)]
            stored = self._insert_new_labels(connection, new)
        outcomes: list[LabelOutcome] = []
        for prediction_id, _, _ in items:
            if prediction_id in stored:
                stored.remove(prediction_id)  # its next label in this batch is a duplicate
                outcomes.append("stored")
            else:
                outcomes.append("duplicate" if prediction_id in known else "unknown")
        return outcomes

    def decisions(self, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Model version and predicted class, as text, of those of the ids that the log knows."""
        columns = predictions.c
        found: dict[str, tuple[str, str]] = {}
        with self._read() as connection:
            for start in range(0, len(ids), _CHUNK):
                query = select(columns.id, columns.model_version, columns.prediction)
                rows = connection.execute(query.where(columns.id.in_(ids[start : start + _CHUNK])))
                found |= {key: (version, prediction) for key, version, prediction in rows}
        return found

    def register_reference(self, artefact: Artefact) -> None:
        """Put the artefact's reference rows into the log, unless they are there."""
        if self._reference_count(artefact.version) == artefact.splits["reference"]:
            return
        values = [
            {"model_version": artefact.version, "row": number, **shallow_dict(row)}
            for number, row in enumerate(artefact.reference())
        ]
        with self._write() as connection:
            connection.execute(self._insert(reference_rows).on_conflict_do_nothing(), values)

    def count(
        self,
        model_version: str | None = None,
        start: float | None = None,
        end: float | None = None,
    ) -> int:
        """Number of predictions; of one version and from ``start`` to before ``end`` if given."""
        query = select(func.count()).select_from(predictions)
        with self._read() as connection:
            return int(connection.scalar(query.where(*conditions(model_version, start, end))) or 0)

    def counts(self) -> dict[tuple[str, str], int]:
        """Number of predictions by ``(instance, model_version)``."""
        by = (predictions.c.instance, predictions.c.model_version)
        with self._read() as connection:
            found = connection.execute(select(*by, func.count()).group_by(*by))
            return {(instance, version): number for instance, version, number in found}

    def versions(self, start: float | None = None, end: float | None = None) -> list[LoggedVersion]:
        """The model versions that have predictions, the most lately used last.

        Args:
            start: look only at predictions from this time on.
            end: look only at predictions before this time.
        """
        by = (predictions.c.model_name, predictions.c.model_version)
        time = predictions.c.time
        query = select(*by, func.count(), func.min(time), func.max(time)).group_by(*by)
        query = query.where(*conditions(None, start, end))
        with self._read() as connection:
            found = connection.execute(query.order_by(func.max(time)))
            return [LoggedVersion(*values) for values in found]

    def window(
        self,
        model_version: str,
        start: float | None = None,
        end: float | None = None,
        limit: int | None = None,
    ) -> Columns:
        """Predictions of a version with the labels that have come, oldest first.

        Args:
            model_version: whose.
            start: earliest time, included.
            end: latest time, excluded.
            limit: keep only so many of the latest rows.
        """
        return self.window_of(Selection(model_version, start, end, limit))

    def window_of(self, selection: Selection) -> Columns:
        """The chosen predictions with the labels that have come, oldest first."""
        return joined(self.chunks(selection))

    def chunks(self, selection: Selection, size: int = 10_000) -> Iterator[Columns]:
        """The same in pieces of at most ``size`` rows, the newest piece first.

        Only one piece is in memory at a time, whatever the window holds. Each piece is oldest
        first.
        """
        with self._read() as connection:
            streamed = connection.execution_options(yield_per=size)
            for rows in streamed.execute(window_query(selection)).partitions(size):
                yield window_columns(rows[::-1])

    def size(self, selection: Selection) -> int:
        """Number of the chosen predictions, before a share of them is drawn."""
        with self._read() as connection:
            return int(connection.scalar(size_query(selection)) or 0)

    def place(self, selection: Selection, number: int) -> Place | None:
        """Place of the ``number``-th of the chosen predictions, oldest first; None: they are fewer.

        Args:
            selection: of its attributes, version, start, end and ``after`` count.
            number: counted from 1.
        """
        with self._read() as connection:
            found = connection.execute(place_query(selection, number)).first()
            return None if found is None else (found[0], found[1])

    def reference(self, model_version: str) -> Columns:
        """The reference rows of a version, in their order; none where none are registered."""
        with self._read() as connection:
            return reference_columns(connection.execute(reference_query(model_version)).all())

    def _reference_count(self, model_version: str) -> int:
        query = select(func.count()).select_from(reference_rows)
        with self._read() as connection:
            where = reference_rows.c.model_version == model_version
            return int(connection.scalar(query.where(where)) or 0)

    def _insert_new_labels(self, connection: Connection, values: list[dict[str, Any]]) -> set[str]:
        """Insert the labels that no one stored before; the ids of those stored now."""
        if not values:
            return set()
        statement = self._insert(labels).on_conflict_do_nothing()
        return set(connection.scalars(statement.returning(labels.c.prediction_id), values))

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with one_line(self._engine.url), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with one_line(self._engine.url), writing(self._engine) as connection:
            yield connection


def open_log(url: str, *, create: bool = True, timeout: float = 30.0) -> PredictionLog:
    """Open the prediction log at a database URL.

    Args:
        url: ``sqlite:////absolute/file.db``, ``sqlite:///relative.db`` or
            ``postgresql://user:password@host/database``.
        create: make the tables (and the SQLite file) where they are missing; else that is an
            error.
        timeout: seconds to wait for another writer's lock, or for a server that doesn't answer.

    Raises:
        LogError: the URL is none, the database cannot be reached or is no database, has no log
            and ``create`` is off, or a log of another schema version.
    """
    engine = create_log_engine(url, create=create, timeout=timeout)
    try:
        with one_line(engine.url):
            _prepare(engine, create=create)
    except BaseException:
        engine.dispose()
        raise
    return PredictionLog(engine)


def _prepare(engine: Engine, *, create: bool) -> None:
    with engine.connect() as connection:
        if _check_version(connection):
            return
    if not create:
        raise LogError(f"{mask(engine.url)} holds no prediction log; give the API's --log-url")
    with writing(engine) as connection:
        # Another replica may have been faster: look again, now that this one alone may write.
        lock_schema(connection)
        if not _check_version(connection):
            metadata.create_all(connection)
            connection.execute(
                insert(log_meta), {"key": "schema_version", "value": str(SCHEMA_VERSION)}
            )


def _check_version(connection: Connection) -> bool:
    """Whether the tables are there, in this program's schema version."""
    inspector = inspect(connection)
    if inspector.has_table(log_meta.name):
        query = select(log_meta.c.value).where(log_meta.c.key == "schema_version")
        version = connection.scalar(query)
    elif inspector.has_table(predictions.name):
        version = None
    else:
        return False
    if version != str(SCHEMA_VERSION):
        raise LogError(
            f"the prediction log {mask(connection.engine.url)} has schema version {version}, this "
            f"program needs {SCHEMA_VERSION}; give another --log-url"
        )
    return True


def _known(connection: Connection, ids: list[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(ids), _CHUNK):
        chunk = ids[start : start + _CHUNK]
        found.update(
            connection.scalars(select(predictions.c.id).where(predictions.c.id.in_(chunk)))
        )
    return found

"""Keeping a prediction log: what it holds, how it is pruned, and its export to Parquet."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Row, delete, distinct, func, select, text

from testbed_domain.logengine import LogError, one_line, writing
from testbed_domain.predictionlog import labels, predictions

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from sqlalchemy import ColumnElement, Connection, Select

    from testbed_domain.logstore import PredictionLog

# Rows deleted in one transaction, so that the API's own writes never wait long.
PRUNE_GROUP: Final = 1_000
# The largest part of a log that goes without somebody's explicit word.
PRUNE_RATIO: Final = 0.5
EXPORT_GROUP: Final = 5_000
FEATURE_PREFIX: Final = "feature."
PROBABILITY_PREFIX: Final = "probability."


@dataclass(frozen=True, slots=True)
class VersionStats:
    """What the log holds of one model version; times are UTC Unix seconds."""

    model_name: str
    model_version: str
    rows: int
    labelled: int
    instances: int
    first: float
    last: float


@dataclass(frozen=True, slots=True)
class LogStats:
    """What the log holds.

    Attributes:
        versions: one entry per model version, the most lately used last.
        size: bytes on disk.
    """

    versions: tuple[VersionStats, ...]
    size: int


def stats(log: PredictionLog) -> LogStats:
    """Count what the log holds.

    Raises:
        LogError: the database refuses.
    """
    p = predictions.c
    query = (
        select(
            p.model_name,
            p.model_version,
            func.count(),
            func.count(labels.c.prediction_id),
            func.count(distinct(p.instance)),
            func.min(p.time),
            func.max(p.time),
        )
        .join_from(predictions, labels, p.id == labels.c.prediction_id, isouter=True)
        .group_by(p.model_name, p.model_version)
        .order_by(func.max(p.time))
    )
    with _snapshot(log) as connection:
        versions = tuple(VersionStats(*row) for row in connection.execute(query))
        return LogStats(versions, _size(connection))


class PruneRefusedError(LogError):
    """So much would be deleted that the clock is more likely to be wrong than the predictions old.

    Attributes:
        rows: how many predictions would go.
        total: how many there are.
    """

    def __init__(self, rows: int, total: int) -> None:
        super().__init__(
            f"{rows} of {total} predictions are old enough to be deleted, more than half: check "
            "the clock, then run testbed log prune --older-than AGE --more-than-half"
        )
        self.rows = rows
        self.total = total


def prunable(log: PredictionLog, before: float) -> int:
    """How many predictions :func:`prune` would delete.

    A run that nobody looks at must not empty a log because a clock is wrong, so there is a bound.

    Args:
        log: the log.
        before: UTC Unix seconds.

    Raises:
        PruneRefusedError: more than half of all.
        LogError: the database refuses.
    """
    p = predictions.c
    with _snapshot(log) as connection:
        versions = list(connection.scalars(select(p.model_version).distinct()))
        old = select(func.count()).select_from(predictions).where(p.time < before)
        rows = sum(
            int(connection.scalar(old.where(p.model_version == version)) or 0)
            for version in versions
        )
        if not rows:
            return 0
        total = int(connection.scalar(select(func.count()).select_from(predictions)) or 0)
    if rows > total * PRUNE_RATIO:
        raise PruneRefusedError(rows, total)
    return rows


def prune(log: PredictionLog, before: float, group: int = PRUNE_GROUP) -> int:
    """Delete the predictions made before a time, with their labels; reference rows stay.

    Args:
        log: the log.
        before: UTC Unix seconds.
        group: rows per transaction.

    Returns:
        How many predictions went.

    Raises:
        LogError: the database refuses; what was deleted until then stays so.
    """
    p = predictions.c
    gone = 0
    with _snapshot(log) as connection:
        versions = list(connection.scalars(select(p.model_version).distinct()))
    for version in versions:  # the index begins with it
        old = select(p.id).where(p.model_version == version, p.time < before).limit(group)
        found = group
        while found == group:
            with one_line(log.engine.url), writing(log.engine) as connection:
                ids = list(connection.scalars(old))
                connection.execute(delete(labels).where(labels.c.prediction_id.in_(ids)))
                connection.execute(delete(predictions).where(p.id.in_(ids)))
            found = len(ids)
            gone += found
    return gone


def export(
    log: PredictionLog,
    file: Path,
    *,
    start: float | None = None,
    end: float | None = None,
    model_version: str | None = None,
) -> int:
    """Write predictions with their labels to a Parquet file, oldest first, one row each.

    The columns are those of the log (``time`` as UTC timestamp in microseconds), ``label`` and
    ``label_time`` (null where none has come), ``feature.NAME`` and ``probability.CLASS``. A feature
    that holds both texts and numbers is written as text.

    Args:
        log: the log; memory stays bounded however large it is.
        file: replaced when all is written.
        start: earliest time, included, UTC Unix seconds.
        end: latest time, excluded.
        model_version: only this one.

    Returns:
        How many rows were written.

    Raises:
        LogError: the database refuses, or the file can't be written.
    """
    import pyarrow as pa  # noqa: PLC0415 - only here: the serving process never needs it
    import pyarrow.parquet as pq  # noqa: PLC0415 - goes with the above

    query = _exported(_conditions(start, end, model_version))
    half = file.with_name(f".{file.name}.half")
    rows = 0
    try:
        # One snapshot: what is written is what the columns were made for.
        with _snapshot(log) as connection:
            schema = _arrow_schema(connection, query)
            with pq.ParquetWriter(half, schema) as writer:
                for group in _groups(connection, query):
                    columns = [_column(group, field) for field in schema]
                    writer.write_table(pa.Table.from_arrays(columns, schema=schema))
                    rows += len(group)
        half.replace(file)
    except OSError as error:
        raise LogError(f"cannot write {file}: {error.strerror or error}") from error
    finally:
        half.unlink(missing_ok=True)
    return rows


def _conditions(
    start: float | None, end: float | None, model_version: str | None
) -> list[ColumnElement[bool]]:
    p = predictions.c
    chosen = []
    if model_version is not None:
        chosen.append(p.model_version == model_version)
    if start is not None:
        chosen.append(p.time >= start)
    if end is not None:
        chosen.append(p.time < end)
    return chosen


def _exported(conditions: list[ColumnElement[bool]]) -> Select[Any]:
    p, truth = predictions.c, labels.c
    return (
        select(*p, truth.label, truth.time.label("label_time"))
        .join_from(predictions, labels, p.id == truth.prediction_id, isouter=True)
        .where(*conditions)
        .order_by(p.time, p.id)
    )


def _groups(connection: Connection, query: Select[Any]) -> Iterator[list[Row[Any]]]:
    result = connection.execution_options(yield_per=EXPORT_GROUP).execute(query)
    yield from (list(part) for part in result.partitions())


def _arrow_schema(connection: Connection, query: Select[Any]) -> pa.Schema:
    import pyarrow as pa  # noqa: PLC0415 - only here: the serving process never needs it

    kinds: dict[str, set[type]] = {}
    classes: dict[str, None] = {}
    for group in _groups(connection, query):
        for row in group:
            for name, value in row.features.items():
                kinds.setdefault(name, set()).add(type(value))
            classes |= dict.fromkeys(row.probabilities)
    time = pa.timestamp("us", tz="UTC")
    texts = ("request_id", "instance", "model_name", "model_version", "prediction")
    return pa.schema(
        [
            ("id", pa.string()),
            ("time", time),
            *((name, pa.string()) for name in texts),
            ("probability", pa.float64()),
            ("label", pa.string()),
            ("label_time", time),
            *((FEATURE_PREFIX + name, _arrow_type(found)) for name, found in kinds.items()),
            *((PROBABILITY_PREFIX + name, pa.float64()) for name in classes),
        ]
    )


def _arrow_type(kinds: set[type]) -> pa.DataType:
    import pyarrow as pa  # noqa: PLC0415 - only here: the serving process never needs it

    found = kinds - {type(None)}
    if not found:
        return pa.null()
    if found == {int}:
        return pa.int64()
    return pa.float64() if found <= {int, float} else pa.string()


def _column(rows: list[Row[Any]], field: pa.Field) -> pa.Array:
    import pyarrow as pa  # noqa: PLC0415 - only here: the serving process never needs it

    name: str = field.name
    if name.startswith(FEATURE_PREFIX):
        values = [row.features.get(name.removeprefix(FEATURE_PREFIX)) for row in rows]
        if pa.types.is_string(field.type):
            values = [None if value is None else str(value) for value in values]
    elif name.startswith(PROBABILITY_PREFIX):
        values = [row.probabilities.get(name.removeprefix(PROBABILITY_PREFIX)) for row in rows]
    else:
        values = [getattr(row, name) for row in rows]
        if pa.types.is_timestamp(field.type):
            values = [None if value is None else round(value * 1e6) for value in values]
    return pa.array(values, type=field.type)


@contextmanager
def _snapshot(log: PredictionLog) -> Iterator[Connection]:
    """A connection on which every query sees the same rows."""
    with one_line(log.engine.url), log.engine.connect() as plain:
        # SQLite's read transactions are such by themselves.
        options: dict[str, Any] = {"isolation_level": "REPEATABLE READ"}
        connection = plain
        if log.engine.name == "postgresql":
            connection = plain.execution_options(**options)
        yield connection


def _size(connection: Connection) -> int:
    if connection.dialect.name == "postgresql":
        query = "SELECT pg_database_size(current_database())"
        return int(connection.scalar(text(query)) or 0)
    file = Path(str(connection.engine.url.database))
    beside = [file, *(file.with_name(file.name + suffix) for suffix in ("-wal", "-shm"))]
    return sum(path.stat().st_size for path in beside if path.exists())

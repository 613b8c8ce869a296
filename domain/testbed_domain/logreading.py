"""What readers of the prediction log ask the database for, and the answer as columns. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson
from sqlalchemy import ColumnElement, Select, Text, cast, func, not_, select

from testbed_domain.logrows import Columns
from testbed_domain.predictionlog import labels, predictions, reference_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Time and id of a prediction: the order of a log, in which no two rows are alike.
Place: TypeAlias = tuple[float, str]

# The last digits of an id, in which all 16**7 values are equally likely, whatever the kind of UUID.
_DIGITS: Final = 7
_FIRST_DIGIT: Final = 36 - _DIGITS + 1


@dataclass(frozen=True, slots=True)
class Selection:
    """Which predictions to read.

    Attributes:
        model_version: whose.
        start: earliest time, included; Unix time.
        end: latest time, excluded.
        limit: keep only so many of the latest rows.
        ratio: keep about this share of those, 0 to 1, chosen by the last digits of their ids: a
            uniform sample, because ids are random, and the same one whoever reads and whenever.
            None keeps all.
        after: place of a row; keep only what comes later, see :data:`Place`.
        upto: place of the last row to keep.
    """

    model_version: str
    start: float | None = None
    end: float | None = None
    limit: int | None = None
    ratio: float | None = None
    after: Place | None = None
    upto: Place | None = None


def window_query(selection: Selection) -> Select[Any]:
    """The chosen predictions with the labels that have come, the newest first."""
    source: Any = predictions
    where = _chosen(selection)
    if selection.ratio is not None:
        if selection.limit is not None:
            # The newest rows are counted off first, and only then drawn from.
            newest = select(predictions).where(*where).order_by(*_backwards(predictions.c))
            source, where = newest.limit(selection.limit).subquery(), []
        bound = f"{round(min(max(selection.ratio, 0.0), 1.0) * 16**_DIGITS):0{_DIGITS}x}"
        digits = func.lower(func.substr(source.c.id, _FIRST_DIGIT, _DIGITS))
        # A share of 1 has a digit more than any id.
        where += [digits < bound] if len(bound) == _DIGITS else []
    columns = source.c
    query = (
        select(*_shared(source), labels.c.label, columns.id, columns.time, labels.c.time)
        .join_from(source, labels, columns.id == labels.c.prediction_id, isouter=True)
        .where(*where)
        .order_by(*_backwards(columns))
    )
    return query if selection.ratio is not None else query.limit(selection.limit)


def size_query(selection: Selection) -> Select[Any]:
    """How many predictions are chosen, before a share of them is drawn."""
    chosen = select(predictions.c.time).where(*_chosen(selection))
    return select(func.count()).select_from(chosen.limit(selection.limit).subquery())


def place_query(selection: Selection, number: int) -> Select[Any]:
    """The place of the ``number``-th of the chosen predictions, counted from 1, oldest first."""
    columns = predictions.c
    query = select(columns.time, columns.id).where(*_chosen(selection))
    return query.order_by(columns.time, columns.id).offset(number - 1).limit(1)


def reference_query(model_version: str) -> Select[Any]:
    """The reference rows of a version, in their order."""
    table = reference_rows
    query = select(*_shared(table), table.c.label).where(table.c.model_version == model_version)
    return query.order_by(table.c.row)


def window_columns(rows: Sequence[Any]) -> Columns:
    """Rows of :func:`window_query` as columns."""
    ids, times, label_times = ([row[place] for row in rows] for place in (5, 6, 7))
    return _columns(rows, ids, times, label_times)


def reference_columns(rows: Sequence[Any]) -> Columns:
    """Rows of :func:`reference_query` as columns."""
    return _columns(rows, [], [], [])


def joined(newest_first: Iterable[Columns]) -> Columns:
    """Pieces of a window as one; a feature that a piece lacks is None there."""
    pieces = list(newest_first)[::-1]
    if len(pieces) == 1:
        return pieces[0]
    names = dict.fromkeys(name for piece in pieces for name in piece.features)

    def of(name: str) -> list[Any]:
        return [value for piece in pieces for value in getattr(piece, name)]

    return Columns(
        {
            name: [
                value for piece in pieces for value in piece.features.get(name, [None] * len(piece))
            ]
            for name in names
        },
        of("prediction"),
        of("probability"),
        of("label"),
        of("id"),
        of("time"),
        of("probabilities"),
        of("label_time"),
    )


def conditions(
    model_version: str | None, start: float | None, end: float | None
) -> list[ColumnElement[bool]]:
    """What predictions of a version and of a span of time fulfil."""
    columns = predictions.c
    found: list[ColumnElement[bool]] = []
    if model_version is not None:
        found.append(columns.model_version == model_version)
    if start is not None:
        found.append(columns.time >= start)
    if end is not None:
        found.append(columns.time < end)
    return found


def _chosen(selection: Selection) -> list[ColumnElement[bool]]:
    found = conditions(selection.model_version, selection.start, selection.end)
    if selection.after is not None:
        found.append(_later(*selection.after))
    if selection.upto is not None:
        found.append(not_(_later(*selection.upto)))
    return found


def _backwards(columns: Any) -> tuple[Any, ...]:  # noqa: ANN401 - columns are typed by name only
    return columns.time.desc(), columns.id.desc()


def _later(time: float, key: str) -> ColumnElement[bool]:
    """What predictions after a place fulfil; the first part lets an index serve it."""
    columns = predictions.c
    return (columns.time >= time) & ((columns.time > time) | (columns.id > key))


def _shared(table: Any) -> tuple[Any, ...]:  # noqa: ANN401 - columns are typed by name only
    # JSON comes as text, so that many rows can be read at once.
    columns = table.c
    features, probabilities = cast(columns.features, Text), cast(columns.probabilities, Text)
    return features, columns.prediction, columns.probability, probabilities


def _columns(
    rows: Sequence[Any],
    ids: list[str],
    times: list[float],
    label_times: list[float | None],
) -> Columns:
    features, probabilities = (_parsed([row[place] for row in rows]) for place in (0, 3))
    names = features[0] if rows else ()
    return Columns(
        features={name: [row.get(name) for row in features] for name in names},
        prediction=[row[1] for row in rows],
        probability=[row[2] for row in rows],
        label=[row[4] for row in rows],
        id=ids,
        time=times,
        probabilities=probabilities,
        label_time=label_times,
    )


def _parsed(texts: list[str]) -> list[dict[str, Any]]:
    """JSON objects, read in one go."""
    together = f"[{','.join(texts)}]"
    try:
        found: list[dict[str, Any]] = orjson.loads(together)
    except orjson.JSONDecodeError:  # NaN, which the standard library writes and reads
        found = json.loads(together)
    return found

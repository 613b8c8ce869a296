"""Rows of a table in the form that the drift job judges, by the schema that a reference pinned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self, cast

import numpy as np
import pandas as pd
from testbed_domain.logstore import Columns

from testbed_drift.rows.columnkinds import (
    days,
    kind_of,
    numbers,
    seconds,
    texts,
    truths,
    without_blanks,
)
from testbed_drift.rows.columns import PREDICTION, TARGET
from testbed_drift.rows.frames import declare
from testbed_drift.rows.windows import Window, file_part
from testbed_drift.tables.schema import OTHER, TableSchemaError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed_drift.rows.columnkinds import Floats
    from testbed_drift.rows.spans import Span
    from testbed_drift.tables.schema import Roles, TableColumn, TableSchema

# A column of which less can be read as what it should be is another column.
LEAST_READABLE: Final = 0.5


@dataclass(frozen=True, slots=True)
class TableRows:
    """Rows of a table; all parts have one entry per row.

    Attributes:
        frame: what drift is found in, see :func:`testbed_drift.rows.frames.declare`.
        features: the same columns as the table has them: what can't be read as its column's kind
            stays as it is, for the data quality to count.
        probabilities: class to probability; without columns where there are none.
        times: Unix seconds, NaN where there is none; None where nobody asked.
        groups: values of the column by which results are told apart, or None.
        unread: columns that the table has and the reference lacks.
    """

    frame: pd.DataFrame
    features: pd.DataFrame
    probabilities: pd.DataFrame
    times: Floats | None = None
    groups: pd.Series[Any] | None = None
    unread: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        table: pd.DataFrame,
        schema: TableSchema,
        *,
        time: str | None = None,
        group: str | None = None,
    ) -> Self:
        """Read a table by a schema.

        Args:
            table: with the columns of the schema; the target may be missing.
            schema: what the reference pinned.
            time: column of the rows' times, or None.
            group: column to tell results apart by, or None.

        Raises:
            TableSchemaError: a column holds something else than in the reference, or a time is
                none; names the columns.
        """
        table = table.reset_index(drop=True)
        clean = {column.name: without_blanks(table[column.name]) for column in schema.columns}
        _verify(clean, schema)
        values, compared = {}, {}
        for column in schema.columns:
            values[column.name], compared[column.name] = _read(clean[column.name], column)
        probabilities = _probabilities(table, schema)
        compared |= {
            TARGET: _class_texts(table, schema.roles.target),
            PREDICTION: _predictions(table, schema.roles, probabilities),
        }
        return cls(
            declare(pd.DataFrame(compared, index=table.index), schema.kinds),
            pd.DataFrame(values, index=table.index),
            probabilities,
            None if time is None else _times(table[time]),
            None if group is None else without_blanks(table[group]),
        )

    def __len__(self) -> int:
        return len(self.frame)

    def take(self, rows: Any) -> TableRows:  # noqa: ANN401 - a slice, or an array of places
        """Only these rows, in this order."""
        return TableRows(
            self.frame.iloc[rows].reset_index(drop=True),
            self.features.iloc[rows],
            self.probabilities.iloc[rows],
            None if self.times is None else self.times[rows],
            None if self.groups is None else self.groups.iloc[rows],
            self.unread,
        )

    def in_order(self) -> TableRows:
        """The rows by time, those without one left out; as they stand where there are no times."""
        if self.times is None:
            return self
        order = np.argsort(self.times, kind="stable")
        return self.take(order[: np.isfinite(self.times).sum()])

    def window(self, name: str, span: Span | None = None, newest: float | None = None) -> Window:
        """The rows as a window.

        Args:
            name: of the window.
            span: where it lies in time, or None.
            newest: what tells it from the windows before; rises from one to the next.
        """
        return Window(file_part(name), self.frame, span, newest, self._columns())

    def _columns(self) -> Columns:
        known = self.probabilities.to_dict("list")
        rows = [dict(zip(known, row, strict=True)) for row in zip(*known.values(), strict=True)]
        return Columns(
            features={str(name): self.features[name].tolist() for name in self.features},
            # Rows without a prediction are left out where performance is measured.
            prediction=cast("list[str]", _listed(self.frame[PREDICTION])),
            probability=[],
            label=_listed(self.frame[TARGET]),
            id=[],
            time=[],
            probabilities=cast("list[dict[str, float]]", rows),
        )


def _listed(column: pd.Series[Any]) -> list[str | None]:
    return [None if gone else str(text) for text, gone in zip(column, column.isna(), strict=True)]


def _verify(table: Mapping[str, pd.Series[Any]], schema: TableSchema) -> None:
    wrong = []
    for column in schema.columns:
        values = table[column.name]
        present = values.notna().sum()
        if present and _readable(values, column) < LEAST_READABLE * present:
            found = kind_of(values, typed=False)
            wrong.append(f"{column.name} ({column.kind} in the reference, {found} here)")
    if wrong:
        raise TableSchemaError(f"columns hold something else: {', '.join(wrong)}")


def _readable(values: pd.Series[Any], column: TableColumn) -> int:
    """How many values can be read as the column's kind."""
    if column.kind == "number":
        if pd.api.types.is_datetime64_any_dtype(values):
            return 0
        return int(np.isfinite(numbers(values)).sum())
    if column.kind == "date":
        return int(np.isfinite(days(values)).sum())
    if column.kind == "boolean":
        return int(truths(values).isin(["False", "True"]).sum())
    # Any text is a category, be it new; numbers and dates are none, unless the reference's look so.
    of_text = kind_of(values, typed=True) in {"category", "boolean"}
    return len(values) if of_text or not column.textual else 0


def _read(values: pd.Series[Any], column: TableColumn) -> tuple[pd.Series[Any], pd.Series[Any]]:
    """A column for the data quality, and for the comparison."""
    if column.kind in {"number", "date"}:
        read = pd.Series(
            numbers(values) if column.kind == "number" else days(values), index=values.index
        )
        strange = read.isna() & values.notna()
        return (read.astype(object).where(~strange, values) if strange.any() else read), read
    told = truths(values) if column.kind == "boolean" else texts(values)
    if not column.kept:
        return told, told
    return told, told.where(told.isna() | told.isin(list(column.kept)), OTHER)


def _class_texts(table: pd.DataFrame, name: str | None) -> pd.Series[Any]:
    if name is None or name not in table:
        return pd.Series([None] * len(table), index=table.index, dtype=object)
    return texts(table[name])


def _probabilities(table: pd.DataFrame, schema: TableSchema) -> pd.DataFrame:
    given = {name: numbers(table[column]) for name, column in schema.roles.probabilities.items()}
    if "" in given and schema.positive is not None:
        positive = given[""]
        (other,) = (name for name in schema.classes if name != schema.positive)
        given = {other: 1 - positive, schema.positive: positive}
    for name, values in given.items():
        if ((values < 0) | (values > 1)).any():
            raise TableSchemaError(
                f"the probability of class {name} is not from 0 to 1 in every row"
            )
    return pd.DataFrame(given, index=table.index)


def _predictions(table: pd.DataFrame, roles: Roles, probabilities: pd.DataFrame) -> pd.Series[Any]:
    """The predicted classes; without such a column, the most probable ones."""
    if roles.prediction is not None or probabilities.empty:
        return _class_texts(table, roles.prediction)
    known = probabilities.notna().all(axis=1)
    best = probabilities[known].idxmax(axis=1)
    return best.reindex(table.index).astype(object).where(known, None)


def _times(values: pd.Series[Any]) -> Floats:
    found = seconds(without_blanks(values))
    if not np.isfinite(found).any() and len(found):
        raise TableSchemaError(
            f"the column {values.name} holds no times: give ISO 8601 dates or Unix seconds"
        )
    return found

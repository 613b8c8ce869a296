"""Rows of a table as the drift job evaluates them, by the schema that a reference pinned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Self, cast

import numpy as np
import pandas as pd
from testbed_domain.logstore import Columns
from testbed_domain.tables.columnkinds import (
    class_texts,
    kind_of,
    numbers,
    seconds,
    truths,
    without_blanks,
)
from testbed_domain.tables.numbertext import decimal_of_table

from testbed_drift.rows.columns import PREDICTION, TARGET
from testbed_drift.rows.frames import declare, outcome_of
from testbed_drift.rows.windows import Window, file_part
from testbed_drift.tables.schema import MIN_READABLE, OTHER, TableSchemaError, readings, settled

if TYPE_CHECKING:
    from testbed_domain.tables.columnkinds import Floats
    from testbed_domain.tables.reading import ReadOptions

    from testbed_drift.rows.spans import Period
    from testbed_drift.tables.schema import TableColumn, TableSchema

TRUTHS: Final = {"False": False, "True": True}


@dataclass(frozen=True, slots=True)
class TableRows:
    """Rows of a table; all parts have one entry per row.

    Attributes:
        frame: what drift is found in, see :func:`testbed_drift.rows.frames.declare`.
        features: the same columns as the table has them: what can't be read as its column's kind
            stays as it is, for the data quality to count.
        outcomes: prediction and target, of a regression as the table has them, too.
        probabilities: class to probability; without columns where there are none.
        times: Unix seconds, NaN where there is none; None where nobody asked.
        groups: values of the column by which results are distinguished, or None.
        unread: columns that the table has and the reference lacks.
        coarse: column of numbers to the type in which the table holds it, where that is less exact
            than a float of 64 bits.
    """

    frame: pd.DataFrame
    features: pd.DataFrame
    outcomes: pd.DataFrame
    probabilities: pd.DataFrame
    times: Floats | None = None
    groups: pd.Series[Any] | None = None
    unread: tuple[str, ...] = ()
    coarse: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        table: pd.DataFrame,
        schema: TableSchema,
        *,
        time: str | None = None,
        group: str | None = None,
        typed: bool = True,
        options: ReadOptions | None = None,
    ) -> Self:
        """Read a table by a schema.

        Args:
            table: with the columns of the schema; the target may be missing.
            schema: what the reference pinned.
            time: column of the rows' times, or None.
            group: column to distinguish results by, or None.
            typed: whether text in the table is meant as text.
            options: what the user says of the table.

        Raises:
            TableSchemaError: a column holds something else than in the reference, or a time is
                none; names the columns.
        """
        table = table.reset_index(drop=True)
        both = typed and schema.typed
        clean = {one.name: one.cleaned(table[one.name], typed=both) for one in schema.columns}
        decimal = options.decimal if options else None
        hint = None if typed else decimal_of_table(clean.values())

        def reader(column: TableColumn) -> _Reader:
            return _Reader(column, decimal, hint or column.decimal or schema.decimal)

        values, compared = {}, {}
        wrong = []
        for column in schema.columns:
            name, label = column.name, column.label
            read = reader(column).read(clean[name])
            wrong.append(read.mismatch)
            values[label], compared[label] = read.stored, read.compared
        probabilities = _probabilities(table, schema)
        outcomes: dict[str, pd.Series[Any]] = {
            TARGET: _class_texts(table, schema, schema.roles.target, typed=both),
            PREDICTION: _predictions(table, schema, probabilities, typed=both),
        }
        predicted = {column.name: column for column in schema.numbers if column.name in table}
        for label, role in ((TARGET, schema.roles.target), (PREDICTION, schema.roles.prediction)):
            if role in predicted:
                column = predicted[role]
                read = reader(column).read(column.cleaned(table[role], typed=both))
                wrong.append(read.mismatch)
                outcomes[label], compared[label] = read.stored, read.compared
        if any(wrong):
            named = ", ".join(filter(None, wrong))
            raise TableSchemaError(f"columns hold something else: {named}")
        coarse = _coarse(table, schema, compared)
        rows = cls(
            declare(
                pd.DataFrame(outcomes | compared, index=table.index),
                schema.kinds,
                outcome_of(schema.features),
            ),
            pd.DataFrame(values, index=table.index),
            pd.DataFrame(outcomes, index=table.index),
            probabilities,
            None if time is None else _times(table[time]),
            None if group is None else without_blanks(table[group]),
            coarse=coarse,
        )
        return rows.as_exact_as(coarse)  # of text, as it was before it became text

    def __len__(self) -> int:
        return len(self.frame)

    def take(self, rows: Any) -> TableRows:  # noqa: ANN401 - a slice, or an array of places
        """Only these rows, in this order."""
        return replace(
            self,
            frame=self.frame.iloc[rows].reset_index(drop=True),
            features=self.features.iloc[rows],
            outcomes=self.outcomes.iloc[rows],
            probabilities=self.probabilities.iloc[rows],
            times=None if self.times is None else self.times[rows],
            groups=None if self.groups is None else self.groups.iloc[rows],
        )

    def as_exact_as(self, coarse: Mapping[str, str]) -> Self:
        """The same with numbers rounded as another table holds them, so that equal ones are equal.

        Args:
            coarse: see the attribute, of the other table.
        """
        frame, features = self.frame.copy(), self.features.copy()
        for name, kind in coarse.items():
            dtype: Any = kind
            for table in (frame, features):
                held = pd.to_numeric(table[name], errors="coerce").astype(dtype).astype("float64")
                rounded = pd.Series(settled(np.asarray(held, dtype=np.float64)), index=table.index)
                table[name] = rounded.where(rounded.notna(), table[name])
        return replace(self, frame=frame, features=features) if coarse else self

    def in_order(self) -> TableRows:
        """The rows by time, those without one left out; as they stand where there are no times."""
        if self.times is None:
            return self
        order = np.argsort(self.times, kind="stable")
        return self.take(order[: np.isfinite(self.times).sum()])

    def window(self, name: str, span: Period | None = None, newest: float | None = None) -> Window:
        """The rows as a window.

        Args:
            name: of the window.
            span: where it lies in time, or None.
            newest: what distinguishes it from the windows before; rises from one to the next.
        """
        known = self.times[np.isfinite(self.times)] if self.times is not None else ()
        times = (float(min(known)), float(max(known))) if len(known) else None
        return Window(file_part(name), self.frame, span, newest, self._columns(), times)

    def _columns(self) -> Columns:
        known = self.probabilities.to_dict("list")
        rows = [dict(zip(known, row, strict=True)) for row in zip(*known.values(), strict=True)]
        return Columns(
            features={str(name): self.features[name].tolist() for name in self.features},
            # Rows without a prediction are left out where performance is measured.
            prediction=cast("list[str]", _listed(self.outcomes[PREDICTION])),
            probability=[],
            label=_listed(self.outcomes[TARGET]),
            id=[],
            time=[],
            probabilities=cast("list[dict[str, float]]", rows),
        )


def _listed(column: pd.Series[Any]) -> list[str | None]:
    return [None if gone else str(text) for text, gone in zip(column, column.isna(), strict=True)]


@dataclass(frozen=True, slots=True)
class _Column:
    """A column as it was read.

    Attributes:
        stored: for the data quality: what can't be read as the kind stays as it is.
        compared: for the comparison.
        mismatch: why it is another column altogether; empty where it is not.
    """

    stored: pd.Series[Any]
    compared: pd.Series[Any]
    mismatch: str = ""


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads a column as the reference has it.

    Attributes:
        column: of the reference.
        decimal: decimal mark of texts, where the user said it.
        hint: decimal mark where the texts leave a doubt.
    """

    column: TableColumn
    decimal: str | None
    hint: str | None

    def read(self, values: pd.Series[Any]) -> _Column:
        """Read it; of another kind in most rows it is another column.

        Args:
            values: see :meth:`testbed_drift.tables.schema.TableColumn.cleaned`.
        """
        if self.column.kind == "category":
            return self._words(values)
        read = readings(values, self.column.kind, self.decimal, self.hint)
        if self.column.kind == "number" and pd.api.types.is_datetime64_any_dtype(values):
            read[:] = np.nan  # pandas would take nanoseconds
        if self.column.flag:
            predicted = truths(values).map({"False": 0.0, "True": 1.0})
            read = read.where(read.notna(), predicted.astype("float64"))
        read = self.column.bounded(read)
        strange = read.isna() & values.notna()
        usable = read.notna() & ~read.isin([np.inf, -np.inf])
        # Beside truths, what is neither is of another type; beside texts it would be a new one.
        own = read.map(TRUTHS, na_action="ignore") if self.column.kind == "boolean" else read
        return _Column(
            own.astype(object).where(~strange, values) if strange.any() else own,
            read,
            self._mismatch(values, int(usable.sum())),
        )

    def _words(self, values: pd.Series[Any]) -> _Column:
        column = self.column
        predicted = class_texts(values)
        if column.width:
            predicted = predicted.map(
                lambda text: _padded(str(text), column.width), na_action="ignore"
            )
        # Any text is a category, be it new; numbers and dates are none, unless the reference's
        # look so.
        of_text = kind_of(values, typed=True) in {"category", "boolean"}
        readable = len(values) if of_text or not column.textual else 0
        compared = predicted
        if column.retained:
            compared = predicted.where(
                predicted.isna() | predicted.isin(list(column.retained)), OTHER
            )
        return _Column(predicted, compared, self._mismatch(values, readable))

    def _mismatch(self, values: pd.Series[Any], readable: int) -> str:
        present = int(values.notna().sum())
        if not present or readable >= MIN_READABLE * present:
            return ""
        found = kind_of(values, typed=False)
        return f"{self.column.name} ({self.column.kind} in the reference, {found} here)"


def _padded(text: str, width: int) -> str:
    return text.zfill(width) if text.isdecimal() else text


def _coarse(
    table: pd.DataFrame, schema: TableSchema, compared: Mapping[str, pd.Series[Any]]
) -> dict[str, str]:
    """Types of 16 or 32 bits in which numbers are held, or were before they became text."""
    found = {}
    for column in schema.columns:
        if column.kind == "number":
            held = str(table[column.name].dtype).lower()
            values = compared[column.label].to_numpy(dtype=np.float64)
            with np.errstate(over="ignore"):
                short = values.astype(np.float32).astype(np.float64)
            if held in {"float16", "float32"}:
                found[column.label] = held
            elif (
                np.isclose(short, values, rtol=1e-9, atol=1e-10, equal_nan=True).all()
                # Large numbers close to each other may lie near the same one of 32 bits.
                and len(np.unique(short)) == len(np.unique(values))
            ):
                found[column.label] = "float32"
    return found


def _class_texts(
    table: pd.DataFrame, schema: TableSchema, name: str | None, *, typed: bool
) -> pd.Series[Any]:
    if name is None or name not in table or schema.numbers:
        return pd.Series([None] * len(table), index=table.index, dtype=object)
    return schema.classes_of(table[name], typed=typed)


def _probabilities(table: pd.DataFrame, schema: TableSchema) -> pd.DataFrame:
    given = {
        schema.class_of(name) or "": numbers(table[column])
        for name, column in schema.roles.probabilities.items()
    }
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


def _predictions(
    table: pd.DataFrame, schema: TableSchema, probabilities: pd.DataFrame, *, typed: bool
) -> pd.Series[Any]:
    """The predicted classes; without such a column, the most probable ones."""
    if schema.roles.prediction is not None or probabilities.empty:
        return _class_texts(table, schema, schema.roles.prediction, typed=typed)
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

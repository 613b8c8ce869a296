"""Finds what the columns of a reference table are; see :mod:`testbed_drift.tables.schema`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from testbed_domain.tables.columnkinds import (
    ID_NAME,
    class_text,
    class_texts,
    is_code,
    kind_of,
    markers_in,
    numbers,
    texts,
    truth_of,
    without_blanks,
    without_markers,
    words_without_markers,
)
from testbed_domain.tables.datetext import are_times
from testbed_domain.tables.numbertext import decimal_of, decimal_of_table, distinct_texts
from testbed_domain.tables.targets import task_of

from testbed_drift.tables.schema import (
    BINARY,
    MAX_CATEGORIES,
    MIN_READABLE,
    PLAUSIBLE,
    ColumnRoles,
    TableColumn,
    TableSchema,
    TableSchemaError,
    class_values,
    readings,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray
    from testbed_domain.features import Task
    from testbed_domain.tables.reading import ReadOptions, TableKind

# Of more than these, where a value comes in fewer rows on average, it is an id or free text.
MIN_REPEATED: Final = 2.0
MAX_CLASSES: Final = 50
# Free text in which a quarter of the values are words, as tickets with and without letters, is
# text; with a few of them, somebody wrote words among numbers.
MIN_ALIKE: Final = 0.8
_MIN_IDS: Final = 20
# Ratio of the rows: half of the least effect that is a drift of categories.
MAX_LOST: Final = 0.025
# Values that a finding names, and the longest part of each.
NAMED: Final = 3
LONGEST: Final = 40


def choose(
    names: Sequence[str],
    roles: ColumnRoles,
    wanted: Sequence[str],
    beside: Iterable[str | None],
    labels: Iterable[str] = (),
) -> list[str]:
    """The columns to compare, before their values are known.

    Args:
        names: columns of the reference.
        roles: the columns that are none of them.
        wanted: columns that were asked for; empty for all.
        beside: further columns that are none of them unless asked for: of times, of groups.
        labels: labels of the rows, which are none of them, either, unless asked for.

    Raises:
        TableSchemaError: one that was named is not there, or none is left.
    """
    if twice := sorted({name for name in names if list(names).count(name) > 1}):
        raise TableSchemaError(f"the reference has columns twice: {', '.join(twice)}")
    absent = [name for name in (*roles.columns, *wanted) if name not in names]
    if absent:
        raise TableSchemaError(
            f"the reference has no column {', '.join(absent)}; it has {', '.join(names) or 'none'}"
        )
    if both := [name for name in wanted if name in roles.columns]:
        raise TableSchemaError(
            f"target, prediction and probability can't be compared as columns: {', '.join(both)}"
        )
    apart = {*roles.columns, *beside, *labels}
    found = list(dict.fromkeys(wanted)) or [name for name in names if name not in apart]
    if not found:
        raise TableSchemaError("the reference has no columns beside target and prediction")
    return found


def pin(
    frame: pd.DataFrame,
    columns: Sequence[str],
    roles: ColumnRoles,
    *,
    typed: bool,
    asked: bool,
    options: ReadOptions | None = None,
) -> TableSchema:
    """Find the kinds of a reference's columns.

    Left out, unless they were asked for, are columns that move by themselves or say nothing: ids,
    free text, row numbers, empty columns.

    Args:
        frame: rows of the reference; not empty.
        columns: see :func:`choose`.
        roles: the columns that are no features.
        typed: whether text is meant as text.
        asked: whether the columns were named one by one.
        options: what the user says of the table; a column whose kind is said was asked for.

    Raises:
        TableSchemaError: no column is left, a kind does not fit, the target has too many classes,
            or is none of the task that was asked for.
    """
    said = options.kinds if options else {}
    decimal = options.decimal if options else None
    if unknown := [name for name in said if name not in columns]:
        raise TableSchemaError(
            f"--as names columns that are not compared: {', '.join(unknown)}; compared are "
            f"{', '.join(columns)}"
        )
    hint = decimal or (None if typed else decimal_of_table(frame[name] for name in columns))
    found: list[TableColumn] = []
    left_out: dict[str, str] = {}
    for name in columns:
        reading = _Reading(name, decimal, hint, typed)
        kind, values = reading.kind(frame[name], said.get(name))
        reason = _reason(name, values, kind, asked=asked or name in said)
        if kind is None or reason:
            left_out[name] = reason
        else:
            found.append(_column(name, values, kind, decimal, hint, typed=typed))
    if wrong := [one.name for one in found if one.name in said and one.odd == _present(frame, one)]:
        raise TableSchemaError(
            "--as: no value of the reference can be read so: "
            + ", ".join(f"{name}={said[name]}" for name in wrong)
        )
    if not found:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise TableSchemaError(f"the reference has no column to compare: {reasons}")
    if _task(frame, roles, decimal, hint) == "regression":
        predicted = _numbers(frame, roles, decimal, hint, typed=typed)
        return TableSchema(
            tuple(found), roles, (), left_out, typed=typed, decimal=hint, numbers=predicted
        )
    classes = _classes(frame, roles, typed=typed)
    return TableSchema(tuple(found), roles, classes, left_out, typed=typed, decimal=hint)


def _task(frame: pd.DataFrame, roles: ColumnRoles, decimal: str | None, hint: str | None) -> Task:
    """What target and prediction hold, by the rule of ``testbed train`` unless that was said.

    Where no label has come the predictions say it; probabilities and a positive class are of
    classes.

    Args:
        frame: rows of the reference.
        roles: its columns.
        decimal: the decimal mark of its texts, where the user said it.
        hint: that mark where they leave a doubt.

    Raises:
        TableSchemaError: the task that was said does not go with the other roles.
    """
    of_classes = bool(roles.probabilities) or roles.positive is not None
    if roles.task == "regression" and of_classes:
        raise TableSchemaError(
            "a regression has neither probabilities nor a positive class: leave these options "
            "away, or say --task classification"
        )
    known = [name for name in (roles.target, roles.prediction) if name]
    if roles.task and not known:
        raise TableSchemaError("--task is of a target: say --target, --prediction, or both")
    if roles.task or of_classes:
        return roles.task or "classification"
    predicted = (frame[name] for name in known if not without_markers(frame[name]).isna().all())
    return next((task_of(column, decimal, hint) for column in predicted), "classification")


def _numbers(
    frame: pd.DataFrame, roles: ColumnRoles, decimal: str | None, hint: str | None, *, typed: bool
) -> tuple[TableColumn, ...]:
    """Target and prediction of a regression."""
    found = []
    for name in dict.fromkeys(filter(None, (roles.target, roles.prediction))):
        values = without_markers(without_blanks(frame[name]))
        column = _column(name, values, "number", decimal, hint, typed=typed)
        present = int(values.notna().sum())
        if present - column.odd < MIN_READABLE * present:
            raise TableSchemaError(
                f"the target is a regression's, but {name} holds other values than numbers ("
                f"{', '.join(map(repr, column.examples))}): name another column, or say --task "
                "classification"
            )
        found.append(column)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Reading:
    """How a column of the reference is read: its name, the decimal marks, see :func:`pin`."""

    name: str
    decimal: str | None
    hint: str | None
    typed: bool

    def kind(
        self, column: pd.Series[Any], said: TableKind | None
    ) -> tuple[TableKind | None, pd.Series[Any]]:
        """Its kind, None where it is empty, and its values without what says nothing."""
        values = without_blanks(column)
        kind = said or kind_of(values, typed=self.typed, decimal=self.decimal)
        if kind != "category":
            values = without_markers(values)
        elif not self.typed:
            values = words_without_markers(values, markers_in(values, typed=False))
        if not values.notna().any():
            return None, values
        if said:
            return kind, values
        if kind == "category" and _reason(self.name, values, kind, asked=False):
            kind = readable(values, self.decimal, self.hint) or kind
            values = values if kind == "category" else without_markers(values)
        if kind == "number" and not _reason(self.name, values, kind, asked=False):
            kind = "date" if are_times(numbers(values, self.decimal, self.hint)) else kind
        return kind, values


def readable(values: pd.Series[Any], decimal: str | None, hint: str | None) -> TableKind | None:
    """What most values of a column can be read as that, as words, would be free text; None if none.

    Ids are nothing else: whole numbers that differ in every row, unless they are times.
    """
    values = without_markers(values).dropna()
    if values.empty or is_code(distinct_texts(values)):
        return None
    kinds: tuple[TableKind, ...] = ("number", "date")
    for kind in kinds:
        read = readings(values, kind, decimal, hint).to_numpy(dtype=float)
        known = read[np.isfinite(read)]
        if len(known) < MIN_ALIKE * len(values):
            continue
        ids = not np.mod(known, 1).any() and len(np.unique(known)) == len(known)
        return None if kind == "number" and ids and not are_times(known) else kind
    return None


def _present(frame: pd.DataFrame, column: TableColumn) -> int:
    return int(column.cleaned(frame[column.name], typed=False).notna().sum())


def _column(
    name: str,
    values: pd.Series[Any],
    kind: TableKind,
    decimal: str | None,
    hint: str | None,
    *,
    typed: bool,
) -> TableColumn:
    if kind != "category":
        read = readings(values, kind, decimal, hint)
        odd = values[read.isna() & values.notna()].map(str)
        flag = kind == "number" and bool(read.dropna().isin([0, 1]).all())
        mark = decimal or decimal_of(distinct_texts(values)) if kind == "number" else None
        examples = tuple(text[:LONGEST] for text in odd.value_counts().index[:NAMED])
        ends = _ends(read) if kind == "date" else ()
        return TableColumn(
            name, kind, flag=flag, decimal=mark, ends=ends, odd=len(odd), examples=examples
        )
    predicted = class_texts(values)
    counts = predicted.value_counts()
    retained = tuple(map(str, counts.index[: retained_categories(counts.to_numpy())]))
    different = pd.Series(counts.index.astype(object))
    words = kind_of(different, typed=False) == "category"
    numeric = pd.to_numeric(different, errors="coerce").notna().any()
    codes = {*map(str, counts.index)}
    widths = {len(text) for text in codes} if is_code(codes) else set()
    width = widths.pop() if len(widths) == 1 else 0
    return TableColumn(
        name,
        kind,
        len(counts),
        retained,
        textual=words and not numeric and not width,
        known=markers_in(values, typed=typed),
        width=width,
    )


def retained_categories(counts: NDArray[np.integer[Any]]) -> int:
    """How many of a column's most frequent categories stand for themselves; 0 where all do.

    Of many rare ones those in front are those that chance favoured, and come less often in any
    other table. How much less is estimated by leaving out one row (as Good and Turing do): the
    rows of categories that would fall below the last count.

    Args:
        counts: rows of each category, in falling order.
    """
    if len(counts) <= MAX_CATEGORIES:
        return 0
    for retained in range(MAX_CATEGORIES, 1, -1):
        minimum = counts[retained] + 1
        lost = minimum * np.count_nonzero(counts == minimum)
        if counts[retained - 1] >= minimum and lost <= MAX_LOST * counts.sum():
            return retained
    return 1


def _ends(read: pd.Series[Any]) -> tuple[float, ...]:
    """See :attr:`testbed_drift.tables.schema.TableColumn.ends`: as far off as the others reach."""
    known = read.dropna()
    near = known[known.between(*PLAUSIBLE)]
    if near.empty or len(near) == len(known):
        return ()
    low, high = float(near.min()), float(near.max())
    reach = max(high - low, 1.0)
    return low - reach, high + reach


def _reason(name: str, values: pd.Series[Any], kind: TableKind | None, *, asked: bool) -> str:
    """Why a column is left out; empty where it is not."""
    if kind is None:
        return "it is empty in the reference"
    if asked:
        return ""
    present = values.dropna()
    if kind == "number" and len(present) >= _MIN_IDS:
        predicted = numbers(present)
        # Of large ones, floats that are the same would hide that they differ.
        differ = texts(present).nunique() == len(present)
        if differ and bool((np.mod(predicted, 1) == 0).all()):
            counts_up = bool((np.abs(np.diff(predicted)) == 1).all())
            if counts_up or ID_NAME.search(name):
                return "it is an id: whole numbers that differ in every row"
    if kind == "category":
        different, rows = texts(present).nunique(), len(present)
        if different > MAX_CATEGORIES and rows < MIN_REPEATED * different:
            return f"it is an id or free text: {different} different values in {rows} rows"
    return ""


def _classes(frame: pd.DataFrame, roles: ColumnRoles, *, typed: bool) -> tuple[str, ...]:
    """The classes, as the target writes them; true and false come in any form elsewhere."""
    known = [name for name in (roles.target, roles.prediction) if name]
    parts = [dict.fromkeys(class_values(frame[name], typed=typed).dropna()) for name in known]
    parts.append(dict.fromkeys(class_text(name) for name in roles.probabilities if name))
    found: set[str] = set()
    every = {text for part in parts for text in part}
    if every and None not in {truth_of(text) for text in every}:
        for part in parts:
            known_truths = {truth_of(text) for text in found}
            found |= {text for text in part if truth_of(text) not in known_truths}
    else:
        found = every
    if len(found) > MAX_CLASSES:
        raise TableSchemaError(
            f"{' and '.join(known)} hold {len(found)} different values, at most {MAX_CLASSES} "
            "classes can be evaluated: give classes, say --task regression where these are "
            "numbers, or compare it with --columns"
        )
    classes = tuple(sorted(found, key=_order))
    positive = TableSchema((), roles, classes).class_of(roles.positive)
    if positive is not None and positive not in classes:
        raise TableSchemaError(
            f"there is no class {roles.positive!r}: choose from {', '.join(classes) or 'none'}"
        )
    if "" in roles.probabilities and len(classes) != BINARY:
        raise TableSchemaError(
            f"one column of probabilities is of two classes, target and prediction of the "
            f"reference hold {len(classes)}: give --probability CLASS=COLUMN for each"
        )
    return classes


def _order(text: str) -> tuple[bool, float, str]:
    try:
        return False, float(text), text
    except ValueError:
        return True, 0.0, text

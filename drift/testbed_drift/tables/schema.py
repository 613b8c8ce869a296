"""What a reference table's columns are: found once, pinned, and demanded of every other table."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pandas as pd
from testbed_domain.errors import DomainError
from testbed_domain.features import Feature, FeatureSchema
from testbed_domain.tables.columnkinds import (
    class_text,
    class_texts,
    days,
    is_code,
    kind_of,
    markers_in,
    numbers,
    spelled,
    texts,
    truth_of,
    truths,
    without_blanks,
    without_markers,
    words_without_markers,
)
from testbed_domain.tables.numbertext import decimal_of, decimal_of_table, distinct_texts

from testbed_drift.rows.columns import PREDICTION, TARGET

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from testbed_domain.tables.reading import ReadOptions, TableKind

    from testbed_drift.rows.columns import ColumnKind

# Categories of the reference that stand for themselves; all others count as one.
MOST_CATEGORIES: Final = 200
OTHER: Final = "(other)"
# Of more than these, where a value comes in fewer rows on average, it is an id or free text.
LEAST_REPEATED: Final = 2.0
MOST_CLASSES: Final = 50
BINARY: Final = 2
_ID_NAME: Final = re.compile(r"(^|[_\s-])(id|key|index|nr|no|uuid)$|[a-z](Id|ID)$", re.IGNORECASE)
_LEAST_IDS: Final = 20
LABELS_ROWS: Final = "it labels the rows, as the index of pandas does"
# Values that a finding names, and the longest part of each.
NAMED: Final = 3
LONGEST: Final = 40


class TableSchemaError(DomainError):
    """Tables that don't go together, or columns that aren't there. Names the columns."""


@dataclass(frozen=True, slots=True)
class Roles:
    """Which columns are no features.

    Attributes:
        target: column of the labels, or None.
        prediction: column of the predicted classes, or None.
        probabilities: class to the column of its probability; the class is empty for the only
            column of two classes, which is that of the positive one.
        positive: the positive class, or None to take the last of two.
    """

    target: str | None = None
    prediction: str | None = None
    probabilities: Mapping[str, str] = field(default_factory=dict)
    positive: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        known = (self.target, self.prediction, *self.probabilities.values())
        return tuple(dict.fromkeys(name for name in known if name))


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A feature column, as the reference has it.

    Attributes:
        name: its name.
        kind: see :mod:`testbed_domain.tables.columnkinds`.
        values: number of different values of a category; 0 for other kinds.
        kept: categories that stand for themselves, where others are compared as :data:`OTHER`;
            empty where all do.
        textual: whether these are words: no category of the reference is a number or a date.
        known: texts like NA that are values here, not missing ones.
        width: digits of every category, where they are codes like 01067; else 0.
        flag: whether all numbers are 0 or 1, so that texts of truth are, too.
        decimal: decimal mark of its texts, where they left no doubt.
        odd: values that can't be read as its kind, where most can.
        examples: some of them.
    """

    name: str
    kind: TableKind
    values: int = 0
    kept: tuple[str, ...] = ()
    textual: bool = False
    known: tuple[str, ...] = ()
    width: int = 0
    flag: bool = False
    decimal: str | None = None
    odd: int = 0
    examples: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """What results call it: its name, unless that is one of ours."""
        return f"{self.name} (feature)" if self.name in {PREDICTION, TARGET} else self.name

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, for people: the categories by number only."""
        found: dict[str, Any] = {"kind": self.kind}
        if self.kind == "category":
            found |= {"values": self.values, "kept": len(self.kept) or self.values}
        if self.odd:
            found["unreadable"] = self.odd
        return found

    def cleaned(self, values: pd.Series[Any], *, typed: bool) -> pd.Series[Any]:
        """A column of this name with what says nothing as missing.

        Args:
            values: of any table.
            typed: whether texts are meant as texts, here and in the reference.
        """
        values = without_blanks(values)
        if self.kind != "category":
            return without_markers(values)
        return values if typed else words_without_markers(values, self.known)


@dataclass(frozen=True, slots=True)
class TableSchema:
    """The columns of a reference table.

    Attributes:
        columns: features, in the table's order.
        roles: the other columns.
        classes: classes of target and prediction, sorted; empty where there are neither.
        left_out: column that is not compared to the reason.
        beside: columns that the table has and nobody asked for.
        typed: whether texts of the table are meant as texts.
        decimal: decimal mark of the table's texts, where one is known.
    """

    columns: tuple[TableColumn, ...]
    roles: Roles
    classes: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    beside: tuple[str, ...] = ()
    typed: bool = True
    decimal: str | None = None

    @property
    def kinds(self) -> dict[str, ColumnKind]:
        """Feature columns with the kind of comparison that fits."""
        return {
            column.label: "numeric" if column.kind in {"number", "date"} else "category"
            for column in self.columns
        }

    @property
    def unreadable(self) -> dict[str, str]:
        """Column to a phrase on values of the reference that can't be read as its kind."""
        return {
            column.label: f"{column.odd} values of the reference are not of kind {column.kind} ("
            + ", ".join(map(repr, column.examples))
            + ")"
            for column in self.columns
            if column.odd
        }

    @property
    def positive(self) -> str | None:
        """The positive class of two: what was said, or the last (``1``, ``True``, ``yes``)."""
        if len(self.classes) != BINARY:
            return None
        return self.class_of(self.roles.positive) or self.classes[-1]

    def class_of(self, text: str | None) -> str | None:
        """A class as the reference writes it: of true and false, every form is the same."""
        if text is None or text in self.classes:
            return text
        return spelled(self.classes).get(truth_of(text) or "", class_text(text))

    def classes_of(self, values: pd.Series[Any], *, typed: bool) -> pd.Series[Any]:
        """A column of classes as the reference writes them, as text or None.

        Args:
            values: of target or prediction.
            typed: whether texts are meant as texts, here and in the reference.
        """
        return _class_texts(values, typed=typed).map(self.class_of, na_action="ignore")

    @property
    def features(self) -> FeatureSchema:
        """The form that a model's features have."""
        kinds = self.kinds
        return FeatureSchema(
            tuple(
                Feature(name, "number" if kind == "numeric" else "category", "", nullable=True)
                for name, kind in kinds.items()
            ),
            self.roles.target or "",
            self.classes,
            self.positive,
        )

    def to_dict(self) -> dict[str, Any]:
        """All of it, JSON-ready."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        return cls(
            tuple(
                TableColumn(**{name: _listed(value) for name, value in column.items()})
                for column in data["columns"]
            ),
            Roles(**data["roles"]),
            tuple(data["classes"]),
            data["left_out"],
            tuple(data.get("beside", ())),
            data.get("typed", True),
            data.get("decimal"),
        )

    def unread(self, names: Iterable[str], apart: Iterable[str | None]) -> tuple[str, ...]:
        """Columns of another table that the reference lacks, so that nobody reads them.

        Args:
            names: columns of that table, in order.
            apart: those that are known otherwise: of times, of groups.
        """
        known = {*(column.name for column in self.columns), *self.roles.columns, *apart}
        known |= {*self.left_out, *self.beside}
        return tuple(dict.fromkeys(name for name in names if name not in known))


def _listed(value: Any) -> Any:  # noqa: ANN401 - of JSON
    return tuple(value) if isinstance(value, list) else value


def choose(
    names: Sequence[str],
    roles: Roles,
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
            f"target, prediction and probability are no columns to compare: {', '.join(both)}"
        )
    apart = {*roles.columns, *beside, *labels}
    found = list(dict.fromkeys(wanted)) or [name for name in names if name not in apart]
    if not found:
        raise TableSchemaError("the reference has no columns beside target and prediction")
    return found


def pin(
    frame: pd.DataFrame,
    columns: Sequence[str],
    roles: Roles,
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
        TableSchemaError: no column is left, a kind does not fit, or the target has too many
            classes.
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
        values = without_blanks(frame[name])
        kind = said.get(name) or kind_of(values, typed=typed, decimal=decimal)
        if kind != "category":
            values = without_markers(values)
        elif not typed:
            values = words_without_markers(values, markers_in(values, typed=typed))
        if not values.notna().any():
            kind = None
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
    classes = _classes(frame, roles, typed=typed)
    return TableSchema(tuple(found), roles, classes, left_out, typed=typed, decimal=hint)


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
        return TableColumn(name, kind, flag=flag, decimal=mark, odd=len(odd), examples=examples)
    told = texts(values) if typed else class_texts(values)
    counts = told.value_counts()
    kept = tuple(map(str, counts.index[:MOST_CATEGORIES])) if len(counts) > MOST_CATEGORIES else ()
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
        kept,
        textual=words and not numeric and not width,
        known=markers_in(values, typed=typed),
        width=width,
    )


def readings(
    values: pd.Series[Any], kind: TableKind, decimal: str | None, hint: str | None
) -> pd.Series[Any]:
    """Values as a kind other than a category; what can't be read so is missing.

    Args:
        values: see :meth:`TableColumn.cleaned`.
        kind: ``number``, ``date`` or ``boolean``.
        decimal: decimal mark of texts; None has them say it.
        hint: decimal mark where they leave a doubt.
    """
    if kind == "boolean":
        told = truths(values)
        return told.where(told.isin(["False", "True"]), None)
    read = numbers(values, decimal, hint) if kind == "number" else days(values)
    if kind == "date" and np.isnan(read).all():  # Unix times, in a CSV file or beside text
        read = days(pd.Series(numbers(values)))
    return pd.Series(read, index=values.index)


def _reason(name: str, values: pd.Series[Any], kind: TableKind | None, *, asked: bool) -> str:
    """Why a column is left out; empty where it is not."""
    if kind is None:
        return "it is empty in the reference"
    if asked:
        return ""
    present = values.dropna()
    if kind == "number" and len(present) >= _LEAST_IDS:
        told = numbers(present)
        # Of large ones, floats that are the same would hide that they differ.
        differ = texts(present).nunique() == len(present)
        if differ and bool((np.mod(told, 1) == 0).all()):
            counts_up = bool((np.abs(np.diff(told)) == 1).all())
            if counts_up or _ID_NAME.search(name):
                return "it is an id: whole numbers that differ in every row"
    if kind == "category":
        different, rows = texts(present).nunique(), len(present)
        if different > MOST_CATEGORIES and rows < LEAST_REPEATED * different:
            return f"it is an id or free text: {different} different values in {rows} rows"
    return ""


def _class_texts(values: pd.Series[Any], *, typed: bool) -> pd.Series[Any]:
    values = without_blanks(values)
    if not typed:
        values = words_without_markers(values, markers_in(values, typed=typed))
    return class_texts(values)


def _classes(frame: pd.DataFrame, roles: Roles, *, typed: bool) -> tuple[str, ...]:
    """The classes, as the target writes them; true and false come in any form elsewhere."""
    known = [name for name in (roles.target, roles.prediction) if name]
    parts = [dict.fromkeys(_class_texts(frame[name], typed=typed).dropna()) for name in known]
    parts.append(dict.fromkeys(class_text(name) for name in roles.probabilities if name))
    found: set[str] = set()
    every = {text for part in parts for text in part}
    if every and None not in {truth_of(text) for text in every}:
        for part in parts:
            known_truths = {truth_of(text) for text in found}
            found |= {text for text in part if truth_of(text) not in known_truths}
    else:
        found = every
    if len(found) > MOST_CLASSES:
        raise TableSchemaError(
            f"{' and '.join(known)} hold {len(found)} different values, at most {MOST_CLASSES} "
            "classes can be judged: give classes, or compare it with --columns"
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

"""What a reference table's columns are: found once, pinned, and demanded of every other table."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pandas as pd
from testbed_domain.errors import DomainError
from testbed_domain.features import Feature, FeatureSchema

from testbed_drift.rows.columnkinds import TableKind, kind_of, numbers, texts, without_blanks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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
        kind: see :mod:`testbed_drift.rows.columnkinds`.
        values: number of different values of a category; 0 for other kinds.
        kept: categories that stand for themselves, where others are compared as :data:`OTHER`;
            empty where all do.
        textual: whether these are words: no category of the reference is a number or a date.
    """

    name: str
    kind: TableKind
    values: int = 0
    kept: tuple[str, ...] = ()
    textual: bool = False

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, for people: the categories by number only."""
        found: dict[str, Any] = {"kind": self.kind}
        if self.kind == "category":
            found |= {"values": self.values, "kept": len(self.kept) or self.values}
        return found


@dataclass(frozen=True, slots=True)
class TableSchema:
    """The columns of a reference table.

    Attributes:
        columns: features, in the table's order.
        roles: the other columns.
        classes: classes of target and prediction, sorted; empty where there are neither.
        left_out: column that is not compared to the reason.
        beside: columns that the table has and nobody asked for.
    """

    columns: tuple[TableColumn, ...]
    roles: Roles
    classes: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    beside: tuple[str, ...] = ()

    @property
    def kinds(self) -> dict[str, ColumnKind]:
        """Feature columns with the kind of comparison that fits."""
        return {
            column.name: "numeric" if column.kind in {"number", "date"} else "category"
            for column in self.columns
        }

    @property
    def positive(self) -> str | None:
        """The positive class of two: what was said, or the last (``1``, ``True``, ``yes``)."""
        if len(self.classes) != BINARY:
            return None
        return self.roles.positive or self.classes[-1]

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
                TableColumn(**{**column, "kept": tuple(column["kept"])})
                for column in data["columns"]
            ),
            Roles(**data["roles"]),
            tuple(data["classes"]),
            data["left_out"],
            tuple(data.get("beside", ())),
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


def choose(
    names: Sequence[str], roles: Roles, wanted: Sequence[str], beside: Iterable[str | None]
) -> list[str]:
    """The columns to compare, before their values are known.

    Args:
        names: columns of the reference.
        roles: the columns that are none of them.
        wanted: columns that were asked for; empty for all.
        beside: further columns that are none of them unless asked for: of times, of groups.

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
    apart = {*roles.columns, *beside}
    found = list(dict.fromkeys(wanted)) or [name for name in names if name not in apart]
    if not found:
        raise TableSchemaError("the reference has no columns beside target and prediction")
    return found


def pin(
    frame: pd.DataFrame, columns: Sequence[str], roles: Roles, *, typed: bool, asked: bool
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

    Raises:
        TableSchemaError: no column is left, or the target has too many classes.
    """
    found: list[TableColumn] = []
    left_out: dict[str, str] = {}
    for name in columns:
        values = without_blanks(frame[name])
        kind = kind_of(values, typed=typed)
        reason = _reason(name, values, kind, asked=asked)
        if kind is None or reason:
            left_out[name] = reason
        else:
            found.append(_column(name, values, kind))
    if not found:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise TableSchemaError(f"the reference has no column to compare: {reasons}")
    return TableSchema(tuple(found), roles, _classes(frame, roles), left_out)


def _column(name: str, values: pd.Series[Any], kind: TableKind) -> TableColumn:
    if kind != "category":
        return TableColumn(name, kind)
    counts = texts(values).value_counts()
    kept = tuple(map(str, counts.index[:MOST_CATEGORIES])) if len(counts) > MOST_CATEGORIES else ()
    words = kind_of(pd.Series(counts.index.astype(object)), typed=False) == "category"
    numeric = pd.to_numeric(pd.Series(counts.index.astype(object)), errors="coerce").notna().any()
    return TableColumn(name, kind, len(counts), kept, textual=words and not numeric)


def _reason(name: str, values: pd.Series[Any], kind: TableKind | None, *, asked: bool) -> str:
    """Why a column is left out; empty where it is not."""
    if kind is None:
        return "it is empty in the reference"
    if asked:
        return ""
    present = values.dropna()
    if kind == "number" and len(present) >= _LEAST_IDS:
        told = numbers(present)
        whole = bool((np.mod(told, 1) == 0).all())
        if whole and len(np.unique(told)) == len(told):
            counts_up = bool((np.abs(np.diff(told)) == 1).all())
            if counts_up or _ID_NAME.search(name):
                return "it is an id: whole numbers that differ in every row"
    if kind == "category":
        different, rows = texts(present).nunique(), len(present)
        if different > MOST_CATEGORIES and rows < LEAST_REPEATED * different:
            return f"it is an id or free text: {different} different values in {rows} rows"
    return ""


def _classes(frame: pd.DataFrame, roles: Roles) -> tuple[str, ...]:
    known = [name for name in (roles.target, roles.prediction) if name]
    found = {text for name in known for text in texts(frame[name]).dropna()}
    found |= {name for name in roles.probabilities if name}
    if len(found) > MOST_CLASSES:
        raise TableSchemaError(
            f"{' and '.join(known)} hold {len(found)} different values, at most {MOST_CLASSES} "
            "classes can be judged: give classes, or compare it with --columns"
        )
    classes = tuple(sorted(found, key=_order))
    if roles.positive is not None and roles.positive not in classes:
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

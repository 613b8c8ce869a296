"""What a reference table's columns are: found once, pinned, and demanded of every other table."""

from __future__ import annotations

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
    markers_in,
    numbers,
    spelled,
    truth_of,
    truths,
    without_blanks,
    without_markers,
    words_without_markers,
)

from testbed_drift.rows.columns import PREDICTION, TARGET

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from testbed_domain.features import Task
    from testbed_domain.tables.columnkinds import Floats
    from testbed_domain.tables.reading import TableKind

    from testbed_drift.rows.columns import ColumnKind

# A column of which less can be read as what it should be is another column.
MIN_READABLE: Final = 0.5
# Digits of a number that are compared; calculations leave noise in the last of 16.
DIGITS: Final = 13
# Categories of the reference that stand for themselves; all others count as one.
MAX_CATEGORIES: Final = 200
BINARY: Final = 2
# Days from 1901 to 2098; most others stand for "always" and "never".
PLAUSIBLE: Final = (-25_202.0, 47_117.0)
OTHER: Final = "(other)"


class TableSchemaError(DomainError):
    """Tables that don't go together, or columns that aren't there. Names the columns."""


@dataclass(frozen=True, slots=True)
class ColumnRoles:
    """Which columns are no features.

    Attributes:
        target: column of the labels, or None.
        prediction: column of the predicted classes, or None.
        probabilities: class to the column of its probability; the class is empty for the only
            column of two classes, which is that of the positive one.
        positive: the positive class, or None to take the last of two.
        task: whether target and prediction hold classes or the numbers of a regression; None has
            the target say it.
    """

    target: str | None = None
    prediction: str | None = None
    probabilities: Mapping[str, str] = field(default_factory=dict)
    positive: str | None = None
    task: Task | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        known = (self.target, self.prediction, *self.probabilities.values())
        return tuple(dict.fromkeys(name for name in known if name))


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of features, or of numbers that are predicted, as the reference has it.

    Attributes:
        name: its name.
        kind: see :mod:`testbed_domain.tables.columnkinds`.
        values: number of different values of a category; 0 for other kinds.
        retained: categories that stand for themselves, where others are compared as :data:`OTHER`;
            empty where all do.
        textual: whether these are words: no category of the reference is a number or a date.
        known: texts like NA that are values here, not missing ones.
        width: digits of every category, where they are codes like 01067; else 0.
        flag: whether all numbers are 0 or 1, so that texts of truth are, too.
        decimal: decimal mark of its texts, where they left no doubt.
        ends: days that stand for those before 1901 and after 2098, as 9999-12-31 for "no end", so
            that these don't hide the others; empty where there are none.
        odd: values that can't be read as its kind, where most can.
        examples: some of them.
    """

    name: str
    kind: TableKind
    values: int = 0
    retained: tuple[str, ...] = ()
    textual: bool = False
    known: tuple[str, ...] = ()
    width: int = 0
    flag: bool = False
    decimal: str | None = None
    ends: tuple[float, ...] = ()
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
            found |= {"values": self.values, "retained": len(self.retained) or self.values}
        if self.odd:
            found["unreadable"] = self.odd
        return found

    def bounded(self, read: pd.Series[Any]) -> pd.Series[Any]:
        """Days with those far from the others brought near; other columns as they are."""
        if not self.ends:
            return read
        near = read.clip(*self.ends)
        return read.where(read.isna() | read.between(*PLAUSIBLE), near)

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
        classes: classes of target and prediction, sorted; empty where there are neither, and of a
            regression.
        numbers: of a regression, its target and prediction; empty where these hold classes.
        left_out: column that is not compared to the reason.
        beside: columns that the table has and nobody asked for.
        typed: whether texts of the table are meant as texts.
        decimal: decimal mark of the table's texts, where one is known.
    """

    columns: tuple[TableColumn, ...]
    roles: ColumnRoles
    classes: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    beside: tuple[str, ...] = ()
    typed: bool = True
    decimal: str | None = None
    numbers: tuple[TableColumn, ...] = ()

    @property
    def task(self) -> Task:
        """What target and prediction hold."""
        return "regression" if self.numbers else "classification"

    @property
    def task_line(self) -> str | None:
        """One line about a task that nobody said and that is not the usual one, or None."""
        if not self.numbers or self.roles.task:
            return None
        named = " and ".join(column.name for column in self.numbers)
        return f"{named}: numbers of a regression, as their values suggest (or by --task)"

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
            for column in (*self.columns, *self.numbers)
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
        return class_values(values, typed=typed).map(self.class_of, na_action="ignore")

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
            task=self.task,
        )

    def to_dict(self) -> dict[str, Any]:
        """All of it, JSON-ready."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        return cls(
            _columns(data["columns"]),
            ColumnRoles(**data["roles"]),
            tuple(data["classes"]),
            data["left_out"],
            tuple(data.get("beside", ())),
            data.get("typed", True),
            data.get("decimal"),
            _columns(data.get("numbers", ())),
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


def _columns(data: Iterable[Mapping[str, Any]]) -> tuple[TableColumn, ...]:
    return tuple(
        TableColumn(**{name: _listed(value) for name, value in column.items()}) for column in data
    )


def _listed(value: Any) -> Any:  # noqa: ANN401 - of JSON
    return tuple(value) if isinstance(value, list) else value


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
        predicted = truths(values)
        return predicted.where(predicted.isin(["False", "True"]), None)
    read = settled(numbers(values, decimal, hint)) if kind == "number" else days(values)
    if kind == "date" and np.isnan(read).all():  # Unix times, in a CSV file or beside text
        read = days(pd.Series(numbers(values, decimal, hint)))
    return pd.Series(read, index=values.index)


def settled(values: Floats) -> Floats:
    """Numbers without the noise of calculations: 0.30000000000000004 is 0.3; whole ones stay."""
    size = np.abs(values)
    # Beyond, there are no such digits, or no power of ten.
    noisy = (size > 10.0 ** (DIGITS - 300)) & (size < 10.0 ** (DIGITS - 1))
    noisy &= np.trunc(values) != values
    found = values.copy()
    part = values[noisy]
    scale = 10.0 ** (DIGITS - 1 - np.floor(np.log10(np.abs(part))))
    found[noisy] = np.rint(part * scale) / scale
    return found


def class_values(values: pd.Series[Any], *, typed: bool) -> pd.Series[Any]:
    """Values as classes are written; what is blank or marked as missing is None."""
    values = without_blanks(values)
    if not typed:
        values = words_without_markers(values, markers_in(values, typed=typed))
    return class_texts(values)

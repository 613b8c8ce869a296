"""What is wrong with the data of a window, value by value, whatever the model makes of it. Pure.

Shares are of the window's rows. What to expect of a column comes from the schema and from the
reference together: a number is out of range outside of the schema's bounds or of all that the
reference holds (which a fair row leaves about twice in as many rows as the reference has); a
category is new where neither knows it.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import date, time, timedelta
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import numpy as np
from testbed_otel import names

from testbed_drift.rows import packing
from testbed_drift.rows.repeats import repeated

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from testbed_domain.features import Feature, FeatureSchema

ValueType = Literal["number", "text", "boolean", "date", "other"]
MISSING, OUT_OF_RANGE, NEW_CATEGORY, TYPE_CHANGE, CONSTANT = CHECKS = names.QUALITY_CHECKS
# New values that a report names, and the longest part of each.
NAMED: Final = 5
LONGEST: Final = 40
# Chance of so many values that are missing or out of range, above which nothing is wrong with them.
UNLIKELY: Final = 1e-3
# Chance at which a column without a single value is one whose values are only rare.
RARE: Final = 1e-6


@dataclass(frozen=True, slots=True)
class ColumnExpectation:
    """What a column should look like.

    Attributes:
        column: its name.
        type: type of its values.
        minimum: smallest number, or None for no limit.
        maximum: largest number, or None.
        known: texts that are not new.
        constant: whether the reference has one value only.
        rows: rows of the reference.
        missing: those of them without a value.
    """

    column: str
    type: ValueType
    minimum: float | None = None
    maximum: float | None = None
    known: frozenset[str] = frozenset()
    constant: bool = False
    rows: int = 0
    missing: int = 0

    def worse(self, ratios: Mapping[str, float], rows: int) -> tuple[str, ...]:
        """Checks of which a window shows more than the reference lets one expect.

        Values missing or out of range come by chance, and are counted beside those of the
        reference (beta-binomial; a fair value lies outside of N others twice in N + 1). The
        reference has none of the rest.
        """
        fair = {MISSING: self.missing, OUT_OF_RANGE: min(1, self.rows)}
        found = []
        for name, ratio in ratios.items():
            seen = round(ratio * rows)
            known = fair.get(name, 0)
            if not ratio:
                continue
            by_chance = name in fair and self.rows > 0
            if not by_chance or _tail(seen, rows, known, self.rows) <= UNLIKELY:
                found.append(name)
        return tuple(found)

    def may_lack_all(self, rows: int) -> bool:
        """Whether so many rows without a value may still be chance (rule of succession)."""
        chance = ((self.missing + 1) / (self.rows + 2)) ** rows
        return self.missing == self.rows or bool(chance > RARE)

    @classmethod
    def learn(cls, column: str, reference: Sequence[object], feature: Feature | None) -> Self:
        """Expect what the schema says, and what the reference holds.

        Args:
            column: name of the column.
            reference: its values; may be empty.
            feature: its entry in the schema; None takes the most frequent type of the reference.
        """
        numbers = None
        if feature is None or feature.kind != "category":
            numbers = packing.numbers(reference)
        if numbers is not None and (feature is not None or not np.isnan(numbers).all()):
            known = numbers[~np.isnan(numbers)]
            alike = len(known) > 0 and bool((known == known[0]).all())
            found = cls._of_numbers(column, known, feature, constant=alike)
            return replace(found, rows=len(reference), missing=len(reference) - len(known))
        present = _tally(reference)
        missing = len(reference) - sum(rows for _, rows in present)
        types = Counter[ValueType]()
        for value, rows in present:
            types[type_of(value)] += rows
        kind: ValueType = types.most_common(1)[0][0] if types else "other"
        if feature is not None and kind != "boolean":  # truths are categories, but no other text is
            kind = "text" if feature.kind == "category" else "number"
        fitting = [value for value, _ in present if type_of(value) == kind]
        constant = len({_key(value) for value, _ in present}) == 1
        if kind == "number":
            values = np.array([_number(value) for value in fitting])
            found = cls._of_numbers(column, values, feature, constant=constant)
            return replace(found, rows=len(reference), missing=missing)
        known = set(map(str, fitting)) if kind == "text" else set()
        return cls(
            column,
            kind,
            known=frozenset(known | {*(feature.categories if feature else ())}),
            constant=constant,
            rows=len(reference),
            missing=missing,
        )

    @classmethod
    def _of_numbers(
        cls, column: str, values: np.ndarray[Any, Any], feature: Feature | None, *, constant: bool
    ) -> Self:
        low, high = (feature.minimum, feature.maximum) if feature else (None, None)
        finite = values[np.isfinite(values)]
        smallest, largest = (
            (float(finite.min()), float(finite.max())) if len(finite) else (None,) * 2
        )
        return cls(
            column,
            "number",
            _tighter(max, low, smallest),
            _tighter(min, high, largest),
            constant=constant,
        )


@dataclass(frozen=True, slots=True)
class ColumnQuality:
    """What is wrong with one column of a window.

    Attributes:
        column: its name.
        ratios: value by check, in :data:`CHECKS`: shares of the rows; ``constant`` is 1 or 0.
        new: some of the new categories.
        worse: the checks by which it differs from the reference for the worse, by more than chance
            explains (:data:`UNLIKELY`).
    """

    column: str
    ratios: Mapping[str, float]
    new: tuple[str, ...] = ()
    worse: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {**self.ratios, CONSTANT: bool(self.ratios[CONSTANT]), "new_values": list(self.new)}


@dataclass(frozen=True, slots=True)
class DataQuality:
    """What is wrong with a window.

    Attributes:
        rows: its rows; where there are none, nothing is wrong and nothing is known.
        columns: by column, in the order of the schema; empty for an empty window.
        duplicated: share of rows that repeat an earlier one in every column; None where unknown.
        reference_duplicated: the same of the reference.
        unexpected: columns that neither schema nor reference know.
        unreadable: column to a phrase on values that can't be compared, in window or reference;
            that there are none any more, too.
    """

    rows: int
    columns: tuple[ColumnQuality, ...]
    duplicated: float | None
    reference_duplicated: float | None
    unexpected: tuple[str, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)

    @property
    def phrases(self) -> tuple[str, ...]:
        """What can't be compared, a phrase for each column."""
        return tuple(f"{name}: {phrase}" for name, phrase in self.unreadable.items())

    def with_absent(self, expected: Sequence[ColumnExpectation]) -> DataQuality:
        """The same with columns of which no row has a value any more, unlike in the reference."""
        absent = {
            wanted.column: f"none of {self.rows} rows has a value, "
            f"{wanted.rows - wanted.missing} of the reference's {wanted.rows} have"
            for wanted, found in zip(expected, self.columns, strict=False)
            if found.ratios[MISSING] == 1.0 and not wanted.may_lack_all(self.rows)
        }
        return replace(self, unreadable={**self.unreadable, **absent})

    def beside(self, columns: Iterable[str]) -> DataQuality:
        """The same of a window that has further columns, which nobody has read."""
        return replace(self, unexpected=tuple(sorted({*self.unexpected, *columns})))

    def with_unreadable(
        self, reference: Mapping[str, str], outcomes: Mapping[str, int]
    ) -> DataQuality:
        """The same with what can't be compared.

        Args:
            reference: column to a phrase on such values of the reference.
            outcomes: of a regression, target and prediction to rows of the window whose value is
                none.
        """
        found = {**self.unreadable, **reference}
        odd = {one.column: round(one.ratios[TYPE_CHANGE] * self.rows) for one in self.columns}
        for name, rows in (*odd.items(), *outcomes.items()):
            if rows:
                here = f"{rows} of {self.rows} values are of another type"
                known = found.get(name)
                found[name] = f"{known}; {here}" if known else here
        return replace(self, unreadable=found)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "rows": self.rows,
            "duplicated": self.duplicated,
            "reference_duplicated": self.reference_duplicated,
            "unexpected_columns": list(self.unexpected),
            "unreadable": dict(self.unreadable),
            "columns": {found.column: found.to_dict() for found in self.columns},
        }


def check(
    reference: Mapping[str, Sequence[object]],
    current: Mapping[str, Sequence[object]],
    schema: FeatureSchema | None = None,
) -> DataQuality:
    """Check a window against what the schema and a reference lead to expect.

    Args:
        reference: column name to values of equal length.
        current: the same for the window. A column that it lacks is missing in every row.
        schema: the model's features, or None where there is none.
    """
    features = {feature.name: feature for feature in schema.features} if schema else {}
    wanted = list(dict.fromkeys((*features, *(() if schema else reference))))
    rows = max((len(values) for values in current.values()), default=0)
    expected = [
        ColumnExpectation.learn(name, reference.get(name, ()), features.get(name))
        for name in wanted
    ]
    found = DataQuality(
        rows,
        tuple(_column(one, current.get(one.column, [None] * rows)) for one in expected if rows),
        _duplicated(current, wanted),
        _duplicated(reference, wanted),
        tuple(sorted({*map(str, current)} - {*wanted})),
    )
    return found.with_absent(expected)


def is_missing(value: object) -> bool:
    """Whether a value says nothing: None, NaN, and pandas's own words for it."""
    # Comparison with itself finds NaN and NaT; pandas's NA refuses to be compared at all.
    return value is None or type(value).__name__ == "NAType" or _is_nan(value)


def type_of(value: object) -> ValueType:
    """The type of a value that is not missing; numpy's types are those of Python."""
    if isinstance(value, bool) or type(value).__name__ in {"bool", "bool_"}:
        return "boolean"
    if isinstance(value, Real | Decimal):
        return "number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, date | time | timedelta) or type(value).__name__.startswith("datetime"):
        return "date"
    return "other"


def _column(expected: ColumnExpectation, values: Sequence[object]) -> ColumnQuality:
    numbers = packing.numbers(values) if expected.type == "number" else None
    if numbers is not None:
        return _of_numbers(expected, numbers)
    present = _tally(values)
    rows = sum(count for _, count in present)
    fitting = [(value, count) for value, count in present if type_of(value) == expected.type]
    outside, new = 0, Counter[str]()
    if expected.type == "number":
        outside = sum(n for value, n in fitting if not _inside(expected, _number(value)))
    elif expected.type == "text":
        for value, count in fitting:
            if (text := str(value)) not in expected.known:
                new[text] += count
    alike = rows > 1 and len({_key(value) for value, _ in present}) == 1
    counts = {
        MISSING: len(values) - rows,
        OUT_OF_RANGE: outside,
        NEW_CATEGORY: new.total(),
        TYPE_CHANGE: rows - sum(count for _, count in fitting),
    }
    ratios = {name: count / len(values) for name, count in counts.items()}
    ratios[CONSTANT] = float(alike and not expected.constant)
    shown = tuple(text[:LONGEST] for text, _ in new.most_common(NAMED))
    return ColumnQuality(expected.column, ratios, shown, expected.worse(ratios, len(values)))


def _of_numbers(expected: ColumnExpectation, numbers: np.ndarray[Any, Any]) -> ColumnQuality:
    """The same for a column that holds nothing but numbers."""
    present = numbers[~np.isnan(numbers)]
    inside = np.isfinite(present)
    if expected.minimum is not None:
        inside &= present >= expected.minimum
    if expected.maximum is not None:
        inside &= present <= expected.maximum
    alike = len(present) > 1 and bool((present == present[0]).all())
    ratios = {
        MISSING: (len(numbers) - len(present)) / len(numbers),
        OUT_OF_RANGE: float(len(present) - inside.sum()) / len(numbers),
        NEW_CATEGORY: 0.0,
        TYPE_CHANGE: 0.0,
        CONSTANT: float(alike and not expected.constant),
    }
    return ColumnQuality(expected.column, ratios, worse=expected.worse(ratios, len(numbers)))


def _tail(seen: int, rows: int, known: int, reference: int) -> float:
    """Chance of at least so many of the rows, after as many of the reference's."""
    from scipy.stats import betabinom  # noqa: PLC0415 - takes a second, and few columns need it

    return float(betabinom.sf(seen - 1, rows, known + 1, reference - known + 1))


def _tally(values: Sequence[object]) -> list[tuple[object, int]]:
    """The values that are not missing, each once where it can be looked up, and their rows."""
    try:
        counts = Counter(zip(map(type, values), values, strict=True))
        found = [(value, rows) for (_, value), rows in counts.items()]
    except TypeError:  # a value that has no hash
        found = [(value, 1) for value in values]
    return [(value, rows) for value, rows in found if not is_missing(value)]


def _inside(expected: ColumnExpectation, number: float) -> bool:
    low = -math.inf if expected.minimum is None else expected.minimum
    high = math.inf if expected.maximum is None else expected.maximum
    return math.isfinite(number) and low <= number <= high


def _duplicated(columns: Mapping[str, Sequence[object]], wanted: Sequence[str]) -> float | None:
    return repeated([columns[name] for name in wanted if name in columns], _key)


def _key(value: object) -> object:
    """Something to compare and count by, for a value of any type."""
    if is_missing(value):
        return None
    if isinstance(value, Real | Decimal | str):
        return type_of(value), value  # True equals 1, but is no number here
    return type(value).__name__, repr(value)


def _is_nan(value: object) -> bool:
    try:
        return bool(value != value)  # noqa: PLR0124 - only NaN and NaT differ from themselves
    except (TypeError, ValueError):  # arrays, and others that can't be compared
        return False


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type] # called for numbers only
    except OverflowError:  # an integer beyond every float
        return math.inf


def _tighter(choose: Any, *limits: float | None) -> float | None:  # noqa: ANN401 - min or max
    known = [limit for limit in limits if limit is not None]
    return choose(known) if known else None

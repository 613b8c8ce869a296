"""What an expression measures, as far as time goes, so that its plain numbers can be scaled.

Pure. A run at factor *s* shortens every range and every wait, and leaves rates as they are. What an
expression counts over a range, and the seconds that its clock readings lie apart, then become 1/*s*
of what they are in production, and so must the numbers that they are compared with:
``increase(x[5m]) > 30``, ``time() - x > 900``, ``predict_linear(x[1h], 4 * 3600)``. Which numbers
these are follows from the dimension of what stands beside them: the power of time in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final, TypeAlias

import promql_parser as promql

from testbed_rules.parsing import (
    COMPARISONS,
    SET_OPERATORS,
    as_written,
    constant,
    nodes_of,
    parse,
    unwrapped,
)
from testbed_rules.rewriting import with_numbers_divided
from testbed_rules.selectors import selector_of

if TYPE_CHECKING:
    from collections.abc import Sequence


class Sort(Enum):
    """Dimensions that are no power of time."""

    NUMBER = "a plain number, which takes the dimension of what it is compared with"
    INSTANT = "a reading of the clock, such as time()"
    COUNTER = "a reading of a counter, which grows as long as its process lives"
    UNCLEAR = "something whose dependence on time can't be told"


Dimension: TypeAlias = int | Sort
"""A power of time (0: does not depend on the time scale, 1: grows with a range), or a sort."""

_COUNTS: Final = frozenset({"increase", "delta"})
_RATES: Final = frozenset({"rate", "irate", "deriv"})
_EVENTS: Final = frozenset({"changes", "resets", "idelta"})
_MOVES: Final = frozenset({"delta", "deriv"})
_CLOCKS: Final = frozenset({"time", "timestamp"})
_BOUNDED: Final = frozenset({"clamp", "clamp_max", "clamp_min", "round"})
_CURVED: Final = frozenset(
    {"ceil", "exp", "floor", "ln", "log10", "log2", "sqrt"}
    | {"acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh"}
    | {"sin", "sinh", "tan", "tanh"}
)
_TIMELESS: Final = frozenset(
    {"absent", "absent_over_time", "count_over_time", "present_over_time", "sgn"}
    | {"histogram_avg", "histogram_fraction", "histogram_quantile"}
    | {"histogram_stddev", "histogram_stdvar"}
)
_CALENDAR: Final = frozenset(
    {"day_of_month", "day_of_week", "day_of_year", "days_in_month"}
    | {"hour", "minute", "month", "year"}
)
_SQUARED: Final = frozenset({"stdvar", "stdvar_over_time"})
_COUNTED: Final = frozenset({"count", "count_values", "group"})
_CLOCK_SUFFIXES: Final = ("_timestamp_seconds", "_start_time_seconds", "_boot_time_seconds")
_COUNTER_SUFFIX: Final = "_total"
_ELAPSED: Final = re.compile(r"(^|_)(uptime|age_seconds)(_|$)")
"""Names of series that hold the time since something."""
_LEVEL: Final = re.compile(r"(^|_)(ratio|score|percent|percentage|probability|celsius|quantile)$")
"""Names of series that can't grow with what has happened: a change of them is one of the level."""
_SHOWN: Final = 80
"""Characters of an expression in a reason at most."""


@dataclass(frozen=True, slots=True)
class Scaled:
    """An expression with its plain numbers fitted to a time scale.

    Attributes:
        text: PromQL; as it was where no number had to change.
        dimension: of its value.
        numbers: those that were divided, as they were written.
        problems: why it can't be fitted, one line each; empty where it can.
    """

    text: str
    dimension: Dimension
    numbers: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def with_numbers_scaled(
    text: str, factor: float, recorded: Mapping[str, Dimension] | None = None
) -> Scaled:
    """Divide the numbers that count seconds, or events within a range.

    Args:
        text: PromQL; its durations are left alone.
        factor: time scale.
        recorded: dimension of the series that rules record.

    Raises:
        ValueError: the parser can't read the expression.
    """
    root = parse(text)
    reader = _Reader(recorded or {})
    dimension = reader.read(root, 0)
    if reader.problems or not reader.numbers or factor == 1:
        return Scaled(text, dimension, problems=tuple(dict.fromkeys(reader.problems)))
    try:
        changed, found = with_numbers_divided(text, reader.numbers, factor)
    except ValueError as error:
        return Scaled(text, dimension, problems=(" ".join(str(error).split()),))
    return Scaled(changed, dimension, found)


@dataclass(slots=True)
class _Reader:
    """Walks an expression; nodes are known by their place in the order of :func:`nodes_of`."""

    recorded: Mapping[str, Dimension]
    numbers: dict[int, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    clocks: bool = False
    """Whether series are readings of the clock: what is compared with one is one, too."""

    def read(self, node: promql.Expr, at: int) -> Dimension:  # noqa: PLR0911 - one per kind
        """Dimension of a node; notes the numbers below it that have one."""
        match node:
            case promql.NumberLiteral() | promql.StringLiteral():
                return Sort.NUMBER
            case promql.VectorSelector():
                return self._series(node)
            case promql.MatrixSelector():
                return self._series(node.vector_selector)
            case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
                return self.read(node.expr, at + 1)
            case promql.AggregateExpr():
                return self._aggregate(node, at)
            case promql.BinaryExpr():
                return self._binary(node, at)
            case promql.Call():
                return self._call(node, at)
            case _:
                return Sort.UNCLEAR

    def _series(self, node: promql.VectorSelector) -> Dimension:
        selector = selector_of(node)
        name = selector.metric
        if name in self.recorded:
            return self.recorded[name]
        named = [each for each in selector.matchers if each.label == "__name__"]
        if named and any(
            all(each.matches(other) for each in named)
            for other, dimension in self.recorded.items()
            if dimension != 0
        ):
            return Sort.UNCLEAR
        if self.clocks or name.endswith(_CLOCK_SUFFIXES):
            return Sort.INSTANT
        if _ELAPSED.search(name):
            return 1
        return Sort.COUNTER if _is_counter(name) else 0

    def _read_as_clock(self, node: promql.Expr, at: int) -> Dimension:
        before, self.clocks = self.clocks, True
        found = self.read(node, at)
        self.clocks = before
        return found

    def _aggregate(self, node: promql.AggregateExpr, at: int) -> Dimension:
        first = at + 1 + (0 if node.param is None else len(nodes_of(node.param)))
        inner = self.read(node.expr, first)
        name = str(node.op)
        if name in _COUNTED:
            return 0
        return _squared(inner) if name in _SQUARED else inner

    def _call(self, node: promql.Call, at: int) -> Dimension:  # noqa: PLR0911 - one per kind
        places = _places(node.args, at + 1)
        given = [self.read(each, place) for each, place in zip(node.args, places, strict=True)]
        name = node.func.name
        if name in _CLOCKS:
            return Sort.INSTANT
        if name in _TIMELESS:
            return 0
        if name in _CALENDAR:  # of the clock on the wall; of a time that has passed, it is none
            return 0 if set(given) <= {0, Sort.INSTANT, Sort.NUMBER} else Sort.UNCLEAR
        if name in _EVENTS or (name in _MOVES and _of_level(node)):
            return Sort.UNCLEAR
        if name == "predict_linear":
            self._fit(node.args[1], places[1], 1)
            return given[0]
        measured = next((each for each in given if each is not Sort.NUMBER), Sort.NUMBER)
        if name in _COUNTS:
            return 1 if measured in {0, Sort.COUNTER, Sort.INSTANT} else measured
        if name in _RATES:
            return measured - 1 if isinstance(measured, int) and measured else 0
        if name in _BOUNDED:
            return self._bounded(node, places, measured)
        if name in _CURVED:
            return measured if measured in {0, Sort.NUMBER} else Sort.UNCLEAR
        return _squared(measured) if name in _SQUARED else measured

    def _bounded(self, node: promql.Call, places: Sequence[int], measured: Dimension) -> Dimension:
        """Bounds, and the step of rounding, have the dimension of what they bound."""
        if measured in {0, Sort.NUMBER}:
            return measured
        if not isinstance(measured, int) or not node.args[1:]:
            return Sort.UNCLEAR
        for bound, place in zip(node.args[1:], places[1:], strict=True):
            self._fit(bound, place, measured)
        return measured

    def _binary(self, node: promql.BinaryExpr, at: int) -> Dimension:
        places = _places((node.lhs, node.rhs), at + 1)
        left, right = self.read(node.lhs, places[0]), self.read(node.rhs, places[1])
        if {left, right} == {0, Sort.COUNTER}:
            left = right = 0  # the total of which something is a part
        operator = str(node.op)
        if operator in SET_OPERATORS:
            return self._set(node, places, left, right)
        if operator in {"*", "/"}:
            return _product(left, right, 1 if operator == "*" else -1)
        if operator not in COMPARISONS | {"+", "-"}:
            plain = {left, right} <= {0, Sort.NUMBER}
            return _joined(left, right) if plain else Sort.UNCLEAR
        if left is Sort.INSTANT and right == 0:
            right = self._read_as_clock(node.rhs, places[1])
        elif right is Sort.INSTANT and left == 0:
            left = self._read_as_clock(node.lhs, places[0])
        self._align(node, places, left, right)
        if operator in COMPARISONS:
            asks = node.modifier is not None and node.modifier.return_bool
            return 0 if asks else right if left is Sort.NUMBER else left
        return _joined(left, right) if operator == "+" else _difference(node, left, right)

    def _set(
        self, node: promql.BinaryExpr, places: Sequence[int], left: Dimension, right: Dimension
    ) -> Dimension:
        """``or vector(50)`` stands for what has no series, so that it has the same dimension."""
        if str(node.op) != "or":
            return left
        if right is Sort.NUMBER and isinstance(left, int):
            self._fit(node.rhs, places[1], left)
        elif left is Sort.NUMBER and isinstance(right, int):
            self._fit(node.lhs, places[0], right)
        return _joined(left, right)

    def _align(
        self, node: promql.BinaryExpr, places: Sequence[int], left: Dimension, right: Dimension
    ) -> None:
        """Two sides that are compared or added have one dimension."""
        for number, place, dimension, other in (
            (node.rhs, places[1], right, left),
            (node.lhs, places[0], left, right),
        ):
            if dimension is Sort.NUMBER:
                if isinstance(other, int):
                    self._fit(number, place, other)
                elif other is Sort.INSTANT and str(node.op) in {"+", "-"}:
                    self._fit(number, place, 1)
                elif other is not Sort.NUMBER and not _is_zero(number):
                    self._say_unclear(node, number)
                return
        comparable = {Sort.UNCLEAR, left, right} - {Sort.INSTANT}
        if left != right and comparable == {Sort.UNCLEAR, left, right}:
            self.problems.append(
                f"{_short(node.lhs)} and {_short(node.rhs)} don't grow alike with time, so no time "
                "scale suits both"
            )

    def _fit(self, number: promql.Expr, place: int, power: int) -> None:
        if power and not _is_zero(number):
            if self._plain(number):
                self.numbers[place] = power
            else:
                self.problems.append(f"{_short(number)} is no plain number that can be divided")

    def _plain(self, node: promql.Expr) -> bool:
        return _Reader(self.recorded).read(node, 0) is Sort.NUMBER

    def _say_unclear(self, node: promql.BinaryExpr, number: promql.Expr) -> None:
        measured = node.lhs if number is node.rhs or str(number) == str(node.rhs) else node.rhs
        self.problems.append(
            f"{_why_unclear(measured)}, so the plain number in {_short(number)} can't be scaled"
        )


def _is_counter(name: str) -> bool:
    return name.endswith(_COUNTER_SUFFIX)


def _is_zero(number: promql.Expr) -> bool:
    """Whether a plain number is 0, as ``vector(0)`` is, too: right at every time scale."""
    number = unwrapped(number)
    if isinstance(number, promql.Call) and number.func.name == "vector":
        return _is_zero(number.args[0])
    return constant(number) == 0


def _why_unclear(measured: promql.Expr) -> str:
    calls = [each.func.name for each in nodes_of(measured) if isinstance(each, promql.Call)]
    if events := [name for name in calls if name in _EVENTS]:
        return f"{events[0]} counts events, which may follow the traffic or the scenario"
    if moves := [name for name in calls if name in _MOVES]:
        return f"{moves[0]} measures a change, which may follow the traffic or the scenario"
    series = unwrapped(measured)
    if isinstance(series, promql.VectorSelector) and _is_counter(selector_of(series).metric):
        return f"{_short(measured)} reads as a counter, which grows with the length of the run"
    return f"how {_short(measured)} depends on time can't be told"


def _of_level(node: promql.Call) -> bool:
    """Whether a change is one of a level, which the scenario moves as far at every time scale."""
    inner = nodes_of(node)
    rates = [each for each in inner[1:] if isinstance(each, promql.Call)]
    named = [selector_of(each).metric for each in inner if isinstance(each, promql.VectorSelector)]
    return any(each.func.name in _RATES for each in rates) or any(map(_LEVEL.search, named))


def _at_two_times(node: promql.BinaryExpr) -> bool:
    """Whether a series is subtracted from what it was before, as ``a - a offset 5m`` does."""
    found = [_levels(node.lhs), _levels(node.rhs)]
    return any(
        name == other and offset != before
        for name, offset in found[0]
        for other, before in found[1]
    )


def _levels(node: promql.Expr) -> set[tuple[str, str]]:
    """Series that are read as they are, not by a rate of them, and from which time."""
    inner = nodes_of(node)
    if any(isinstance(each, promql.Call) and each.func.name in _RATES for each in inner):
        return set()
    return {
        (selector_of(each).metric, f"{each.offset} {each.at}")
        for each in inner
        if isinstance(each, promql.VectorSelector)
    }


def _places(children: Sequence[promql.Expr], first: int) -> list[int]:
    places = []
    for child in children:
        places.append(first)
        first += len(nodes_of(child))
    return places


def _difference(node: promql.BinaryExpr, left: Dimension, right: Dimension) -> Dimension:
    if left is right is Sort.INSTANT:
        return 1
    if left == right and _at_two_times(node):
        if left is Sort.COUNTER:
            return 1
        return Sort.UNCLEAR if left == 0 else left
    return _joined(left, right)


def _joined(left: Dimension, right: Dimension) -> Dimension:
    """Dimension of a sum."""
    if left is Sort.NUMBER or left == right:
        return right
    if right is Sort.NUMBER:
        return left
    if Sort.INSTANT in {left, right} and {left, right} <= {1, Sort.INSTANT}:
        return Sort.INSTANT
    return Sort.UNCLEAR


def _product(left: Dimension, right: Dimension, sign: int) -> Dimension:
    if right is Sort.NUMBER:
        return left
    if left is Sort.NUMBER and sign > 0:
        return right
    if left is right is Sort.COUNTER and sign < 0:
        return 0
    powers = [0 if each is Sort.NUMBER else each for each in (left, right)]
    if any(not isinstance(each, int) for each in powers):
        return Sort.UNCLEAR
    one, other = (each for each in powers if isinstance(each, int))
    return one + sign * other


def _squared(dimension: Dimension) -> Dimension:
    return 2 * dimension if isinstance(dimension, int) else Sort.UNCLEAR


def _short(node: promql.Expr) -> str:
    text = " ".join(as_written(str(node)).replace("{}", "").split())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"

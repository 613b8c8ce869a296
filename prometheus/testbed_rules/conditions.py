"""An alert's expression as comparisons and set operations over queries, evaluated here.

What is cheap to change, a limit or a side, needs no query of its own then: only leaves are asked
of Prometheus.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

import numpy as np
import promql_parser as promql

from testbed_rules.parsing import COMPARISONS, SET_OPERATORS, constant, parse, text_of, unwrapped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

Operator: TypeAlias = Literal["==", "!=", ">", ">=", "<", "<="]
SetOperator: TypeAlias = Literal["and", "or", "unless"]
Labels: TypeAlias = frozenset[tuple[str, str]]

MIRRORED: Final[dict[str, Operator]] = {
    "==": "==", "!=": "!=", ">": "<", ">=": "<=", "<": ">", "<=": ">=",
}  # fmt: skip
_COMPARE: Final = {
    "==": np.equal, "!=": np.not_equal, ">": np.greater, ">=": np.greater_equal,
    "<": np.less, "<=": np.less_equal,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class GridSeries:
    """One series on a grid of times.

    Attributes:
        labels: without the metric's name, which no alert bears.
        values: what it was worth; meaningless where it is not present.
        present: where it has a value.
    """

    labels: Labels
    values: NDArray[np.float64]
    present: NDArray[np.bool_]


Vector: TypeAlias = tuple[GridSeries, ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A query."""

    text: str


@dataclass(frozen=True, slots=True)
class Compare:
    """A comparison with a number, which keeps what it holds of."""

    side: Condition
    operator: Operator
    limit: float


@dataclass(frozen=True, slots=True)
class SetOf:
    """``and``, ``or`` or ``unless``.

    Attributes:
        operator: which of them.
        left: of it.
        right: of it.
        on: labels that must match, or, where ``ignoring`` is True, need not.
        ignoring: whether ``on`` names labels that are left out.
    """

    operator: SetOperator
    left: Condition
    right: Condition
    on: tuple[str, ...] = ()
    ignoring: bool = True


Condition: TypeAlias = Leaf | Compare | SetOf


def read_condition(text: str) -> Condition:
    """Take an expression apart.

    Raises:
        ValueError: it can't be read.
    """
    return _condition(parse(text))


def _condition(node: promql.Expr) -> Condition:
    node = unwrapped(node)
    if isinstance(node, promql.BinaryExpr):
        operator = str(node.op)
        if operator in SET_OPERATORS:
            matching = node.modifier.matching if node.modifier else None
            return SetOf(
                cast("SetOperator", operator),
                _condition(node.lhs),
                _condition(node.rhs),
                tuple(matching.labels) if matching else (),
                ignoring=matching is None or matching.type == promql.LabelModifierType.Exclude,
            )
        if operator in COMPARISONS and not (node.modifier and node.modifier.return_bool):
            limit, mirrored = constant(node.rhs), constant(node.lhs)
            if limit is not None and mirrored is None:
                return Compare(_condition(node.lhs), cast("Operator", operator), limit)
            if mirrored is not None and limit is None:
                return Compare(_condition(node.rhs), MIRRORED[operator], mirrored)
    return Leaf(text_of(node))


def leaves(condition: Condition) -> Iterator[str]:
    """The queries that it needs."""
    match condition:
        case Leaf():
            yield condition.text
        case Compare():
            yield from leaves(condition.side)
        case SetOf():
            yield from leaves(condition.left)
            yield from leaves(condition.right)


def comparisons(condition: Condition) -> Iterator[Compare]:
    """Its comparisons with a number, from the left."""
    match condition:
        case Compare():
            yield condition
            yield from comparisons(condition.side)
        case SetOf():
            yield from comparisons(condition.left)
            yield from comparisons(condition.right)


def exchanged(condition: Condition, old: Condition, new: Condition) -> Condition:
    """The condition with one of its parts (that very object) exchanged."""
    if condition is old:
        return new
    match condition:
        case Compare():
            side = exchanged(condition.side, old, new)
            return Compare(side, condition.operator, condition.limit)
        case SetOf():
            return SetOf(
                condition.operator,
                exchanged(condition.left, old, new),
                exchanged(condition.right, old, new),
                condition.on,
                condition.ignoring,
            )
        case _:
            return condition


def written(condition: Condition) -> str:
    """PromQL of it."""
    match condition:
        case Leaf():
            return condition.text
        case Compare():
            return f"{_bracketed(condition.side)} {condition.operator} {condition.limit:g}"
        case SetOf():
            names = ", ".join(condition.on)
            matching = (
                ""
                if condition.ignoring and not condition.on
                else (f" {'ignoring' if condition.ignoring else 'on'} ({names})")
            )
            left, right = _bracketed(condition.left), _bracketed(condition.right)
            return f"{left} {condition.operator}{matching} {right}"


def _bracketed(condition: Condition) -> str:
    text = written(condition)
    return f"({text})" if isinstance(condition, SetOf) else text


def evaluate(condition: Condition, answers: Mapping[str, Vector]) -> Vector:
    """The series of a condition, present where it holds.

    Raises:
        KeyError: there is no answer to one of its queries.
    """
    match condition:
        case Leaf():
            return answers[condition.text]
        case Compare():
            compare = _COMPARE[condition.operator]
            return tuple(
                GridSeries(
                    line.labels, line.values, line.present & compare(line.values, condition.limit)
                )
                for line in evaluate(condition.side, answers)
            )
        case SetOf():
            left, right = evaluate(condition.left, answers), evaluate(condition.right, answers)
            return _combined(condition, left, right)


def _combined(operation: SetOf, left: Vector, right: Vector) -> Vector:
    if operation.operator == "or":
        there = _presence(operation, left)
        rest = (_where(line, there, operation, negate=True) for line in right)
        return _joined((*left, *rest))
    there = _presence(operation, right)
    negate = operation.operator == "unless"
    return tuple(_where(line, there, operation, negate=negate) for line in left)


def _joined(vector: Vector) -> Vector:
    """Lines of equal labels as one: for the rule they are one alert, whichever side it is from."""
    found: dict[Labels, GridSeries] = {}
    for line in vector:
        other = found.get(line.labels)
        if other is not None:
            values = np.where(other.present, other.values, line.values)
            line = GridSeries(line.labels, values, other.present | line.present)  # noqa: PLW2901
        found[line.labels] = line
    return tuple(found.values())


def _presence(operation: SetOf, vector: Vector) -> Mapping[Labels, NDArray[np.bool_]]:
    found: defaultdict[Labels, NDArray[np.bool_]] = defaultdict(lambda: np.zeros(1, dtype=bool))
    for line in vector:
        signature = _signature(operation, line.labels)
        found[signature] = found[signature] | line.present
    return found


def _where(
    line: GridSeries, there: Mapping[Labels, NDArray[np.bool_]], operation: SetOf, *, negate: bool
) -> GridSeries:
    matched = there[_signature(operation, line.labels)]
    return GridSeries(line.labels, line.values, line.present & (~matched if negate else matched))


def _signature(operation: SetOf, labels: Labels) -> Labels:
    return frozenset(
        (name, value)
        for name, value in labels
        if value and (name in operation.on) is not operation.ignoring
    )

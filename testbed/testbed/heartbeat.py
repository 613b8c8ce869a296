"""Heartbeats: alerts that always fire, so that their silence shows a broken pipeline. Pure.

A rule is a heartbeat by its expression and not by its name: one that gives a value without any
data, as ``vector(1)``. By convention its severity is ``none``, since nobody has to act on it, and
its receiver (a dead man's switch) calls somebody when notifications stop.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import promql_parser as promql
from testbed_rules.parsing import COMPARISONS, SET_OPERATORS, parse, unwrapped

NO_SEVERITY: Final = "none"
"""Severity of what nobody has to act on: heartbeats, and alerts that only inhibit others."""

RECEIVER: Final = "heartbeat"
"""Receiver of what has that severity."""

_OPERATIONS: Final[Mapping[str, Callable[[float, float], float]]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul,
    "==": operator.eq, "!=": operator.ne, ">": operator.gt, ">=": operator.ge,
    "<": operator.lt, "<=": operator.le,
}  # fmt: skip
_SAME: Final = frozenset({"vector", "scalar", "label_replace", "label_join", "sort", "abs"})
_SAME_OF_ONE: Final = frozenset({"sum", "min", "max", "avg"})


def receiver_of(severity: str) -> str:
    """The receiver that an alert must reach by the project's convention."""
    return RECEIVER if severity == NO_SEVERITY else severity


def needs_nobody(labels: Mapping[str, str]) -> bool:
    """Whether nobody has to act on an alert with these labels, by its severity."""
    return labels.get("severity") == NO_SEVERITY


def always_fires(expression: str) -> bool:
    """Whether an alerting rule's expression gives a value whatever data there is."""
    try:
        return _value(parse(expression)) is not None
    except ValueError:
        return False


def heartbeat_names(rules: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Names of alerts that are heartbeats.

    Args:
        rules: name and expression of each alerting rule; a name counts where it is that of
            heartbeats only.
    """
    found: dict[str, bool] = {}
    for name, expression in rules:
        found[name] = found.get(name, True) and always_fires(expression)
    return frozenset(name for name, always in found.items() if always)


def _value(node: Any) -> float | None:  # noqa: ANN401 - the parser's nodes share no type
    """Value of an expression without data; None where it has none, or where data decide."""
    node = unwrapped(node)
    match node:
        case promql.NumberLiteral():
            return float(node.val)
        case promql.UnaryExpr():
            value = _value(node.expr)
            return None if value is None else -value
        case promql.Call() if node.func.name in _SAME:
            return _value(node.args[0])
        case promql.AggregateExpr() if str(node.op) in _SAME_OF_ONE:
            return _value(node.expr)
        case promql.BinaryExpr():
            return _combined(node, _value(node.lhs), _value(node.rhs))
        case _:
            return None


def _combined(node: promql.BinaryExpr, left: float | None, right: float | None) -> float | None:
    name = str(node.op)
    if name == "or":
        return right if left is None else left
    # What data decide may be there or not: nothing is certain of the rest.
    if left is None or right is None or name in SET_OPERATORS - {"and"}:
        return None
    if name == "and":
        return left
    operation = _OPERATIONS.get(name)
    if operation is None:
        return None
    result = float(operation(left, right))
    if name not in COMPARISONS or (node.modifier and node.modifier.return_bool):
        return result
    return left if result else None

"""PromQL in and out of the parser, which knows no milliseconds and whose nodes are not built.

What it would print as another expression is given to it in a form that comes back as it was:
escapes of strings (:mod:`testbed_rules.lexing`) and subqueries without a step. What it prints all
the same otherwise, as names between quotation marks, is never used: :func:`text_of` refuses it.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import promql_parser as promql

from testbed_rules.lexing import hidden, shown, tokens
from testbed_rules.timescale import (
    DurationPlace,
    RuleDurationError,
    format_duration,
    literal_seconds,
    rewrite_durations,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from testbed_rules.lexing import Token

COMPARISONS: Final = frozenset({"==", "!=", ">", ">=", "<", "<="})
SET_OPERATORS: Final = frozenset({"and", "or", "unless"})
OPERATORS: Final = COMPARISONS | SET_OPERATORS | {"+", "-", "*", "/", "%", "^", "atan2"}
STRETCH: Final = 1000
"""The parser refuses ``500ms``: expressions are parsed with durations so many times as long."""

MAX_DEPTH: Final = 100
"""Levels of parentheses: what the parser prints of an expression grows with the square of them."""

MAX_OPERATORS: Final = 300
"""Each operator of a row is a level, too; the recursion of Python ends at some 450 of them."""

NO_STEP: Final = 876_576 * 3600.0
"""Seconds of the step that a subquery without one is given: the parser drops its colon."""


def parse(text: str) -> promql.Expr:
    """Parse an expression; its durations are 1,000 times as long until :func:`text_of`.

    Raises:
        ValueError: the parser or the reader of durations refuses it; or it is nested more than
            :data:`MAX_DEPTH` levels deep, or has more than :data:`MAX_OPERATORS` operators.
    """
    stretched = rewrite_durations(
        text, lambda _, literal: format_duration(literal_seconds(literal) * STRETCH)
    )
    parts: list[str] = []
    found = tokens(stretched)
    _refuse_deep(found)
    for token in found:
        match token.kind:
            case "string":
                parts.append(hidden(token.text))
            case "number":
                parts.append(token.text.replace("_", ""))
            case "range" if token.text.endswith(":]"):
                parts.append(f"{token.text[:-1]}{format_duration(NO_STEP)}]")
            case _:
                parts.append(token.text)
    return promql.parse(" ".join(parts))


def _refuse_deep(found: Iterable[Token]) -> None:
    depth = operators = 0
    within = False  # of braces, where no sign is an operator
    for token in found:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        within = token.text == "{" or (within and token.text != "}")
        operators += not within and token.text.lower() in OPERATORS
        if depth > MAX_DEPTH:
            raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")
        if operators > MAX_OPERATORS:
            raise ValueError(f"it has more than {MAX_OPERATORS} operators")


def text_of(node: promql.Expr) -> str:
    """The expression of a node, with its durations as they were.

    Raises:
        ValueError: the parser prints it as another expression.
    """
    printed = as_written(str(node))
    if not alike(parse(printed), node):
        raise ValueError(f"the parser can't write {printed}")
    return printed


def as_written(printed: str) -> str:
    """What the parser printed of a node, in PromQL; for people, since it may be another one."""
    return shown(rewrite_durations(printed, _original))


def _original(place: DurationPlace, literal: str) -> str:
    seconds = literal_seconds(literal)
    if place == "step" and seconds == NO_STEP:
        return ""
    return format_duration(seconds / STRETCH)


def alike(one: promql.Expr, other: promql.Expr) -> bool:
    """Whether two nodes are the same expression."""
    return repr(one) == repr(other)


def step_of(node: promql.SubqueryExpr) -> float | None:
    """Production seconds of a subquery's step; None where it has none of its own."""
    seconds = node.step.total_seconds() if node.step else NO_STEP
    return None if seconds == NO_STEP else seconds / STRETCH


def unwrapped(node: promql.Expr) -> promql.Expr:
    """The node within its parentheses."""
    while isinstance(node, promql.ParenExpr):
        node = node.expr
    return node


def constant(node: promql.Expr) -> float | None:
    """Value of a number that may have a sign and parentheses; None for anything else."""
    with contextlib.suppress(ValueError):
        return float(str(node).replace("(", "").replace(")", "").replace(" ", ""))
    return None


def nodes_of(root: promql.Expr) -> list[promql.Expr]:
    """All nodes, parents before their children.

    In the order of ``promql.walk``, which builds every node anew with all that is below it: memory
    would grow with the square of the depth.
    """
    found: list[promql.Expr] = []
    waiting = [root]
    while waiting:
        node = waiting.pop()
        found.append(node)
        waiting += reversed(_children(node))
    return found


def _children(node: promql.Expr) -> list[promql.Expr]:
    match node:
        case promql.BinaryExpr():
            return [node.lhs, node.rhs]
        case promql.AggregateExpr():
            return [node.expr] if node.param is None else [node.param, node.expr]
        case promql.Call():
            return list(node.args)
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            return [node.expr]
        case promql.MatrixSelector():
            return [node.vector_selector]
        case _:
            return []


def replaced(root: promql.Expr, index: int, text: str) -> str:
    """The whole expression with the node at ``index`` of :func:`nodes_of` written anew.

    Args:
        root: of :func:`parse`.
        index: of the node.
        text: PromQL in the parser's durations.

    Raises:
        ValueError: the text can't stand there.
    """
    return text_of(with_node(root, index, promql.parse(text)))


def with_node(root: promql.Expr, index: int, node: promql.Expr) -> promql.Expr:
    """The whole expression with another node at ``index`` of :func:`nodes_of`."""
    return promql.transform(root, _at(index, node))


def _at(index: int, node: promql.Expr) -> Callable[[promql.Expr], promql.Expr | None]:
    count = -1

    def visit(_: promql.Expr) -> promql.Expr | None:
        nonlocal count
        count += 1
        return node if count == index else None

    return visit


def with_ranges_changed(text: str, factor: float) -> Iterator[tuple[str, str, str]]:
    """Each range of an expression made longer or shorter.

    Yields:
        The range as it was, as it became, and the whole expression.
    """
    ranges: list[str] = []

    def note(place: str, literal: str) -> str:
        if place == "range":
            ranges.append(literal)
        return literal

    rewrite_durations(text, note)
    for index, literal in enumerate(ranges):
        changed = format_duration(literal_seconds(literal) * factor)
        yield literal, changed, _with_range(text, index, changed)


def _with_range(text: str, index: int, literal: str) -> str:
    count = -1

    def change(place: str, old: str) -> str:
        nonlocal count
        count += place == "range"
        return literal if place == "range" and count == index else old

    return rewrite_durations(text, change)


__all__ = [
    "COMPARISONS",
    "SET_OPERATORS",
    "STRETCH",
    "RuleDurationError",
    "alike",
    "as_written",
    "constant",
    "nodes_of",
    "parse",
    "replaced",
    "step_of",
    "text_of",
    "unwrapped",
    "with_node",
    "with_ranges_changed",
]

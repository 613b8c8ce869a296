"""PromQL in and out of the parser, which knows no milliseconds and whose nodes are not built."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import promql_parser as promql

from testbed_rules.timescale import (
    RuleDurationError,
    format_duration,
    literal_seconds,
    rewrite_durations,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COMPARISONS: Final = frozenset({"==", "!=", ">", ">=", "<", "<="})
SET_OPERATORS: Final = frozenset({"and", "or", "unless"})
STRETCH: Final = 1000
"""The parser refuses ``500ms``: expressions are parsed with durations so many times as long."""


def parse(text: str) -> promql.Expr:
    """Parse an expression; its durations are 1,000 times as long until :func:`text_of`.

    Raises:
        ValueError: the parser or the reader of durations refuses it.
    """
    return promql.parse(_stretched(text, STRETCH))


def text_of(node: promql.Expr) -> str:
    """The expression of a node, with its durations as they were."""
    return _stretched(str(node), 1 / STRETCH)


def _stretched(text: str, factor: float) -> str:
    return rewrite_durations(
        text, lambda _, literal: format_duration(literal_seconds(literal) * factor)
    )


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
    """All nodes, parents before their children."""
    found: list[promql.Expr] = []
    promql.walk(root, found.append)
    return found


def replaced(root: promql.Expr, index: int, text: str) -> str:
    """The whole expression with the node at ``index`` of :func:`nodes_of` written anew.

    Args:
        root: of :func:`parse`.
        index: of the node.
        text: PromQL in the parser's durations.

    Raises:
        ValueError: the text can't stand there.
    """
    node = promql.parse(text)
    return text_of(promql.transform(root, _at(index, node)))


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
    "constant",
    "nodes_of",
    "parse",
    "replaced",
    "text_of",
    "unwrapped",
    "with_ranges_changed",
]

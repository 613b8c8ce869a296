"""Numbers of an expression divided where they stand in its text. Pure.

All else stays as its author wrote it. What comes out is parsed again, and refused unless it is the
expression that was meant: a limit that is silently another one is the worst that can happen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

import promql_parser as promql

from testbed_rules.lexing import Token, tokens
from testbed_rules.parsing import alike, nodes_of, parse, with_node

if TYPE_CHECKING:
    from collections.abc import Sequence

_NUMBER_WORDS: Final = frozenset({"inf", "nan"})
_AROUND: Final = 12
"""Words before the first number of a plain number, and behind its last one, at most."""


def with_numbers_divided(
    text: str, powers: Mapping[int, int], factor: float
) -> tuple[str, tuple[str, ...]]:
    """Divide plain numbers of an expression.

    Args:
        text: PromQL.
        powers: place of each number in the order of :func:`~testbed_rules.parsing.nodes_of`, to the
            power of ``factor`` by which it is divided.
        factor: time scale.

    Returns:
        The expression, and the numbers as they were written, in its order.

    Raises:
        ValueError: a number can't be found in the text, or what comes out would mean another one.
    """
    root = parse(text)
    nodes = nodes_of(root)
    words = tokens(text)
    written: list[str] = []
    changed, meant = text, root
    # From the last to the first: the places of those before it stay as they are.
    for index, power in sorted(powers.items(), reverse=True):
        start, end = _span(text, words, nodes, index)
        number = text[start:end]
        whole = isinstance(nodes[index], promql.NumberLiteral | promql.ParenExpr)
        divided = (
            f"{number if whole else f'({number})'} {'/' if power > 0 else '*'} "
            f"{factor ** abs(power):.15g}"
        )
        changed = f"{changed[:start]}{divided}{changed[end:]}"
        meant = with_node(meant, index, parse(divided))
        written.append(" ".join(number.split()))
    if not alike(parse(changed), meant):
        raise ValueError("its numbers can't be divided where they stand")
    return changed, tuple(reversed(written))


def _span(
    text: str, words: Sequence[Token], nodes: Sequence[promql.Expr], index: int
) -> tuple[int, int]:
    """Where a plain number stands in the text."""
    literals = [place for place, node in enumerate(nodes) if _is_literal(node)]
    places = [place for place, word in enumerate(words) if _is_number(word)]
    within = [
        literals.index(index + offset)
        for offset, node in enumerate(nodes_of(nodes[index]))
        if _is_literal(node)
    ]
    if len(literals) == len(places) and within:
        for first, last in _around(places[within[0]], places[within[-1]], len(words)):
            span = words[first].start, words[last].end
            if _reads_as(text[slice(*span)], nodes[index]):
                return span
    raise ValueError("its numbers can't be found in its text")


def _around(first: int, last: int, size: int) -> Iterator[tuple[int, int]]:
    """Stretches of words that hold those from ``first`` to ``last``, the shortest first."""
    for more in range(2 * _AROUND):
        for before in range(max(0, more - _AROUND), min(more, _AROUND) + 1):
            if before <= first and last + more - before < size:
                yield first - before, last + more - before


def _reads_as(text: str, node: promql.Expr) -> bool:
    try:
        return alike(parse(text), node)
    except ValueError:
        return False


def _is_literal(node: promql.Expr) -> bool:
    return isinstance(node, promql.NumberLiteral)


def _is_number(word: Token) -> bool:
    return word.kind == "number" or (word.kind == "word" and word.text.lower() in _NUMBER_WORDS)

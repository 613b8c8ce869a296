"""Expressions as the parser reads them."""

from __future__ import annotations

import promql_parser as promql
import pytest
from testbed_rules.parsing import MAX_DEPTH, MAX_OPERATORS, nodes_of, parse

EXPRESSIONS = (
    'sum by (a) (rate(x{a="b"}[5m])) / (-y) and on (a) topk(3, z)',
    'max_over_time(rate(x[5m])[1h:1m]) > bool 5 or label_replace(a, "b", "c", "d", "e")',
    'quantile(scalar(a), b) or count_values("v", x) or vector(time())',
)


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_nodes_come_in_the_order_of_the_parsers_own_walk(text: str) -> None:
    """Positions in it are what rules are divided by."""
    walked: list[promql.Expr] = []
    root = parse(text)
    promql.walk(root, walked.append)
    assert [str(node) for node in nodes_of(root)] == [str(node) for node in walked]


def test_nodes_are_those_of_the_expression_and_not_copies_of_all_below_each() -> None:
    """Copies of a deep expression would take memory by the square of its depth."""
    root = parse("a or b")
    assert isinstance(root, promql.BinaryExpr)
    assert [id(node) for node in nodes_of(root)] == [id(root), id(root.lhs), id(root.rhs)]


def test_what_is_nested_too_deep_for_the_parser_is_refused() -> None:
    """By name, before the parser prints it."""

    def nested(levels: int) -> str:
        return "(" * levels + "up" + ")" * levels

    assert len(nodes_of(parse(nested(MAX_DEPTH)))) == MAX_DEPTH + 1
    with pytest.raises(ValueError, match="more than 100 levels"):
        parse(nested(MAX_DEPTH + 1))


@pytest.mark.parametrize("operator", ["+", "or", "^", ">= bool"])
def test_a_row_of_operators_is_as_deep_as_it_is_long(operator: str) -> None:
    """Of thousands the parser prints gigabytes, and the recursion of hundreds ends unnamed."""

    def row(length: int) -> str:
        return f" {operator} ".join(["up"] * (length + 1))

    assert len(nodes_of(parse(row(MAX_OPERATORS)))) == 2 * MAX_OPERATORS + 1
    with pytest.raises(ValueError, match="more than 300 operators"):
        parse(row(MAX_OPERATORS + 1))


def test_matchers_are_no_operators() -> None:
    """However many a selector has."""
    matchers = ", ".join(f'a{number}!="b"' for number in range(MAX_OPERATORS + 1))
    assert len(nodes_of(parse(f"up{{{matchers}}}"))) == 1

"""Expressions taken apart and evaluated: as Prometheus does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import promql_parser as promql
import pytest
from testbed_rules.conditions import Compare, Leaf, evaluate, leaves, read_condition, written
from testbed_rules.parsing import constant, nodes_of, parse, replaced, text_of, with_ranges_changed
from testbed_rules.selectors import Selector, selector_of

from tests.unit.rules.conftest import NAN, line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed_rules.conditions import Vector


def present(text: str, answers: Mapping[str, Vector]) -> list[tuple[dict[str, str], list[int]]]:
    """Labels and the places at which each series of an expression is present."""
    found = evaluate(read_condition(text), answers)
    return [
        (dict(each.labels), each.present.nonzero()[0].tolist())
        for each in found
        if each.present.any()
    ]


@pytest.mark.parametrize(
    ("text", "operator", "limit"),
    [
        ("a > 0.1", ">", 0.1),
        ("0.1 < a", ">", 0.1),
        ("(a) >= -2", ">=", -2.0),
        ("1 == a", "==", 1.0),
    ],
)
def test_a_comparison_has_its_number_on_the_right(text: str, operator: str, limit: float) -> None:
    """However the rule is written."""
    assert read_condition(text) == Compare(Leaf("a{}"), operator, limit)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["a >= on (job) group_left () b", "a > bool 1", "max without (x) (a == 1)", "2 * a"]
)
def test_what_is_no_filter_by_a_number_is_asked_of_prometheus(text: str) -> None:
    """Vectors against vectors, and comparisons within aggregations."""
    assert isinstance(read_condition(text), Leaf)


def test_milliseconds_survive_the_parser() -> None:
    """It refuses them; scaled rules are full of them."""
    text = 'changes(max by (job)(a{b="500ms"} offset 333ms)[14s:500ms]) == 0'
    assert text_of(parse(text)) == text
    assert list(leaves(read_condition(text))) == [text.removesuffix(" == 0")]


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        (r'a{b=~"x\\.y|\\bz\"",c="\n"} > 1', r'a{b=~"x\\.y|\\bz\"",c="\n"} > 1'),
        (r"a{b=~`\d+`} > 1", r'a{b=~"\\d+"} > 1'),
        ("max_over_time(a[1h:]) > 1", "max_over_time(a{}[1h:]) > 1"),
        ('count_values("\\"", a)', 'count_values("\\"", a{})'),
        (r'a{b="\xff\u00e4"}', r'a{b="\xff\xc3\xa4"}'),
    ],
)
def test_what_the_parser_prints_otherwise_survives(text: str, printed: str) -> None:
    """Escapes of strings, and subqueries without a step: also in what is queried of a rule."""
    assert text_of(parse(text)) == printed
    assert [text_of(parse(leaf)) for leaf in leaves(read_condition(text))] == [
        printed.removesuffix(" > 1")
    ]


def test_values_of_matchers_have_no_escapes() -> None:
    """They are what Prometheus compares labels with."""
    (node,) = nodes_of(parse(r'a{b=~"x\\.y",c=`"`}'))
    assert isinstance(node, promql.VectorSelector)
    assert [each.value for each in selector_of(node).matchers] == [r"x\.y", '"']


@pytest.mark.parametrize(
    "text",
    [
        r'a{b=~"x\\.y", c="\""}',
        '{"my.metric", "my.label"="x"}',
        'a:b{c!="d"}',
        '{__name__=~"a.*"}',
    ],
)
def test_a_selector_is_written_as_prometheus_reads_it(text: str) -> None:
    """Escapes, and names that are none of PromQL's words."""
    (node,) = nodes_of(parse(text))
    assert isinstance(node, promql.VectorSelector)
    assert str(selector_of(node)) == text
    (again,) = nodes_of(parse(str(selector_of(node))))
    assert isinstance(again, promql.VectorSelector)
    assert selector_of(again) == selector_of(node)
    assert Selector("a:b").bare == "a:b"
    assert Selector("my.metric").bare == '{"my.metric"}'


def test_what_the_parser_can_not_write_is_refused() -> None:
    """Names between quotation marks come out without them."""
    with pytest.raises(ValueError, match="unexpected character"):
        text_of(parse('sum by ("my.label") (a)'))
    with pytest.raises(ValueError, match="unknown escape"):
        parse(r'a{b="\d"}')


def test_one_range_of_several_is_changed() -> None:
    """Neither steps nor offsets are."""
    text = "rate(a[10s]) / rate(b[1m] offset 5m) > changes(c[2m:500ms])"
    assert [(old, new) for old, new, _ in with_ranges_changed(text, 3)] == [
        ("10s", "30s"), ("1m", "3m"), ("2m", "6m"),
    ]  # fmt: skip
    assert [changed for _, _, changed in with_ranges_changed(text, 1 / 4)][1] == (
        "rate(a[10s]) / rate(b[15s] offset 5m) > changes(c[2m:500ms])"
    )


def test_one_of_two_equal_nodes_is_replaced() -> None:
    """By its place, not by its text."""
    root = parse("a + a")
    places = [index for index, node in enumerate(nodes_of(root)) if str(node) == "a{}"]
    assert replaced(root, places[1], "b") == "a{} + b{}"


@pytest.mark.parametrize(("text", "value"), [("-0.5", -0.5), ("(1e3)", 1000.0), ("a", None)])
def test_constants(text: str, value: float | None) -> None:
    """Numbers, whatever their sign and parentheses."""
    assert constant(parse(text)) == value


def test_comparisons_drop_what_is_no_number() -> None:
    """NaN is above and below nothing."""
    answers = {"a{}": (line(1, 2, NAN, 3, job="x"),)}
    assert present("a > 1", answers) == [({"job": "x"}, [1, 3])]
    assert present("a <= 2", answers) == [({"job": "x"}, [0, 1])]


def test_sets_match_on_labels() -> None:
    """``and`` and ``unless`` keep the left side, ``or`` adds what the left lacks."""
    answers = {
        "a{}": (line(1, 1, NAN, job="x", i="1"), line(1, 1, 1, job="y", i="1")),
        "b{}": (line(NAN, 1, 1, job="x", i="2"),),
    }
    assert present("a and on (job) b", answers) == [({"job": "x", "i": "1"}, [1])]
    assert present("a unless ignoring (i) b", answers) == [
        ({"job": "x", "i": "1"}, [0]), ({"job": "y", "i": "1"}, [0, 1, 2]),
    ]  # fmt: skip
    assert present("a or on (job) b", answers)[2] == ({"job": "x", "i": "2"}, [2])
    assert present("a and b", answers) == []
    assert len(present("a or b", answers)) == 3


def test_sides_of_equal_labels_are_one_alert() -> None:
    """As the two sides of DriftJobStale, whose `for` counts through from one to the other."""
    answers = {
        "a{}": (line(1, 1, NAN, NAN, job="x"),),
        "b{}": (line(NAN, 2, 2, NAN, job="x"), line(3, 3, 3, 3, job="y")),
    }
    found = evaluate(read_condition("a or b"), answers)
    assert present("a or b", answers) == [
        ({"job": "x"}, [0, 1, 2]), ({"job": "y"}, [0, 1, 2, 3]),
    ]  # fmt: skip
    assert found[0].values[:3].tolist() == [1, 1, 2]


def test_a_condition_is_written_as_it_was_read() -> None:
    """Matching and order of operations included."""
    text = "(a{} > 1 and on (job) b{}) unless ignoring (x) c{} == 0 or absent(d{})"
    assert read_condition(written(read_condition(text))) == read_condition(text)

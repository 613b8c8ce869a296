"""Alertmanager's route tree, simulated."""

from __future__ import annotations

from typing import Any

import pytest
from testbed.errors import UsageError
from testbed.routes import parse_matchers, read_tree

TREE: dict[str, Any] = {
    "receiver": "root",
    "group_by": ["alertname"],
    "group_wait": "1s",
    "routes": [
        {"receiver": "all", "continue": True},
        {
            "receiver": "critical",
            "match": {"severity": "critical"},
            "group_interval": "7s",
            "routes": [{"match_re": {"job": "ml-.*"}, "receiver": "ml", "group_by": ["..."]}],
        },
        {"receiver": "rest", "matchers": ['severity!="none"', 'team!~"a|b"']},
        {"receiver": "last"},
    ],
}


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ({"severity": "critical"}, ["all", "critical"]),
        ({"severity": "critical", "job": "ml-api"}, ["all", "ml"]),
        ({"severity": "critical", "job": "an-ml-api"}, ["all", "critical"]),
        ({"severity": "warning"}, ["all", "rest"]),
        ({}, ["all", "rest"]),
        ({"team": "ab"}, ["all", "rest"]),
        ({"team": "a"}, ["all", "last"]),
        ({"severity": "none"}, ["all", "last"]),
    ],
)
def test_an_alert_ends_where_alertmanager_would_put_it(
    labels: dict[str, str], receivers: list[str]
) -> None:
    """First match, ``continue``, children before their parent, anchored expressions."""
    leaves = read_tree({"route": TREE}).leaves(labels)
    assert [leaf.receiver for leaf in leaves] == receivers


def test_the_root_takes_what_no_child_takes() -> None:
    """It has no matchers."""
    tree = read_tree({"route": {"receiver": "root", "routes": [{"matchers": ["a=b"]}]}})
    assert tree.leaves({"a": "c"}) == (tree,)


def test_nodes_inherit_and_have_alertmanagers_defaults() -> None:
    """What a node does not say is its parent's, or the default."""
    (_, ml) = read_tree({"route": TREE}).leaves({"severity": "critical", "job": "ml-api"})
    assert (ml.group_wait, ml.group_interval, ml.repeat_interval) == (1.0, 7.0, 14_400.0)
    assert ml.group({"a": "1", "b": "2"}) == (("a", "1"), ("b", "2"))
    assert read_tree({"route": TREE}).group({"alertname": "A", "b": "2"}) == (("alertname", "A"),)


@pytest.mark.parametrize(
    ("text", "matchers"),
    [
        ('severity="critical"', [("severity", "=", "critical")]),
        ("severity = critical", [("severity", "=", "critical")]),
        ('a=~"x|y"', [("a", "=~", "x|y")]),
        ("a!~x.*", [("a", "!~", "x.*")]),
        ('{a!="1", b="x,y\\"z"}', [("a", "!=", "1"), ("b", "=", 'x,y"z')]),
        ('"a.b"=""', [("a.b", "=", "")]),
        ("a=1,b=2,", [("a", "=", "1"), ("b", "=", "2")]),
    ],
)
def test_matchers_are_read_in_all_their_forms(
    text: str, matchers: list[tuple[str, str, str]]
) -> None:
    """Quoted or bare, alone or in braces."""
    assert [(m.name, m.operator, m.value) for m in parse_matchers(text)] == matchers


@pytest.mark.parametrize("text", ["severity", '="x"', "a=~(", 'a="x" b="y"'])
def test_what_is_no_matcher_is_refused(text: str) -> None:
    """One line that shows it."""
    with pytest.raises(UsageError, match="matcher"):
        read_tree({"route": {"receiver": "r", "matchers": [text]}})


def test_a_configuration_without_a_route_is_refused() -> None:
    """Alertmanager would not start with it, either."""
    with pytest.raises(UsageError, match="no route"):
        read_tree({"receivers": []})

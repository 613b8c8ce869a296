"""Selectors of series as an expression has them, and the labels that they take. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from testbed_rules.lexing import string_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    import promql_parser as promql

_OPERATORS: Final = {
    "MatchOp.Equal": "=",
    "MatchOp.NotEqual": "!=",
    "MatchOp.Re": "=~",
    "MatchOp.NotRe": "!~",
}


@dataclass(frozen=True, slots=True)
class LabelMatcher:
    """One matcher of a selector; the operator is one of ``=``, ``!=``, ``=~`` and ``!~``."""

    label: str
    operator: str
    value: str

    @property
    def alternatives(self) -> tuple[LabelMatcher, ...]:
        """One matcher for each alternative of a pattern that is a list of them; else itself."""
        if self.operator == "=~" and re.fullmatch(r"[\w.]+(\|[\w.]+)+", self.value):
            return tuple(LabelMatcher(self.label, "=~", each) for each in self.value.split("|"))
        return (self,)

    def matches(self, text: str) -> bool:
        """Whether a label's value passes; an absent label is an empty text."""
        if self.operator in {"=", "!="}:
            return (text == self.value) == (self.operator == "=")
        try:
            found = re.fullmatch(self.value, text) is not None
        except re.error:  # Prometheus knows other regular expressions than Python
            return True
        return found == (self.operator == "=~")

    def __str__(self) -> str:
        return f'{self.label}{self.operator}"{self.value}"'


@dataclass(frozen=True, slots=True)
class Selector:
    """A metric and its matchers, without range and offset.

    Attributes:
        metric: name of its series; empty where no matcher gives one name.
        matchers: the others.
    """

    metric: str
    matchers: tuple[LabelMatcher, ...] = ()

    def takes(self, labels: Mapping[str, str]) -> bool:
        """Whether a series of the metric with these labels passes."""
        return all(each.matches(labels.get(each.label, "")) for each in self.matchers)

    def __str__(self) -> str:
        return f"{self.metric}{{{', '.join(map(str, self.matchers))}}}"


def selector_of(node: promql.VectorSelector) -> Selector:
    """The selector of a node, whose metric may stand before the braces or within them."""
    found = [
        LabelMatcher(each.name, _OPERATORS[str(each.op)], string_value(each.value))
        for each in node.matchers.matchers
    ]
    named = [each.value for each in found if (each.label, each.operator) == ("__name__", "=")]
    others = tuple(each for each in found if (each.label, each.operator) != ("__name__", "="))
    return Selector(node.name or "".join(named[:1]), others)

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
_METRIC: Final = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
_LABEL: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


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
        return f"{_name(self.label)}{self.operator}{quoted(self.value)}"


@dataclass(frozen=True, slots=True)
class Selector:
    """A metric and its matchers, without range and offset.

    Attributes:
        metric: name of its series; empty where no matcher gives one name.
        matchers: the others.
    """

    metric: str
    matchers: tuple[LabelMatcher, ...] = ()

    @property
    def bare(self) -> str:
        """All series of its metric, as Prometheus reads it."""
        return self.metric if _METRIC.fullmatch(self.metric) else f"{{{quoted(self.metric)}}}"

    def takes(self, labels: Mapping[str, str]) -> bool:
        """Whether a series of the metric with these labels passes."""
        return all(each.matches(labels.get(each.label, "")) for each in self.matchers)

    def __str__(self) -> str:
        matchers = list(map(str, self.matchers))
        if self.metric and not _METRIC.fullmatch(self.metric):
            return f"{{{', '.join([quoted(self.metric), *matchers])}}}"
        return f"{self.metric}{{{', '.join(matchers)}}}"


def quoted(text: str) -> str:
    """A string of PromQL."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _name(text: str) -> str:
    return text if _LABEL.fullmatch(text) else quoted(text)


def selector_of(node: promql.VectorSelector) -> Selector:
    """The selector of a node, whose metric may stand before the braces or within them."""
    found = [
        LabelMatcher(each.name, _OPERATORS[str(each.op)], string_value(each.value))
        for each in node.matchers.matchers
    ]
    named = [each.value for each in found if (each.label, each.operator) == ("__name__", "=")]
    others = tuple(each for each in found if (each.label, each.operator) != ("__name__", "="))
    return Selector(node.name or "".join(named[:1]), others)

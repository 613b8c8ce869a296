"""Alertmanager's route tree, simulated: which receivers a set of labels reaches. Pure.

As Alertmanager's dispatcher does it: an alert takes the first child whose matchers all hold, and
goes on to the next siblings where that one says ``continue``; where no child takes it, the node
itself does. A label that is not there counts as empty, and regular expressions are anchored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from testbed_rules.timescale import parse_duration

from testbed.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

EVERY_LABEL: Final = "..."
"""In ``group_by``: each set of labels is a group of its own."""

_MATCHER: Final = re.compile(
    r"""\s*,?\s*
    (?: "(?P<quoted_name>(?:\\.|[^"\\])+)" | (?P<name>[^\s"{}!=~,\\'`]+) )
    \s* (?P<operator>=~|!~|!=|=) \s*
    (?: "(?P<quoted>(?:\\.|[^"\\])*)" | (?P<value>[^",]*?) )
    \s*(?=,|$)
    """,
    re.VERBOSE,
)
_ESCAPES: Final = {"n": "\n", '"': '"', "\\": "\\"}


@dataclass(frozen=True, slots=True)
class RouteMatcher:
    """One condition on a label.

    Attributes:
        name: of the label.
        operator: ``=``, ``!=``, ``=~`` or ``!~``.
        value: a text, or an anchored regular expression.
    """

    name: str
    operator: str
    value: str
    _pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        literal = self.operator in {"=", "!="}
        try:
            # Go's classes hold ASCII only.
            pattern = re.compile(re.escape(self.value) if literal else self.value, re.ASCII)
        except re.error as error:
            raise UsageError(
                f"the matcher {self} of a route can't be read: {error}; write a plain expression"
            ) from error
        object.__setattr__(self, "_pattern", pattern)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the condition holds."""
        found = self._pattern.fullmatch(labels.get(self.name, "")) is not None
        return found != self.operator.startswith("!")

    def __str__(self) -> str:
        return f'{self.name}{self.operator}"{self.value}"'


@dataclass(frozen=True, slots=True)
class Route:
    """A node of the tree, with what it inherits.

    Attributes:
        receiver: name.
        matchers: all must hold.
        go_on: whether siblings behind it are tried, too (``continue``).
        group_by: labels that distinguish groups; :data:`EVERY_LABEL` alone for each label.
        group_wait: real seconds before the first notification of a new group.
        group_interval: real seconds between notifications of a group that changed.
        repeat_interval: real seconds between notifications of a group that did not.
        routes: children.
    """

    receiver: str
    matchers: tuple[RouteMatcher, ...] = ()
    go_on: bool = False
    group_by: tuple[str, ...] = ()
    group_wait: float = 30.0
    group_interval: float = 300.0
    repeat_interval: float = 14_400.0
    routes: tuple[Route, ...] = ()

    def leaves(self, labels: Mapping[str, str]) -> tuple[Route, ...]:
        """The nodes that an alert with these labels ends at; several by ``continue``."""
        if not all(matcher.matches(labels) for matcher in self.matchers):
            return ()
        taken: list[Route] = []
        for child in self.routes:
            found = child.leaves(labels)
            taken += found
            if found and not child.go_on:
                break
        return tuple(taken) or (self,)

    def group(self, labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        """The labels by which an alert is put into a group of this node."""
        every = EVERY_LABEL in self.group_by
        return tuple(sorted((k, v) for k, v in labels.items() if every or k in self.group_by))

    def walk(self) -> Iterator[Route]:
        """The node and all below it."""
        yield self
        for child in self.routes:
            yield from child.walk()


def read_tree(document: Mapping[str, Any]) -> Route:
    """The tree of Alertmanager's configuration, with the defaults that Alertmanager has.

    Args:
        document: parsed ``alertmanager.yml``; its durations are taken as they are.

    Raises:
        UsageError: there is no route, or a matcher or duration can't be read.
    """
    top = document.get("route")
    if not isinstance(top, dict) or not top.get("receiver"):
        raise UsageError("Alertmanager's configuration has no route with a receiver")
    return _node(top, Route(receiver=str(top["receiver"])))


def parse_matchers(text: str) -> tuple[RouteMatcher, ...]:
    """Matchers as ``matchers`` lists them: ``severity="critical"``, several with commas between.

    Raises:
        UsageError: it is none.
    """
    rest = text.strip()
    if rest.startswith("{") and rest.endswith("}"):
        rest = rest[1:-1]
    rest = rest.strip().rstrip(",").strip()
    found = []
    place = 0
    while place < len(rest):
        match = _MATCHER.match(rest, place)
        if match is None or match.end() == place:
            raise UsageError(
                f'{text!r} is not a valid matcher of a route: write for example severity="warning"'
            )
        name = _unescaped(match["quoted_name"]) if match["quoted_name"] else match["name"]
        value = match["value"] if match["quoted"] is None else _unescaped(match["quoted"])
        found.append(RouteMatcher(name, match["operator"], value))
        place = match.end()
    return tuple(found)


def _node(entry: Mapping[str, Any], parent: Route) -> Route:
    group_by = entry.get("group_by")
    node = replace(
        parent,
        receiver=str(entry.get("receiver") or parent.receiver),
        matchers=tuple(listed_matchers(entry)),
        go_on=bool(entry.get("continue", False)),
        group_by=parent.group_by if group_by is None else tuple(map(str, group_by)),
        routes=(),
        **{
            key: parse_duration(str(entry[key]))
            for key in ("group_wait", "group_interval", "repeat_interval")
            if entry.get(key) is not None
        },
    )
    return replace(node, routes=tuple(_node(child, node) for child in entry.get("routes") or ()))


def listed_matchers(entry: Mapping[str, Any], side: str = "") -> Iterable[RouteMatcher]:
    """The matchers of an entry in each of the forms that Alertmanager takes.

    Args:
        entry: a route, or an inhibition.
        side: what stands before the name of the list: ``source_`` or ``target_``.

    Raises:
        UsageError: one can't be read.
    """
    for name, value in (entry.get(f"{side}match") or {}).items():
        yield RouteMatcher(str(name), "=", str(value))
    for name, value in (entry.get(f"{side}match_re") or {}).items():
        yield RouteMatcher(str(name), "=~", str(value))
    for text in entry.get(f"{side}matchers") or ():
        yield from parse_matchers(str(text))


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), text)

"""Queries in the templates of labels and annotations: ``{{ query "rate(x[5m])" }}``. Pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from testbed_rules.timescale import Tree

TEMPLATED: Final = ("labels", "annotations")
_ACTION: Final = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_LITERAL: Final = r'"(?:\\.|[^"\\\n])*"|`[^`]*`'
_FUNCTION: Final = r"(?<![.$\w])query\b"  # no field or variable of that name
_QUERY: Final = re.compile(rf"({_FUNCTION}\s+)({_LITERAL})")
_ANY_QUERY: Final = re.compile(rf"{_LITERAL}|{_FUNCTION}")


def with_queries_scaled(rule: Mapping[str, Any], scaled: Callable[[str], str]) -> Tree:
    """A rule with the queries of its templates scaled; what can't be read stays as it is.

    Args:
        rule: of a rules file.
        scaled: gives an expression at the time scale; raises ``ValueError`` where it can't be read.
    """

    def query(found: re.Match[str]) -> str:
        try:
            text = _text(found[2])
            changed = scaled(text)
        except ValueError:
            return found[0]
        return found[0] if changed == text else found[1] + json.dumps(changed, ensure_ascii=False)

    def action(found: re.Match[str]) -> str:
        return _QUERY.sub(query, found[0])

    changed: Tree = dict(rule)
    for key in TEMPLATED:
        if texts := rule.get(key):
            changed[key] = {name: _ACTION.sub(action, str(text)) for name, text in texts.items()}
    return changed


def unscaled_queries(rule: Mapping[str, Any], scaled: Callable[[str], str]) -> Iterator[str]:
    """Names of labels and annotations with a query that can't be scaled.

    It can't where the template puts it together, as by ``printf``, or where it can't be read.

    Args:
        rule: of a rules file.
        scaled: as in :func:`with_queries_scaled`.
    """
    for key in TEMPLATED:
        for name, text in (rule.get(key) or {}).items():
            actions = _ACTION.findall(str(text))
            if not all(_readable(action, scaled) for action in actions):
                yield f"{key[:-1]} {name}"


def _readable(action: str, scaled: Callable[[str], str]) -> bool:
    rest = _QUERY.sub("", action)
    if any(found[0] == "query" for found in _ANY_QUERY.finditer(rest)):
        return False
    try:
        for _, literal in _QUERY.findall(action):
            scaled(_text(literal))
    except ValueError:
        return False
    return True


def _text(literal: str) -> str:
    """What a string of Go's templates says.

    Raises:
        ValueError: it has an escape that only Go knows.
    """
    return literal[1:-1] if literal.startswith("`") else str(json.loads(literal))

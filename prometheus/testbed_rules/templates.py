r"""What a rule's template must read like once it is rendered. Pure.

A template becomes a regular expression: its literal text, with a hole that must not be empty for
each action that writes something. What stands in ``if``, ``with`` and ``range`` may be there or
not. A label of the alert is put in where the template writes it as it is, so a text about another
one does not pass. Templates that call others can't be followed; only their being there is known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

FAULTS: Final = ("<error expanding template", "<no value>", "<nil>", "{{", "}}")
"""Texts that a rendered template must not hold."""

TRIES: Final = 1e7
"""Ways of filling the holes of a template that may have to be tried; where more, none is."""

_ANYTHING: Final = ".+?"
_EVEN_NOTHING: Final = ".*?"
_ACTION: Final = re.compile(
    r"\{\{(?P<left>-(?=\s))?(?P<body>(?:\"(?:\\.|[^\"\\])*\"|`[^`]*`|[^\"`])*?)"
    r"(?P<right>(?<=\s)-)?\}\}",
    re.DOTALL,
)
_LABEL: Final = re.compile(
    r'\$labels\.(\w+)|\.Labels\.(\w+)|index\s+(?:\$labels|\.Labels)\s+"(\w+)"'
)
_PLAIN_LABEL: Final = re.compile(
    rf"\(?\s*(?:{_LABEL.pattern})\s*\)?(?:\s*\|\s*(?:toString|print))?"
)
_NUMBER: Final = r"[-+]?(?:\d[\d.,]*(?:e[-+]?\d+)?|Inf|NaN)"
_VALUE_FORMS: Final = (
    (re.compile(r"(?:\$value|\.Value)(?:\s*\|\s*(?:toString|print))?"), 1.0),
    (re.compile(r'(?:\$value|\.Value)\s*\|\s*printf\s+"%\.?\d*[fg]"'), 1.0),
    (re.compile(r'printf\s+"%\.?\d*[fg]"\s+(?:\$value|\.Value)'), 1.0),
    (re.compile(r"(?:\$value|\.Value)\s*\|\s*humanizePercentage"), 0.01),
)
_FORMAT_FAULT: Final = re.compile(r"%!(?:[a-zA-Z]|\()")


class _Opaque(Exception):  # noqa: N818 - no error: the template is beyond what is followed
    """A template that can't be turned into an expression."""


@dataclass(frozen=True, slots=True)
class Literal:
    """Text that is written as it is."""

    text: str


@dataclass(frozen=True, slots=True)
class TemplateHole:
    """An action that writes something."""

    body: str


@dataclass(frozen=True, slots=True)
class Block:
    """An ``if``, ``with`` or ``range``: one of its branches, or none, and for a range many."""

    branches: tuple[tuple[Node, ...], ...]
    optional: bool
    many: bool


Node = Literal | TemplateHole | Block


@dataclass(frozen=True, slots=True)
class ShownValue:
    """A ``$value`` that a text shows.

    Attributes:
        value: as the alert had it, so far as the text says.
        precision: half of the last digit that is shown.
    """

    value: float
    precision: float


@dataclass(frozen=True, slots=True)
class TemplateReading:
    """A rendered text, held against its template.

    Attributes:
        fault: what is wrong with it, or an empty text.
        shown: the values that it shows outside of any condition.
    """

    fault: str = ""
    shown: tuple[ShownValue, ...] = ()


def read_text(template: str, text: str, labels: Mapping[str, str | None]) -> TemplateReading:
    """Hold a rendered text against its template.

    Args:
        template: as the rule has it.
        text: as it arrived.
        labels: labels of the series; None for the value of one that is not known.
    """
    if broken := _error_in(text):
        return TemplateReading(f"holds the template error {broken!r}: {_short(text)!r}")
    nodes = _parsed(template) or ()
    missing = [name for name in _unguarded(nodes) if labels.get(name, "") == ""]
    if missing:
        names = ", ".join(dict.fromkeys(missing))
        return TemplateReading(
            f"uses the label {names}, which the alert's series lacks: {_short(text)!r}"
        )
    if not text.strip():
        return TemplateReading("" if nodes and _may_be_empty(nodes) else "is empty")
    return _compared(nodes, text, labels) if nodes else TemplateReading()


def is_template(text: str) -> bool:
    """Whether a text has actions."""
    return "{{" in text


def names_value(template: str) -> bool:
    """Whether a template shows ``$value`` outside of any condition, in a form that is known."""
    nodes = _parsed(template)
    return nodes is not None and any(isinstance(n, TemplateHole) and _form(n.body) for n in nodes)


def _error_in(text: str) -> str:
    found = _FORMAT_FAULT.search(text)
    return next((each for each in FAULTS if each in text), found[0] if found else "")


def _compared(
    nodes: tuple[Node, ...], text: str, labels: Mapping[str, str | None]
) -> TemplateReading:
    expression = _whole(nodes, labels)
    if float(len(text)) ** _nested_holes(nodes) > TRIES:
        return TemplateReading()
    match = re.compile(expression, re.DOTALL).fullmatch(text)
    if match is None:
        return TemplateReading(f"does not read as its template is written: {_short(text)!r}")
    return TemplateReading(shown=_shown(nodes, match))


@lru_cache(maxsize=1024)
def _parsed(template: str) -> tuple[Node, ...] | None:
    try:
        return _parse(template)
    except _Opaque:
        return None


def _parse(template: str) -> tuple[Node, ...]:
    tokens = _tokens(template)
    nodes, rest, ended = _branch(tokens, 0)
    if ended or rest < len(tokens):
        raise _Opaque
    return nodes


def _tokens(template: str) -> list[Literal | str]:
    """Literal texts, trimmed as the actions beside them say, and bodies of actions."""
    tokens: list[Literal | str] = []
    place, trim = 0, False
    for action in _ACTION.finditer(template):
        literal = template[place : action.start()]
        literal = literal.lstrip() if trim else literal
        literal = literal.rstrip() if action["left"] else literal
        if literal:
            tokens.append(Literal(literal))
        tokens.append(action["body"].strip())
        place, trim = action.end(), action["right"] is not None
    rest = template[place:]
    if "{{" in rest:
        raise _Opaque
    rest = rest.lstrip() if trim else rest
    return [*tokens, Literal(rest)] if rest else tokens


def _branch(tokens: list[Literal | str], place: int) -> tuple[tuple[Node, ...], int, str]:
    """The nodes up to an ``else`` or ``end``, the place behind it, and what it was."""
    nodes: list[Node] = []
    while place < len(tokens):
        token = tokens[place]
        place += 1
        if isinstance(token, Literal):
            nodes.append(token)
            continue
        word = token.split(None, 1)[0] if token else ""
        if word in {"end", "else"}:
            return tuple(nodes), place, token
        if word in {"if", "with", "range"}:
            block, place = _block(tokens, place, many=word == "range")
            nodes.append(block)
        elif word in {"define", "template", "block", "break", "continue", "return"}:
            raise _Opaque
        elif token and not token.startswith("/*") and not re.match(r"\$\w+\s*:?=(?!=)", token):
            nodes.append(TemplateHole(token))
    return tuple(nodes), place, ""


def _block(tokens: list[Literal | str], place: int, *, many: bool) -> tuple[Block, int]:
    branches = []
    last = ""
    while True:
        nodes, place, ended = _branch(tokens, place)
        branches.append(nodes)
        if ended == "end":
            return Block(tuple(branches), optional=last != "else", many=many), place
        if not ended:
            raise _Opaque
        last = ended


def _unguarded(nodes: tuple[Node, ...]) -> list[str]:
    """Labels that are written outside of any condition, as they are."""
    holes = [node.body for node in nodes if isinstance(node, TemplateHole)]
    return [name for body in holes if (name := _plain_label(body))]


def _may_be_empty(nodes: tuple[Node, ...]) -> bool:
    return all(
        (isinstance(node, Literal) and not node.text.strip())
        or (isinstance(node, Block) and (node.optional or any(map(_may_be_empty, node.branches))))
        for node in nodes
    )


def _whole(nodes: tuple[Node, ...], labels: Mapping[str, str | None]) -> str:
    """The expression of a template.

    What follows a hole for any text is looked for at its first place only, where another such hole
    comes behind it, which can take the rest: else trying could go on for ever.
    """
    open_holes: list[str] = []
    between: list[list[str]] = [[]]
    digit = False
    for node in nodes:
        part = _part(node, labels)
        if part in {_ANYTHING, _EVEN_NOTHING}:
            open_holes.append(part)
            between.append([])
        elif isinstance(node, TemplateHole) and _form(node.body):
            # What may or may not stand before it must not take its first digits.
            between[-1].append(f"({part})" if digit else rf"(?<![\d.])({part})")
        else:
            between[-1].append(part)
        digit = isinstance(node, Literal) and node.text[-1] in "0123456789."
    last = len(open_holes) - 1
    parts = ["".join(between[0])]
    for number, (hole, after) in enumerate(zip(open_holes, between[1:], strict=True)):
        found = hole + "".join(after)
        parts.append(found if number == last else f"(?>{found})")
    return "".join(parts)


def _part(node: Node, labels: Mapping[str, str | None]) -> str:
    match node:
        case Literal(text):
            return re.escape(text)
        case TemplateHole(body):
            return _hole(body, labels)
        case Block(many=True):
            return _EVEN_NOTHING
        case Block(branches, optional):
            inner = "|".join("".join(_part(n, labels) for n in branch) for branch in branches)
            return f"(?:{inner}){'?' if optional else ''}"


def _nested_holes(nodes: tuple[Node, ...]) -> int:
    blocks = [node for node in nodes if isinstance(node, Block) and not node.many]
    branches = [branch for block in blocks for branch in block.branches]
    return sum(_open_holes(branch) for branch in branches)


def _open_holes(nodes: tuple[Node, ...]) -> int:
    holes = [node.body for node in nodes if isinstance(node, TemplateHole)]
    repeated = sum(isinstance(node, Block) and node.many for node in nodes)
    wide = sum(_plain_label(body) is None and _form(body) is None for body in holes)
    return repeated + wide + _nested_holes(nodes)


def _hole(body: str, labels: Mapping[str, str | None]) -> str:
    name = _plain_label(body)
    if name:
        value = labels.get(name, "")
        return _ANYTHING if value is None else re.escape(value) if value else "(?!)"
    if _form(body):
        percent = "%" if body.endswith("humanizePercentage") else ""
        return _NUMBER + percent
    return _EVEN_NOTHING if "external" in body else _ANYTHING


def _plain_label(body: str) -> str | None:
    match = _PLAIN_LABEL.fullmatch(body)
    return next((group for group in match.groups() if group), None) if match else None


def _form(body: str) -> float | None:
    """What a value that is shown so must be multiplied by; None for a form that is not known."""
    return next((factor for form, factor in _VALUE_FORMS if form.fullmatch(body)), None)


def _shown(nodes: tuple[Node, ...], match: re.Match[str]) -> tuple[ShownValue, ...]:
    factors = [f for node in nodes if isinstance(node, TemplateHole) and (f := _form(node.body))]
    shown = []
    for factor, text in zip(factors, match.groups(), strict=True):
        digits = text.rstrip("%")
        decimals = re.search(r"\.(\d+)", digits)
        exponent = re.search(r"e([-+]?\d+)", digits)
        size = 10.0 ** (
            (int(exponent[1]) if exponent else 0) - (len(decimals[1]) if decimals else 0)
        )
        try:
            value = float(digits.replace(",", ""))
        except ValueError:
            continue
        shown.append(ShownValue(value * factor, 0.5 * size * factor))
    return tuple(shown)


def _short(text: str, size: int = 160) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= size else f"{one_line[: size - 1]}…"

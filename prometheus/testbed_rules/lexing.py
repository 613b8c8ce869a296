r"""Words of PromQL with their places, and strings that the parser can print again. Pure.

The parser prints the value of a string without its escapes, so that ``"\\d"`` would come back as
another text. A string that needs escapes is therefore given to it in hexadecimal digits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

TokenKind = Literal["string", "range", "number", "modifier", "word", "sign"]

_TOKEN: Final = re.compile(
    r"""
      (?P<blank>\s+|\#[^\n]*)
    | (?P<string>"(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | `[^`]*`)
    | (?P<range>\[[^\]]*\])
    | (?P<number>0[xX][0-9a-fA-F_]+
        | (?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)
          (?:[eE][+-]?[0-9]+ | (?:(?:ms|[smhdwy])[0-9]*)+)?)
    | (?P<word>[A-Za-z_:][A-Za-z0-9_:]*)
    | (?P<sign>[<>=!]=|[=!]~|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE: Final = re.compile(
    rb"""\\(?:(?P<one>[abfnrtv\\'"])|x(?P<hex>[0-9a-fA-F]{2})|(?P<octal>[0-7]{3})"""
    rb"""|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8}))"""
)
_ONE: Final = dict(zip(b"abfnrtv\\'\"", b"\a\b\f\n\r\t\v\\'\"", strict=True))
_HIDDEN: Final = re.compile(r"__x((?:[0-9a-f]{2})*)x__")
_NEEDS_ESCAPE: Final = re.compile(r'[\\"\n]|__x')


@dataclass(frozen=True, slots=True)
class Token:
    """A word of an expression.

    Attributes:
        kind: what it is; a ``modifier`` is the number behind ``offset`` or ``@``.
        start: of it in the text.
        end: behind it.
        text: as it is written.
    """

    kind: TokenKind
    start: int
    end: int
    text: str


def tokens(text: str) -> list[Token]:
    """The words of an expression, without blanks and comments."""
    found: list[Token] = []
    modifies = False
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        if kind == "blank" or kind is None:
            continue
        word = match[0]
        named: TokenKind = "modifier" if kind == "number" and modifies else _KINDS[kind]
        found.append(Token(named, match.start(), match.end(), word))
        modifies = (modifies and word in {"+", "-"}) or word == "@" or word.lower() == "offset"
    return found


_KINDS: Final[dict[str, TokenKind]] = {
    "string": "string",
    "range": "range",
    "number": "number",
    "word": "word",
    "sign": "sign",
}


def hidden(literal: str) -> str:
    """A string as the parser can print it again.

    Args:
        literal: as it is written, with its quotation marks.

    Raises:
        ValueError: it has an escape that PromQL doesn't know.
    """
    value = literal[1:-1].encode()
    if literal[0] != "`":
        if b"\\" in _ESCAPE.sub(b"", value):
            raise ValueError(f"unknown escape sequence in {literal}")
        value = _ESCAPE.sub(_unescaped, value)
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = "\\"
    if _NEEDS_ESCAPE.search(text):
        return f'"__x{value.hex()}x__"'
    return f'"{text}"'


def string_value(text: str) -> str:
    """What a string of a parsed node means."""
    return _HIDDEN.sub(lambda match: _bytes(match).decode(errors="replace"), text)


def lengthened(text: str, more: str) -> str:
    """A string of a parsed node with something behind it, as the parser is to have it."""
    found = _HIDDEN.fullmatch(text)
    return f"__x{found[1]}{more.encode().hex()}x__" if found else f"{text}{more}"


def shown(printed: str) -> str:
    """What the parser printed, with its strings written as PromQL has them."""
    return _HIDDEN.sub(lambda match: _escaped(_bytes(match)), printed)


def _bytes(match: re.Match[str]) -> bytes:
    return bytes.fromhex(match[1])


def _escaped(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return "".join(f"\\x{each:02x}" for each in value)
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _unescaped(match: re.Match[bytes]) -> bytes:
    if one := match["one"]:
        return bytes([_ONE[one[0]]])
    if point := match["short"] or match["long"]:
        return chr(int(point, 16)).encode(errors="replace")
    return bytes([int(match["hex"], 16) if match["hex"] else int(match["octal"], 8) & 0xFF])

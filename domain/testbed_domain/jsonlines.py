"""Lines of JSON, of which a log or a run holds tens of thousands."""

from __future__ import annotations

import json
from typing import Any, Final

import orjson

_DIGITS: Final = bytes.maketrans(b"123456789", b"0" * 9)
_LONG: Final = b"0" * 19
"""Digits of a whole number that may not fit into 64 bits; orjson would make a float of it."""


def parse_line(line: str | bytes) -> Any:  # noqa: ANN401 - whatever it holds
    """The value that a text of JSON holds, ``NaN`` and whole numbers of any size included.

    Raises:
        ValueError: it is not JSON.
    """
    raw = line.encode() if isinstance(line, str) else line
    if _LONG not in raw.translate(_DIGITS):  # a tenth of the time of a regular expression
        try:
            return orjson.loads(raw)  # a third of the time of the standard library
        except ValueError:
            pass  # the standard library knows more numbers
    return json.loads(line)

"""Text in which what turns the direction of writing can be seen, wherever a person reads it.

Unseen, one in a label or a column's name would turn the value beside it: 1.5 is read as 5.1.
"""

from __future__ import annotations

from typing import Final

_TURNING: Final = {
    code: f"\\u{code:04x}"
    for code in (0x200E, 0x200F, 0x061C, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}


def written_out(text: str) -> str:
    r"""The text with each such character as ``\u202e``, as PromQL and JSON write it."""
    return text if text.isascii() else text.translate(_TURNING)


def readable(value: object) -> object:
    """The same of a value in a template; what is markup already stays."""
    return (
        written_out(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
    )

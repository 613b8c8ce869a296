"""Pieces of Markdown, as text."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence


def section(*parts: str) -> str:
    """Blocks, a blank line between two of them; empty ones are left out."""
    return "\n\n".join(part for part in parts if part)


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; text is taken as Markdown, and only what would break a row is changed."""
    lines = [list(titles), ["---"] * len(titles), *(list(row) for row in rows)]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def fence(text: str, language: str = "") -> str:
    """A block of code."""
    return f"```{language}\n{text.strip()}\n```"


def code(text: object) -> str:
    """Code within a line; nothing for an empty text."""
    return f"`{text}`" if str(text) else ""


def codes(items: Iterable[object]) -> str:
    """Several pieces of code within a line."""
    return ", ".join(code(item) for item in items)


def first_paragraph(thing: object) -> str:
    """First paragraph of a docstring as Markdown, on one line."""
    text = (inspect.getdoc(thing) or "").split("\n\n")[0]
    return " ".join(text.split()).replace("``", "`")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")

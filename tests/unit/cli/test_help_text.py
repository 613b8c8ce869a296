"""Help is as wide as the terminal: its paragraphs are not broken as those of the source are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.cli import command_tree
from testbed.cli.deferred import flowing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typer.core import TyperCommand, TyperGroup


def helps(command: TyperCommand | TyperGroup) -> Iterator[str]:
    """The help of a command and of those in it."""
    yield command.help or ""
    for each in getattr(command, "commands", {}).values():
        yield from helps(each)


def test_no_paragraph_of_any_command_has_a_line_break() -> None:
    """But for examples."""
    paragraphs = [part for text in helps(command_tree()) for part in text.split("\n\n")]
    assert len(paragraphs) > 100
    assert [part for part in paragraphs if "\n" in part and not part.startswith(" ")] == []


def test_examples_stay_as_they_are() -> None:
    """Their lines and their indentation."""
    text = (
        "What it\n    does.\n\n    Examples:\n\n      one \\\n        two\n\n    More\n    of it."
    )
    assert flowing(text) == "What it does.\n\nExamples:\n\n  one \\\n    two\n\nMore of it."

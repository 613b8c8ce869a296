"""Commands whose module is imported when one is called or asked about, not to list their names."""

from __future__ import annotations

from functools import cached_property
from importlib import import_module
from inspect import cleandoc
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable


class DeferredCommand(TyperCommand):
    """Stands for a command, or a group of them, in the list that ``--help`` prints.

    Args:
        name: of the command.
        module: whose function ``register`` adds the command to an application.
        text: first paragraph of its help.
        prepare: is called with that application before commands are made of it.
    """

    def __init__(
        self, name: str, module: str, text: str, prepare: Callable[[typer.Typer], None]
    ) -> None:
        super().__init__(name=name, help=text, rich_markup_mode="rich")
        self._module = module
        self._prepare = prepare

    @cached_property
    def command(self) -> TyperCommand | TyperGroup:
        """The command itself; imports its module."""
        application = typer.Typer(rich_markup_mode="rich", pretty_exceptions_enable=False)
        import_module(self._module).register(application)
        self._prepare(application)
        found = get_group(application).commands[str(self.name)]
        assert isinstance(found, TyperCommand | TyperGroup)  # noqa: S101 - Typer makes no others
        _flow(found)
        return found

    @override
    def make_context(self, *words: Any, **named: Any) -> Any:
        """The context of the command itself, which the caller then invokes."""
        return self.command.make_context(*words, **named)


def _flow(command: TyperCommand | TyperGroup) -> None:
    """Let the help of a command, and of those in it, be as wide as the terminal is.

    Typer keeps the lines of a docstring, which are as long as those of the source.
    """
    if command.help:
        command.help = flowing(command.help)
    for each in getattr(command, "commands", {}).values():
        _flow(each)


def flowing(text: str) -> str:
    """A text with one line for each paragraph; indented ones, as examples, stay as they are."""
    paragraphs = cleandoc(text).split("\n\n")
    return "\n\n".join(
        each if each.startswith(" ") else " ".join(each.splitlines()) for each in paragraphs
    )

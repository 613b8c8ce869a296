"""The page of the command line, from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from testbed.cli import command_tree
from testbed.docs.markdown import code, codes, fence, section, table
from testbed.errors import EXIT_COULD_NOT_RUN, EXIT_PASS, EXIT_VERDICT_FAILED

PROGRAM: Final = "testbed"
EXAMPLES: Final = "Examples:"
VALUES: Final = {
    bool: "",
    float: "number",
    int: "whole number",
    Path: "path",
    str: "text",
    list[str]: "text, repeatable",
    list[Path]: "paths",
}
EXIT_CODES: Final = (
    (EXIT_PASS, "Done. Of `testbed run`: the verdict passed."),
    (EXIT_VERDICT_FAILED, "The verdict failed, or what was asked about is missing or wrong."),
    (
        EXIT_COULD_NOT_RUN,
        "It could not run: wrong input, a failed component, an interruption; one line says why.",
    ),
)
INTRODUCTION: Final = (
    "`make setup`, and so `make demo` and `make test`, puts the command into `.venv/bin/testbed`. "
    "Every command explains itself with `-h` or `--help`. Results go to standard output, progress "
    "and errors to standard error. An option wins over a [setting](settings.md)."
)


def command_line() -> str:
    """The page."""
    found = dict(commands())
    return section(
        "# Command line",
        INTRODUCTION,
        table(
            ("command", "what"),
            (
                (f"[`{name}`](#{name.replace(' ', '-')})", _help(command)[0])
                for name, command in found.items()
            ),
        ),
        "## Exit codes",
        table(("code", "meaning"), ((code(number), meaning) for number, meaning in EXIT_CODES)),
        *(_section(name, command) for name, command in found.items()),
    )


def commands(
    group: TyperGroup | None = None, prefix: str = PROGRAM
) -> Iterator[tuple[str, TyperCommand | TyperGroup]]:
    """Every command and group of commands by its full name, such as ``testbed drift run``."""
    for name, command in (group or command_tree()).commands.items():
        full = f"{prefix} {name}"
        if isinstance(command, TyperCommand | TyperGroup):
            yield full, command
        if isinstance(command, TyperGroup):
            yield from commands(command, full)


def _section(name: str, command: TyperCommand | TyperGroup) -> str:
    prose, examples = _help(command)
    if isinstance(command, TyperGroup) and not command.invoke_without_command:
        return section(f"## {name}", prose)
    arguments = [item for item in command.params if isinstance(item, TyperArgument)]
    options = [item for item in command.params if isinstance(item, TyperOption)]
    needed = [f"{item.opts[0]} {(item.name or '').upper()}" for item in options if item.required]
    usage = [name, *needed, *(["[OPTIONS]"] if options else []), *map(_usage, arguments)]
    rows = [_row(item) for item in arguments] + [_row(item) for item in options]
    return section(
        f"## {name}",
        prose,
        fence(" ".join(usage)),
        table(("argument or option", "value", "default", "what"), rows) if rows else "",
        fence("\n".join(examples)) if examples else "",
    )


def _help(command: TyperCommand | TyperGroup) -> tuple[str, list[str]]:
    """What a command says of itself, and its examples."""
    prose, _, examples = (command.help or "").partition(EXAMPLES)
    return " ".join(prose.split()), [line.strip() for line in examples.splitlines() if line.strip()]


def _usage(argument: TyperArgument) -> str:
    name = argument.metavar or (argument.name or "").upper()
    return name if argument.required else f"[{name}]"


def _kind(annotation: Any) -> str:  # noqa: ANN401 - any type that an option may have
    if get_origin(annotation) is Literal:
        return " or ".join(code(value) for value in get_args(annotation))
    return VALUES[annotation]


def _row(item: TyperArgument | TyperOption) -> tuple[str, ...]:
    names = code(_usage(item)) if isinstance(item, TyperArgument) else codes(item.opts)
    default = "" if item.default in {None, False} else code(item.default)
    kind = _kind(item.type_descriptor.annotation)
    value = kind if item.min is None else f"{kind} from {item.min:g}"
    return names, value, "required" if item.required else default, item.help or ""

"""Options in bundles: one parameter of a command takes the values of many options.

So an option is written once, whatever number of commands has it; those of the job are its settings.
"""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass, fields
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Literal,
    Self,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

import typer
from pydantic import BeforeValidator

from testbed_drift.settings import DriftSettings
from testbed_drift.tables.options import TableOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

SETTINGS_PANEL: Final = "Settings of the job"
ALIASES: Final = {"output": ("--output", "--out")}
"""Options that have another name than their setting, too."""
_KEYWORD: Final = inspect.Parameter.KEYWORD_ONLY


@dataclass(frozen=True, slots=True)
class Bundle:
    """Options that a command takes as one value.

    Attributes:
        parameters: one for each option.
        make: makes the value of what was given.
    """

    parameters: Sequence[inspect.Parameter]
    make: Callable[..., Any]

    @classmethod
    def of(cls, make: Callable[..., Any]) -> Self:
        """The options that a function has as keyword parameters; it makes the value."""
        return cls([*inspect.signature(make, eval_str=True).parameters.values()], make)


def taking(**bundles: Bundle) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Let a command take bundles: parameters of these names become the options in them."""

    def decorate(command: Callable[..., T]) -> Callable[..., T]:
        @functools.wraps(command)
        def unbundled(*places: Any, **given: Any) -> T:  # noqa: ANN401 - whatever the options are
            for name, bundle in bundles.items():
                own = {p.name: given.pop(p.name, p.default) for p in bundle.parameters}
                given[name] = bundle.make(**own)
            return command(*places, **given)

        signature = inspect.signature(command, eval_str=True)
        parameters = [
            option
            for one in signature.parameters.values()
            for option in (bundles[one.name].parameters if one.name in bundles else [one])
        ]
        unbundled.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined] # that is how inspect finds it
        unbundled.__annotations__ = {one.name: one.annotation for one in parameters}
        return unbundled

    return decorate


def settings_options(*without: str) -> Bundle:
    """An option for each setting of the job: a dictionary of those that were given.

    Args:
        without: settings that the command does not have.
    """
    chosen = {
        name: field for name, field in DriftSettings.model_fields.items() if name not in without
    }
    parameters = []
    for name, field in chosen.items():
        default = None if field.is_required() else field.default
        shown = f" Default: {default}." if default not in {None, ""} else ""
        option = typer.Option(
            *ALIASES.get(name, ()),
            help=f"{field.description}{shown}",
            rich_help_panel=SETTINGS_PANEL,
        )
        kind = str if _converted(field.metadata) else _kind(field.annotation)
        annotation = Annotated[kind | None, option]  # type: ignore[valid-type] # known at run time
        parameters.append(inspect.Parameter(name, _KEYWORD, default=None, annotation=annotation))
    return Bundle(
        parameters,
        lambda **given: {name: value for name, value in given.items() if value is not None},
    )


def table_options(*names: str) -> Bundle:
    """Options of tables.

    Args:
        names: fields of :class:`TableOptions`; none means all.
    """
    hints = get_type_hints(TableOptions, include_extras=True)
    known = [field.name for field in fields(TableOptions) if field.init]
    parameters = [
        inspect.Parameter(name, _KEYWORD, default=None, annotation=hints[name])
        for name in known
        if not names or name in names
    ]
    return Bundle(parameters, TableOptions)


def _converted(metadata: Sequence[Any]) -> bool:
    """Whether a setting is read from text, as durations are."""
    return any(isinstance(one, BeforeValidator) for one in metadata)


def _kind(annotation: Any) -> Any:  # noqa: ANN401 - any type that a setting may have
    """What a command line takes for a setting; what is no plain value is text."""
    plain = [one for one in (annotation, *get_args(annotation)) if one in {int, float, Path}]
    if plain:
        return plain[0]
    choices = [one for one in (annotation, *get_args(annotation)) if get_origin(one) is Literal]
    return choices[0] if choices else str

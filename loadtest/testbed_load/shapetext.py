"""Shapes and forms as one writes them on a command line: ``ramp start=10 end=100``. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError
from testbed_domain.problems import problem
from testbed_domain.registry import kind_of

from testbed_load.errors import LoadError
from testbed_load.forms import FORMS, DriftForm, Form
from testbed_load.shapes import SHAPES, Shape, ShapeModel

if TYPE_CHECKING:
    from collections.abc import Collection

T = TypeVar("T")

_SHAPE: Final[TypeAdapter[ShapeModel]] = TypeAdapter(Shape)
_FORM: Final[TypeAdapter[DriftForm]] = TypeAdapter(Form)
FORM_KINDS: Final = tuple(map(kind_of, FORMS))

EXAMPLE: Final = "ramp start=10 end=100"
FORM_EXAMPLE: Final = "gradual start=0.2 end=0.8"


def parse_shape(text: str) -> ShapeModel:
    """The shape of a text: its kind, then its fields, lists with commas.

    Raises:
        LoadError: a kind, field or value is wrong; says which.
    """
    return _parse(text, "shape", _SHAPE, SHAPES, EXAMPLE)


def parse_form(text: str) -> DriftForm:
    """The form of a drift, in the same way.

    Raises:
        LoadError: as :func:`parse_shape`.
    """
    return _parse(text, "form", _FORM, FORM_KINDS, FORM_EXAMPLE)


def _parse(
    text: str, what: str, adapter: TypeAdapter[T], kinds: Collection[str], example: str
) -> T:
    kind, *fields = text.split() or [""]
    if kind not in kinds:
        raise LoadError(f"unknown {what} {kind!r}; choose one of: {', '.join(kinds)}")
    values: dict[str, Any] = {"kind": kind}
    for field in fields:
        name, equals, value = field.partition("=")
        if not equals or not name:
            raise LoadError(f"{what}: write a field as NAME=VALUE, not {field!r}, as: {example}")
        values[name] = value.split(",") if "," in value else value
    try:
        return adapter.validate_python(values)
    except ValidationError as error:
        errors = [{**each, "loc": each["loc"][1:]} for each in error.errors()]
        raise LoadError(f"{what} {kind}: {problem(errors, f'the {what}')}") from None

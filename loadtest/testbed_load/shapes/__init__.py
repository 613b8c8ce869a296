"""Shapes of the load: one module a family, one class a kind, found by this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, Union

from pydantic import Field

from testbed_load.shapes.base import SHAPES, Knot, ShapeModel

__all__ = ["SHAPES", "Knot", "Shape", "ShapeModel"]

if TYPE_CHECKING:
    Shape: TypeAlias = ShapeModel
else:
    _kinds: Any = Union[tuple(SHAPES.values())]  # noqa: UP007 - of classes known only now
    Shape = Annotated[_kinds, Field(discriminator="kind")]
    """Any of the kinds, as a scenario file holds it."""

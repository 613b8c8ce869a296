"""Targets of a run: one module a family, one class a kind, found by this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, Union

from pydantic import Discriminator, Tag

from testbed.targets.base import TARGETS, TargetModel
from testbed.targets.bundled import BundledApi

__all__ = ["TARGETS", "BundledApi", "Service", "TargetModel"]

DEFAULT = "http"


def kind(value: object) -> str:
    """Of a block, as it says; its name stands in messages, so it is that of the field."""
    said = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return DEFAULT if said is None else str(said)


if TYPE_CHECKING:
    Service: TypeAlias = TargetModel
else:
    _tagged: Any = tuple(
        Annotated[cls, Tag(name)] for name, cls in TARGETS.items() if cls is not BundledApi
    )
    _kinds: Any = Union[_tagged]  # noqa: UP007 - of classes known only now
    Service = Annotated[_kinds, Discriminator(kind)]
    """Any of the kinds that a user brings, as a scenario or a file of its own holds it."""

"""Faults of a scenario: one module a family, one class a kind, found by this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, Union

from pydantic import Field

from testbed.faults.base import FAULTS, FaultModel

__all__ = ["FAULTS", "Fault", "FaultModel"]

if TYPE_CHECKING:
    Fault: TypeAlias = FaultModel
else:
    _kinds: Any = Union[tuple(FAULTS.values())]  # noqa: UP007 - of classes known only now
    Fault = Annotated[_kinds, Field(discriminator="kind")]
    """Any of the kinds, as a scenario file holds it."""

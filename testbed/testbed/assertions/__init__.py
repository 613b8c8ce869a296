"""What a user asserts of a run: one module and one class a kind, found by this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, Union

from pydantic import BeforeValidator, Field

from testbed.assertions.base import ASSERTIONS, AssertionModel, Finding

__all__ = ["ASSERTIONS", "Assertion", "AssertionModel", "Finding"]


def _promql_by_default(value: object) -> object:
    if isinstance(value, dict) and "kind" not in value:
        return {"kind": "promql", **value}
    return value


if TYPE_CHECKING:
    Assertion: TypeAlias = AssertionModel
else:
    _kinds: Any = Union[tuple(ASSERTIONS.values())]  # noqa: UP007 - of classes known only now
    Assertion = Annotated[
        Annotated[_kinds, Field(discriminator="kind")], BeforeValidator(_promql_by_default)
    ]
    """Any of the kinds, as a scenario file holds it; without ``kind`` it is PromQL."""

"""The page of the faults, from their registry."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Final, Literal, get_args, get_origin

from pydantic import BaseModel

from testbed.docs.markdown import code, codes, section, table
from testbed.faults import FAULTS
from testbed.stack.links import LINKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

    from testbed.faults import FaultModel

REQUIRED: Final = "required"


def faults() -> str:
    """The page."""
    links = ", ".join(f"{source} to {to}" for source, to in LINKS)
    return section(
        "# Faults",
        "What a phase of a scenario does to the stack, in its `faults`: each begins with the phase "
        "and ends with it, unless it says otherwise. The verdict says of each by what was seen "
        "whether it took hold (`fault … in PHASE`). [How to](../how-to/faults.md) choose one and "
        "what the verdict makes of it; [one of your own](../contributing/where.md).",
        f"Links that `network` can disturb: {links}.",
        *(block for kind, fault in FAULTS.items() for block in _fault(kind, fault)),
    )


def _fault(kind: str, fault: type[FaultModel]) -> Iterator[str]:
    yield f"## {kind}"
    yield inspect.getdoc(fault) or ""
    rows = [
        (code(field.alias or name), _default(field), _described(field))
        for name, field in fault.model_fields.items()
        if name != "kind"
    ]
    if rows:
        yield table(("field", "default", "what"), rows)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return REQUIRED
    default = field.get_default(call_default_factory=True)
    return "none" if default in (None, ()) else code(str(default))


def _described(field: FieldInfo) -> str:
    """Its description, or what a nested model says of its own fields."""
    if field.description:
        return field.description
    nested = field.annotation
    if get_origin(nested) is Literal:
        return f"one of {codes(get_args(nested))}"
    if isinstance(nested, type) and issubclass(nested, BaseModel):
        return ", ".join(code(name) for name in nested.model_fields)
    return ""

"""The page of the services: each kind of target that a user brings, and its fields."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter

from testbed.docs.markdown import code, section, table
from testbed.targets import DEFAULT, TARGETS, BundledApi

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.targets import TargetModel


INTRODUCTION: Final = (
    "What a file for `testbed run --service FILE`, or the block `service:` of a scenario, may "
    "hold. `kind` chooses a preset, whose fields can all be set; without it the kind is "
    "`http`. [How to test your own service](../how-to/own-service.md) has examples."
)


def services() -> str:
    """The page."""
    kinds = [(kind, model) for kind, model in TARGETS.items() if model is not BundledApi]
    parts = [
        "# Services",
        INTRODUCTION,
    ]
    for kind, model in sorted(kinds, key=lambda each: each[0] != DEFAULT):
        schema = TypeAdapter(model).json_schema()
        parts += [f"## {kind}", _first_line(model), _table(schema)]
        if kind == DEFAULT:
            parts += _parts(schema)
    return section(*parts)


def _first_line(model: type[TargetModel]) -> str:
    return (model.__doc__ or "").partition("\n")[0]


def _parts(schema: dict[str, Any]) -> Iterator[str]:
    for name, part in schema.get("$defs", {}).items():
        yield f"### {name}"
        yield str(part.get("description", "")).partition("\n")[0]
        yield _table(part)


def _table(schema: dict[str, Any]) -> str:
    return table(
        ("field", "default", "what"),
        (
            (code(name), _default(field), str(field.get("description", "")).partition("\n")[0])
            for name, field in schema["properties"].items()
            if name != "kind"
        ),
    )


def _default(field: dict[str, Any]) -> str:
    if "default" not in field:
        return ""
    value = field["default"]
    return "see below" if isinstance(value, dict) else code(json.dumps(value))

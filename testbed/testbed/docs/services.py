"""The page of the services: each kind of target that a user brings, and its fields."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import yaml
from pydantic import TypeAdapter

from testbed.docs.markdown import code, fence, first_paragraph, section, table
from testbed.targets import DEFAULT, TARGETS
from testbed.targets.http import HttpService

if TYPE_CHECKING:
    from collections.abc import Iterator

INTRODUCTION: Final = (
    "What a file for `testbed run --service FILE`, or the block `service:` of a scenario, may "
    "hold. `kind` chooses a preset, which fills fields in that can all be set otherwise; without "
    "it the kind is `http`. [How to test your own service](../how-to/own-service.md) has examples."
)


def services() -> str:
    """The page."""
    parts = [
        "# Services",
        INTRODUCTION,
        f"## {DEFAULT}",
        first_paragraph(HttpService),
        *_parts(TypeAdapter(HttpService).json_schema()),
    ]
    for kind, model in TARGETS.items():
        if issubclass(model, HttpService) and kind != DEFAULT:
            parts += [f"## {kind}", first_paragraph(model), *_preset(model)]
    return section(*parts)


def _preset(model: type[HttpService]) -> Iterator[str]:
    """What it fills in, and fields that are its own."""
    usual, filled = (each(command=("x",)).model_dump(mode="json") for each in (HttpService, model))
    own = model.model_fields.keys() - HttpService.model_fields.keys()
    changed = {
        name: _changed(value, usual[name])
        for name, value in filled.items()
        if name not in own and value != usual[name]
    }
    yield f"It fills in, of the fields of [{DEFAULT}](#{DEFAULT}):"
    yield fence(yaml.safe_dump(changed, sort_keys=False, width=200), "yaml")
    if own:
        schema = TypeAdapter(model).json_schema()
        yield "Besides these:"
        yield _table({"properties": {name: schema["properties"][name] for name in sorted(own)}})


def _changed(value: object, usual: object) -> object:
    """Of an object its fields that are others, of a list of objects those that say something."""
    match value, usual:
        case dict(), dict():
            return {name: each for name, each in value.items() if each != usual.get(name)}
        case list(), list():
            return [
                {name: part for name, part in each.items() if part}
                if isinstance(each, dict)
                else each
                for each in value
            ]
    return value


def _parts(schema: dict[str, Any]) -> Iterator[str]:
    yield _table(schema)
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

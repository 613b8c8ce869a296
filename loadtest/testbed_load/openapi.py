"""Bodies that a service shows as examples in its OpenAPI document. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from testbed_load.errors import LoadError

if TYPE_CHECKING:
    from collections.abc import Mapping

JSON: Final = "application/json"
DEPTH: Final = 20
"""References and parts within each other that are followed."""
_NONE: Final = object()


def examples(document: Mapping[str, Any], path: str, method: str) -> tuple[Any, ...]:
    """The examples of a route's JSON body, in the order of the document.

    Taken are those of the media type (``example``, ``examples``), else those of its schema, else
    one made of the examples of the schema's fields, where each required field has one.

    Args:
        document: OpenAPI 3.
        path: of the route, as the document has it.
        method: of HTTP.

    Raises:
        LoadError: there is no such route, or it has no example; says what there is.
    """
    paths = document.get("paths", {})
    operation = paths.get(path, {}).get(method.lower())
    if operation is None:
        known = ", ".join(each for each, found in paths.items() if method.lower() in found)
        there = known or "no route of that method"
        raise LoadError(f"the OpenAPI document has no {method} {path}; it has {there}")
    body = _resolved(document, operation.get("requestBody", {}))
    media = body.get("content", {}).get(JSON, {})
    named = [
        each["value"]
        for item in media.get("examples", {}).values()
        if "value" in (each := _resolved(document, item))
    ]
    found = ([media["example"]] if "example" in media else []) + named
    if not found:
        found = _of_schema(document, media.get("schema", {}))
    if not found:
        raise LoadError(
            f"the OpenAPI document has no example of the body of {method} {path}: add one there, "
            "or give request.body as JSON"
        )
    return tuple(found)


def _of_schema(document: Mapping[str, Any], schema: Mapping[str, Any]) -> list[Any]:
    schema = _resolved(document, schema)
    if "examples" in schema:
        return list(schema["examples"])
    made = _made(document, schema, 0)
    return [] if made is _NONE else [made]


def _made(document: Mapping[str, Any], schema: Mapping[str, Any], depth: int) -> Any:  # noqa: ANN401 - JSON
    """A value of a schema by its examples; ``_NONE`` where it says too little."""
    schema = _resolved(document, schema)
    shown = [schema[name] for name in ("example", "default") if name in schema]
    shown[1:1] = schema.get("examples", [])[:1]
    if shown:
        return shown[0]
    if "properties" in schema and depth < DEPTH:
        return _made_object(document, schema, depth + 1)
    if "items" in schema and depth < DEPTH:
        item = _made(document, schema["items"], depth + 1)
        return _NONE if item is _NONE else [item]
    return _NONE


def _made_object(document: Mapping[str, Any], schema: Mapping[str, Any], depth: int) -> Any:  # noqa: ANN401 - JSON
    parts = {name: _made(document, part, depth) for name, part in schema["properties"].items()}
    known = {name: value for name, value in parts.items() if value is not _NONE}
    complete = all(name in known for name in schema.get("required", ()))
    return known if known and complete else _NONE


def _resolved(document: Mapping[str, Any], part: Any) -> Mapping[str, Any]:  # noqa: ANN401 - JSON
    """The part, or what its ``$ref`` within the document leads to."""
    for _ in range(DEPTH):
        reference = part.get("$ref") if isinstance(part, dict) else None
        if not isinstance(reference, str) or not reference.startswith("#/"):
            break
        found: Any = document
        for name in reference.removeprefix("#/").split("/"):
            key = name.replace("~1", "/").replace("~0", "~")
            found = found.get(key, {}) if isinstance(found, dict) else {}
        part = found
    return part if isinstance(part, dict) else {}

"""Reading JSON bodies, so that no input whatever can turn into a 500.

pydantic-core parses and validates in one pass, which is faster than parsing first, and refuses
what ``json`` lets pass: lone surrogates, broken UTF-8, nesting without end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from testbed_api.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import Request
    from pydantic import TypeAdapter


T = TypeVar("T")

PROBLEM_LIMIT: Final = 50
NAME_LIMIT: Final = 100


async def read_json(request: Request, adapter: TypeAdapter[T]) -> T:
    """The body, parsed and validated.

    Raises:
        ApiError: 415 for another content type, 422 naming every field (or ``body``) that is wrong.
    """
    try:
        return adapter.validate_json(await read_body(request))
    except ValidationError as error:
        raise ApiError(422, "validation", problems(error)) from None


async def read_body(request: Request) -> bytes:
    """The body of a request that sends JSON.

    Raises:
        ApiError: 415 for another content type or a compressed body, 400 where it ends too early.
    """
    content_type = request.headers.get("content-type", "application/json")
    media = content_type.partition(";")[0].strip().lower()
    if media != "application/json" and not media.endswith("+json"):
        raise ApiError(415, "validation", "send JSON, with Content-Type: application/json")
    check_encoding(request)
    try:
        return await request.body()
    except ClientDisconnect:
        raise ApiError(400, "other", "the client left before its request was complete") from None


def check_encoding(request: Request) -> None:
    """Refuse a compressed body: a small one may hold a large one.

    Raises:
        ApiError: 415.
    """
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in {"identity", ""}:
        raise ApiError(415, "validation", "send the body uncompressed, without Content-Encoding")


def body_size(request: Request, limit: int) -> int:
    """Bytes of the body as its head says, at most the limit; the limit where it says nothing."""
    length = request.headers.get("content-length", "")
    known = length.isascii() and length.isdigit()
    return min(int(length), limit) if known else limit


def described(adapter: TypeAdapter[Any]) -> dict[str, Any]:
    """OpenAPI's description of a JSON body, without references: those have no place there."""
    schema = adapter.json_schema()
    content = {"application/json": {"schema": _inlined(schema, schema.pop("$defs", {}))}}
    return {"requestBody": {"required": True, "content": content}}


def _inlined(schema: Any, definitions: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a part of JSON
    if isinstance(schema, list):
        return [_inlined(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {name: _inlined(part, definitions) for name, part in schema.items()}


def problems(error: ValidationError) -> list[dict[str, Any]]:
    """One entry per refused field: where, why, and the kind of problem; never the input."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [
        {"loc": ["body", *map(_short, item["loc"])], "msg": item["msg"], "type": item["type"]}
        for item in found[:PROBLEM_LIMIT]
    ]


def _short(part: int | str) -> int | str:
    # Unknown columns are named by the caller, at any length.
    return part if isinstance(part, int) else part[:NAME_LIMIT]

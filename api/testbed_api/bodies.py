"""Reading JSON bodies, so that no input whatever can turn into a 500.

pydantic-core parses and validates in one pass, which is faster than parsing first, and refuses
what ``json`` lets pass: lone surrogates, broken UTF-8, nesting without end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from testbed_api.answers import ApiError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from testbed_api.asked import Asked

T = TypeVar("T")

PROBLEM_LIMIT: Final = 50
NAME_LIMIT: Final = 100


async def read_json(request: Asked, adapter: TypeAdapter[T]) -> T:
    """The body, parsed and validated.

    Raises:
        ApiError: 415 for another content type, 422 naming every field (or ``body``) that is wrong.
    """
    content_type = request.headers.get("content-type", "application/json")
    media = content_type.partition(";")[0].strip().lower()
    if media != "application/json" and not media.endswith("+json"):
        raise ApiError(415, "validation", "send JSON, with Content-Type: application/json")
    try:
        return adapter.validate_json(await request.body())
    except ValidationError as error:
        raise ApiError(422, "validation", problems(error)) from None
    except ClientDisconnect:
        raise ApiError(400, "other", "the client left before its request was complete") from None


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

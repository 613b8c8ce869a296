"""Bodies by the examples of an OpenAPI document."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError
from testbed_domain.use_cases import get_use_case
from testbed_load.errors import LoadError
from testbed_load.exchange import ServiceExchange, TemplateExchange
from testbed_load.openapi import examples

IRIS = get_use_case("iris").schema
EXCHANGE = TypeAdapter(ServiceExchange)


def document(media: dict[str, Any], **schemas: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """One with a route /ask, whose body is this."""
    operation = {"requestBody": {"content": {"application/json": media}}}
    return {"paths": {"/ask": {"post": operation}}, "components": {"schemas": schemas}}


NUMBER = {"type": "number", "examples": [5.1, 4.9]}
OPTIONAL = {"type": "string"}


@pytest.mark.parametrize(
    ("media", "found"),
    [
        ({"example": {"a": 1}}, [{"a": 1}]),
        ({"examples": {"x": {"value": [1]}, "y": {"value": [2]}}}, [[1], [2]]),
        ({"schema": {"examples": [{"a": 1}, {"a": 2}]}}, [{"a": 1}, {"a": 2}]),
        ({"schema": {"$ref": "#/components/schemas/Row"}}, [{"length": 5.1}]),
        (
            {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/Row"}}},
            [[{"length": 5.1}]],
        ),
    ],
)
def test_examples_of_a_route(media: dict[str, Any], found: list[Any]) -> None:
    """Of the media type before those of the schema, else of its fields."""
    row = {"properties": {"length": NUMBER, "note": OPTIONAL}, "required": ["length"]}
    assert examples(document(media, Row=row), "/ask", "POST") == tuple(found)


@pytest.mark.parametrize(
    ("path", "media", "why"),
    [
        ("/other", {}, "no POST /other; it has /ask"),
        ("/ask", {}, "no example of the body of POST /ask"),
        (
            "/ask",
            {"schema": {"properties": {"a": NUMBER, "b": OPTIONAL}, "required": ["a", "b"]}},
            "no example of the body",
        ),
        ("/ask", {"schema": {"$ref": "#/components/schemas/Ring"}}, "no example"),
    ],
)
def test_document_without_examples_is_refused(path: str, media: dict[str, Any], why: str) -> None:
    """By name; half of a body is none, and references in a ring end."""
    ring = {"$ref": "#/components/schemas/Ring"}
    with pytest.raises(LoadError, match=why):
        examples(document(media, Ring=ring), path, "POST")


def test_examples_are_sent_in_turn() -> None:
    """By the number of the request, whatever the row is."""
    wanted = {"request": {"path": "/ask", "body": {"openapi": "/ask"}}, "examples": [1, {"a": 2}]}
    exchange = TemplateExchange(EXCHANGE.validate_python(wanted), IRIS, {})
    sent = [exchange.body({}, f"run-{number}") for number in range(3)]
    assert [json.loads(each or "") for each in sent] == [1, {"a": 2}, 1]


def test_examples_are_no_rows() -> None:
    """An answer to one is no prediction for a row; without any, nothing is sent."""
    request = {"body": {"openapi": "/ask"}}
    with pytest.raises(ValidationError, match="not the rows of the use case"):
        EXCHANGE.validate_python({"request": request, "reply": {"prediction": "$.y"}})
    with pytest.raises(LoadError, match="no example of /ask was read"):
        TemplateExchange(EXCHANGE.validate_python({"request": request}), IRIS, {})

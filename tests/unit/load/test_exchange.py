"""Requests and answers of services that are not the bundled API."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import TypeAdapter, ValidationError
from testbed_domain.use_cases import get_use_case
from testbed_load.errors import LoadError
from testbed_load.exchange import (
    ReplyPaths,
    RequestTemplate,
    ServiceExchange,
    TemplateExchange,
)
from testbed_load.replies import Reply

if TYPE_CHECKING:
    from testbed_domain.features import FeatureSchema, Value

IRIS = get_use_case("iris").schema
TITANIC = get_use_case("titanic").schema
ROW: dict[str, Value] = dict(zip(IRIS.names, (5.1, 3.5, 1.4, 0.2), strict=True))
ID = "run-1"


def exchange(schema: FeatureSchema = IRIS, **wanted: object) -> TemplateExchange:
    """Of a service block's request and reply."""
    return TemplateExchange(TypeAdapter(ServiceExchange).validate_python(wanted), schema, {})


@pytest.mark.parametrize(
    ("template", "body"),
    [
        ("{row}", ROW),
        ({"instances": ["{values}"]}, {"instances": [list(ROW.values())]}),
        ({"n": "{count}", "of": "{columns}"}, {"n": 4, "of": list(ROW)}),
        ({"user": "{id}", "text": "for {id}, {row}"}, {"user": ID, "text": f"for {ID}, {{row}}"}),
        ({"x": ["{" + IRIS.names[1] + "}", 1, None, True]}, {"x": [3.5, 1, None, True]}),
    ],
)
def test_body_is_the_template_with_the_row_in_it(template: object, body: object) -> None:
    """A whole placeholder becomes a value of its own type; all else stays."""
    made = exchange(request={"body": template}).body(ROW, ID)
    assert made is not None
    assert json.loads(made) == body


def test_path_and_headers() -> None:
    """Request's id and values stand where the path asks for them; a GET has no body."""
    column = IRIS.names[1]
    path = f"/a/{{id}}?x=1&y={{{column}}}"
    request = {"path": path, "method": "GET", "headers": {"X": "y", "Of": "{id}"}}
    found = exchange(request=request)
    assert (found.path(ROW, ID), found.name) == ("/a/run-1?x=1&y=3.5", path)
    assert (found.path({**ROW, column: None}, ID)) == "/a/run-1?x=1&y="
    assert (found.body(ROW, ID), found.method) == (None, "GET")
    assert found.headers(ID) == {"X": "y", "Of": ID}
    text = next(feature.name for feature in TITANIC.features if feature.categories)
    quoted = exchange(TITANIC, request={"path": f"/a/{{{text}}}"})
    assert quoted.path({text: "a b/c?&\u00e9"}, ID) == "/a/a%20b%2Fc%3F%26%C3%A9"


def test_letters_of_an_url_and_those_of_a_column() -> None:
    """Clients percent-encode letters beyond ASCII; a column's name is never sent."""
    schema = replace(IRIS, features=(replace(IRIS.features[0], name="a b"),))
    path = exchange(schema, request={"path": "/\u00fc/{a b}?x={id}"}).path({"a b": 1e-07}, "r")
    assert path == "/\u00fc/1e-07?x=r"


def test_a_column_called_id_does_not_hide_the_id_of_the_request() -> None:
    """Neither in the path nor in the body."""
    schema = replace(IRIS, features=(replace(IRIS.features[0], name="id"),))
    found = exchange(schema, request={"path": "/{id}", "body": ["{id}"]})
    assert (found.path({"id": "row"}, ID), found.body({"id": "row"}, ID)) == ("/run-1", '["run-1"]')


@pytest.mark.parametrize("body", ["{row}", {"openapi": "/a"}])
def test_path_that_asks_for_what_there_is_not(body: object) -> None:
    """Another column, or any where no rows are sent."""
    asked = "customer" if body == "{row}" else IRIS.names[0]
    request = {"path": f"/a/{{{asked}}}", "body": body}
    with pytest.raises(LoadError, match=f"path asks for {{{asked}}}, which there isn't") as caught:
        exchange(request=request, examples=[{}])
    assert "{id}" in str(caught.value)


LABEL = IRIS.classes[2]
OWN = str(uuid.uuid5(uuid.NAMESPACE_URL, ID))


@pytest.mark.parametrize(
    ("reply", "answer", "expected"),
    [
        (
            {"prediction": "$.label", "probability": "$.p", "id": "$.id"},
            {"label": LABEL, "p": 0.7, "id": 12},
            Reply(200, None, "12", LABEL, 0.7),
        ),
        (
            {"probabilities": "$.outputs[0].data"},
            {"outputs": [{"data": [0.1, 0.2, 0.7]}]},
            Reply(200, None, OWN, LABEL, 0.7),
        ),
        (
            {"probabilities": "$.predictions"},
            {"predictions": [[0.1, 0.2, 0.7]]},
            Reply(200, None, OWN, LABEL, 0.7),
        ),
        (
            {"prediction": "$.predictions[0]", "classes": {"2": str(LABEL)}},
            {"predictions": [2.0]},
            Reply(200, None, OWN, LABEL, None),
        ),
        (
            {"prediction": "$[0]", "probabilities": "$[1]"},
            [str(LABEL), [0.1, 0.2, 0.7]],
            Reply(200, None, OWN, LABEL, 0.7),
        ),
    ],
)
def test_answer_is_read(reply: dict[str, Any], answer: object, expected: Reply) -> None:
    """Class, probability and id come from where the block says, in the use case's own words."""
    assert exchange(reply=reply).read(200, json.dumps(answer).encode(), ID) == expected


@pytest.mark.parametrize(
    ("prediction", "label"),
    [(1, "survived"), (1.0, "survived"), (True, "survived"), ("0", "died"), ("died", "died")],
)
def test_class_that_services_write_otherwise(prediction: object, label: str) -> None:
    """Numbers, their text and truths mean the same; the class's own name always works."""
    found = exchange(
        TITANIC, reply={"prediction": "$.y", "classes": {"0": "died", "1": "survived"}}
    )
    assert found.read(200, json.dumps({"y": prediction}).encode(), ID).prediction == label


def test_probability_of_the_positive_class_alone() -> None:
    """One number for two classes is that of the second."""
    found = exchange(TITANIC, reply={"probabilities": "$.p"})
    classes = TITANIC.classes
    for value, expected in ((0.75, (classes[1], 0.75)), (0.25, (classes[0], 0.75))):
        reply = found.read(200, json.dumps({"p": value}).encode(), ID)
        assert (reply.prediction, reply.probability) == expected


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"<html>", "Expecting value"),
        (b'{"x": 1}', "nothing stands at $"),
        (b'{"y": "mars"}', "'mars' is none of the classes"),
        (b'{"y": null}', "None is none of the classes"),
        (b'{"y": 1e999}', "cannot convert float infinity"),
        (b'{"y": "virginica", "p": NaN}', "nan is not a number"),
        (b"[" * 100_000, "recursion"),
    ],
)
def test_answer_that_is_no_prediction(content: bytes, problem: str) -> None:
    """It counts as an answer, and says what is wrong with it."""
    paths = {"prediction": "$.y", "probability": "$.p"}
    if b"p" not in content:
        del paths["probability"]
    reply = exchange(reply=paths).read(200, content, ID)
    assert (reply.status, reply.prediction_id) == (200, None)
    assert problem in str(reply.problem)


@pytest.mark.parametrize("reply", [{}, {"prediction": "$.y"}])
def test_answer_without_a_prediction(reply: dict[str, Any]) -> None:
    """Where none is expected, and where the service refused: the status is all there is."""
    assert exchange(reply=reply).read(200 if not reply else 503, b"busy", ID).problem is None


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        ({"request": {"body": {"a": "{Glucose}"}}}, "asks for {Glucose}"),
        (
            {"reply": {"prediction": "$.y", "classes": {"1": "rose"}}},
            "'rose', which is not a class",
        ),
    ],
)
def test_template_that_does_not_fit_the_rows(wanted: dict[str, Any], problem: str) -> None:
    """Known before anything is sent."""
    with pytest.raises(LoadError) as caught:
        exchange(**wanted)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    "wanted",
    [
        {"reply": {"prediction": "$["}},
        {"request": {"path": "predict"}},
        {"request": {"method": "GET", "body": {"a": 1}}},
        {"request": {"boddy": 1}},
        *(
            {"request": {"path": path}}
            for path in ("/a b", "/a\r\nX: y", "/a\t", "/a\u2028", "/\ud800", "/a#b", "//host/a")
        ),
        *({"request": {"path": path}} for path in ("/{{q}}", "/{}", "/{a", "/a}", "/{a}}")),
    ],
)
def test_block_that_is_wrong(wanted: dict[str, Any]) -> None:
    """A path that is no JSONPath, a body where none can be, a misspelt key."""
    with pytest.raises(ValidationError):
        exchange(**wanted)


def test_a_key_that_an_answer_repeats_is_in_no_reply() -> None:
    """Replies are written down: reasons of refusals, and of what is no prediction."""
    wanted = ServiceExchange(
        RequestTemplate(headers={"X": "Bearer ${KEY}"}),
        ReplyPaths(prediction="$.y"),
    )
    exchange = TemplateExchange(wanted, get_use_case("diabetes").schema, {"KEY": "s3cret"})
    for status, content in ((401, b"no s3cret"), (200, b'{"y": "s3cret"}'), (200, b"s3cret")):
        reply = exchange.read(status, content, "r-1")
        assert reply.reason or reply.problem
        assert "s3cret" not in repr(reply), status

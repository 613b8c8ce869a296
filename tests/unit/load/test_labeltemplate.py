"""What a service of others is told of a true label."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError
from testbed_load.labeltemplate import LabelTemplate

TEMPLATE = TypeAdapter(LabelTemplate)


@pytest.mark.parametrize(
    ("wanted", "label", "path", "body"),
    [
        ({}, 1, "/labels", {"prediction_id": "a/b", "label": 1}),
        ({"path": "/t/{id}?y={label}", "body": None}, "very good", "/t/a%2Fb?y=very%20good", None),
        ({"path": "/t/{id}?y={label}", "body": None}, True, "/t/a%2Fb?y=true", None),
        (
            {"path": "/feedback", "body": [{"key": "p-{id}", "truth": "{label}", "n": 3}]},
            2.5,
            "/feedback",
            [{"key": "p-a/b", "truth": 2.5, "n": 3}],
        ),
    ],
)
def test_template_with_a_label_in_it(
    wanted: dict[str, Any], label: str | float, path: str, body: object
) -> None:
    """In the path both are quoted; in the body a label keeps its type."""
    made_path, made = TEMPLATE.validate_python(wanted).request("a/b", label)
    assert made_path == path
    assert (None if made is None else json.loads(made)) == body


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({"body": {"label": "{label}"}}, "neither path nor body says {id}"),
        ({"path": "/labels/{id}", "body": {"id": "{id}"}}, "says {label}"),
        ({"method": "GET"}, "method"),
        ({"path": "labels"}, "path"),
        ({"path": "/labels/{customer}"}, "the path asks for {customer}: there are {id} and"),
        ({"path": "/labels/{}"}, "a brace that belongs to no placeholder"),
        ({"path": "/labels /x"}, "holds a space or a control character"),
    ],
)
def test_template_that_says_too_little_is_refused(wanted: dict[str, Any], why: str) -> None:
    """A label of nobody, or none, is no truth."""
    with pytest.raises(ValidationError) as caught:
        TEMPLATE.validate_python(wanted)
    assert why in str(caught.value)


def test_an_id_is_no_template() -> None:
    """It may hold what looks like a placeholder."""
    template = TEMPLATE.validate_python({"path": "/{id}/{label}", "body": "{id}-{label}"})
    path, body = template.request("a{label}b{id}", "x{id}")
    assert path == "/a%7Blabel%7Db%7Bid%7D/x%7Bid%7D"
    assert json.loads(str(body)) == "a{label}b{id}-x{id}"
    assert json.loads(str(template.request("a", True)[1])) == "a-true"  # noqa: FBT003 - a label

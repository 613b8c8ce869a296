"""Request schemas, made from feature schemas."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError
from testbed_api.errors import ApiError
from testbed_api.http.schemas import LabelReader, row_adapter
from testbed_api.serving.slices import at_once
from testbed_domain.features import Feature, FeatureSchema


def _schema(feature: Feature, *classes: int | str) -> FeatureSchema:
    return FeatureSchema((feature,), "target", classes or (0, 1))


@pytest.mark.parametrize(
    ("feature", "good", "bad"),
    [
        (Feature("a", "integer", ""), [0, -7, 2**53], [1.5, True, "1", None, 2**53 + 1]),
        (Feature("a", "number", ""), [0, 1.5, -3e38], [True, "1", None, 4e38]),
        (Feature("a", "number", "", 0, 1), [0, 0.5, 1], [-0.001, 1.001]),
        (Feature("a", "category", "", categories=("x", "y")), ["x", "y"], ["z", "X", 1, None]),
        (
            Feature("a", "category", "", categories=("x",), other=True),
            ["x", "anything"],
            [1, None, "x" * 201],
        ),
        (Feature("a", "category", ""), ["anything", ""], [1, None, True, "x" * 201]),
        (Feature("a", "integer", "", nullable=True), [None, 3], [1.5, "x"]),
    ],
)
def test_values_are_taken_strictly(feature: Feature, good: list[object], bad: list[object]) -> None:
    """Each kind takes its own values and no lookalikes."""
    adapter = row_adapter(_schema(feature))
    for value in good:
        assert adapter.validate_python({"a": value}) == {"a": value}
    for value in bad:
        with pytest.raises(ValidationError):
            adapter.validate_python({"a": value})


@pytest.mark.parametrize(
    ("feature", "sent", "row"),
    [
        (Feature("visits", "integer", ""), "4.0", 4),
        (Feature("visits", "integer", ""), "4e2", 400),
        (Feature("visits", "integer", "", nullable=True), "-0.0", 0),
        (Feature("new", "category", "", categories=("False", "True")), "true", "True"),
        (Feature("new", "category", "", categories=("false", "true")), "false", "false"),
        (Feature("new", "category", "", categories=("TRUE",), nullable=True), "true", "TRUE"),
        (Feature("new", "category", "", categories=("False", "True")), '"True"', "True"),
        (Feature("flag", "integer", "", 0, 1), "true", 1),
        (Feature("flag", "integer", "", 0, 1, nullable=True), "false", 0),
        (Feature("flag", "integer", "", 0, 1), "1.0", 1),
        (Feature("zip", "category", "", categories=("01234", "1234")), '"01234"', "01234"),
        (Feature("zip", "category", "", other=True), '"01234"', "01234"),
    ],
)
def test_json_has_its_own_words_for_some_values(feature: Feature, sent: str, row: object) -> None:
    """One kind of number, and booleans; a text stays as it is."""
    adapter = row_adapter(_schema(feature))
    text = f'{{"{feature.name}": {sent}}}'
    for value in (adapter.validate_json(text), adapter.validate_python(json.loads(text))):
        assert value == {feature.name: row}
        assert type(value[feature.name]) is type(row)


def test_booleans_are_for_boolean_features_only() -> None:
    """Others take no lookalike; the description says which."""
    for flag in (
        Feature("a", "category", "", categories=("False", "True")),
        Feature("a", "integer", "", 0, 1),
    ):
        described = row_adapter(_schema(flag)).json_schema()["properties"]["a"]["anyOf"]
        assert {"boolean"} <= {each.get("type") for each in described}
    for feature in (
        Feature("a", "integer", "", 0, 2),
        Feature("a", "number", "", 0, 1),
        Feature("a", "category", "", categories=("no", "yes")),
        Feature("a", "category", "", categories=("1", "true", "false")),
        Feature("a", "category", "", categories=("True",)),
    ):
        with pytest.raises(ValidationError):
            row_adapter(_schema(feature)).validate_json('{"a": false}')


def test_columns_may_have_any_name() -> None:
    """Names that Python or a model class could not carry work too."""
    for name in ("sepal length (cm)", "class", "model_config", "json", "", "ä"):
        assert row_adapter(_schema(Feature(name, "number", ""))).validate_python({name: 1.0})


def test_text_classes_are_taken_as_text() -> None:
    """A label is one of the schema's classes, in its own type."""
    reader = LabelReader(_schema(Feature("a", "number", ""), "setosa", "virginica"), 10)
    alone = {"prediction_id": "p", "label": "setosa"}
    assert at_once(reader.read(json.dumps(alone).encode())) == {"labels": [alone]}
    with pytest.raises(ApiError) as caught:
        at_once(reader.read(b'{"prediction_id": "p", "label": "rose"}'))
    problem = caught.value.detail[0]
    assert isinstance(problem, dict)
    assert problem["loc"] == ["body", "labels", 0, "label"]
    assert "virginica" in problem["msg"]

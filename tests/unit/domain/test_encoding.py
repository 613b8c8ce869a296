"""Encoding rows for the model and decoding its answers."""

from __future__ import annotations

import numpy as np
import pytest
from testbed_domain.encoding import column_names, decode, encode, fitted, width
from testbed_domain.errors import DomainError
from testbed_domain.features import Feature, FeatureSchema, Row
from testbed_domain.use_cases import get_use_case

MIXED = FeatureSchema(
    features=(
        Feature("age", "integer", "", 0, 120, nullable=True),
        Feature("port", "category", "", categories=("C", "S"), nullable=True),
        Feature("sex", "category", "", categories=("f", "m")),
        Feature("city", "category", "", categories=("Rome",), other=True),
        Feature("fare", "number", ""),
    ),
    target="t",
    classes=(0, 1),
)
SCHEMA = get_use_case("iris").schema


def test_columns_follow_the_schema() -> None:
    """The order of a row's keys does not matter, and None becomes NaN."""
    row = {"petal_width": 4, "petal_length": 3.5, "sepal_width": None, "sepal_length": 1}
    encoded = encode(SCHEMA, [row, row])
    assert encoded.dtype == np.float32
    np.testing.assert_array_equal(encoded, [[1, np.nan, 3.5, 4]] * 2)


def test_no_rows() -> None:
    """No rows keep the width of the schema."""
    assert encode(SCHEMA, []).shape == (0, 4)


def test_bad_rows_name_the_feature() -> None:
    """A missing feature and a text are reported by name."""
    good = dict.fromkeys(SCHEMA.names, 1.0)
    with pytest.raises(DomainError, match="lacks the feature 'sepal_length'"):
        encode(SCHEMA, [{}])
    with pytest.raises(DomainError, match="'petal_width' holds text"):
        encode(SCHEMA, [good, {**good, "petal_width": "wide"}])


def test_decode() -> None:
    """The most probable class wins, the first of equals, and no probability exceeds 1."""
    answers = decode(SCHEMA, np.array([[0.25, 0.5, 0.25], [0.5, 0.5, 0], [0, 0, 1.000001]]))
    assert [answer.index for answer in answers] == [1, 0, 2]
    assert answers[0].probabilities == {"setosa": 0.25, "versicolor": 0.5, "virginica": 0.25}
    assert [answer.probability for answer in answers] == [0.5, 0.5, 1.0]


def test_categories_and_missing_values_are_columns() -> None:
    """Known values have columns of their own, so has what is missing; other texts are none."""
    train = [{"age": age, "port": "C"} for age in (10, None, 30, 50)]
    schema = fitted(MIXED, train)
    assert [feature.fill for feature in schema.features] == [30.0, None, None, None, None]
    assert column_names(schema) == (
        "age", "age is missing", "port=C", "port=S", "port is missing", "sex=f", "sex=m",
        "city=Rome", "fare",
    )  # fmt: skip
    assert width(schema) == 9
    rows: list[Row] = [
        {"age": 4, "port": "S", "sex": "m", "city": "Rome", "fare": 1.5},
        {"age": None, "port": None, "sex": "f", "city": "Oslo", "fare": 2},
    ]
    np.testing.assert_array_equal(
        encode(schema, rows), [[4, 0, 0, 1, 0, 0, 1, 1, 1.5], [30, 1, 0, 0, 1, 1, 0, 0, 2]]
    )
    assert encode(schema, []).shape == (0, 9)


def test_the_encoding_outlives_a_round_trip() -> None:
    """What training found is in the schema that the artefact carries."""
    schema = fitted(MIXED, [{"age": 10}])
    read = FeatureSchema.from_dict(schema.to_dict())
    row = {"age": None, "port": "C", "sex": "m", "city": "Rome", "fare": 1.0}
    assert read == schema
    np.testing.assert_array_equal(encode(read, [row]), encode(schema, [row]))


def test_a_number_that_training_never_saw_has_a_stand_in() -> None:
    """A column that misses everywhere is encoded all the same."""
    schema = fitted(MIXED, [{"age": None}])
    assert schema.features[0].fill == 0.0


def test_bad_values_of_mixed_rows_name_the_feature() -> None:
    """Unknown categories, missing ones that may not, texts for numbers, and absent features."""
    schema = fitted(MIXED, [{"age": 1}])
    good: Row = {"age": 4, "port": "S", "sex": "m", "city": "Rome", "fare": 1.5}
    changes: list[tuple[Row, str]] = [
        ({"sex": "x"}, "'sex' holds the unknown category 'x'"),
        ({"sex": None}, "'sex' holds the unknown category None"),
        ({"fare": "much"}, "'fare' holds text"),
    ]
    for change, message in changes:
        with pytest.raises(DomainError, match=message):
            encode(schema, [{**good, **change}])
    with pytest.raises(DomainError, match="lacks the feature 'sex'"):
        encode(schema, [{name: value for name, value in good.items() if name != "sex"}])

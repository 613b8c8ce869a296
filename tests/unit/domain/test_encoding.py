"""Encoding rows for the model and decoding its answers."""

from __future__ import annotations

import numpy as np
import pytest
from testbed_domain.encoding import decode, encode
from testbed_domain.errors import DomainError
from testbed_domain.use_cases import get_use_case

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
    """A missing feature and a text are told by name."""
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

"""Packed rows say what the rows said."""

from __future__ import annotations

import math
from array import array
from typing import Any

import numpy as np
import pytest
from testbed_domain.logrows import Columns
from testbed_drift.quality.outcomes import Outcomes
from testbed_drift.rows.packing import ClassProbabilities, pack, packed


def _piece(first: int, features: dict[str, list[Any]], labels: list[str | None]) -> Columns:
    rows = len(labels)
    return Columns(
        features=features,
        prediction=["yes"] * rows,
        probability=[0.75] * rows,
        label=labels,
        id=[str(first + place) for place in range(rows)],
        time=[float(first + place) for place in range(rows)],
        probabilities=[{"yes": 0.75, "no": 0.25}] * rows,
        label_time=[None if label is None else 9.0 for label in labels],
    )


def test_pieces_are_put_together_oldest_first() -> None:
    """The pieces come newest first; times, features and labels stand in the order of time."""
    new = _piece(2, {"x": [3.5, 4.5], "c": ["b", "a"]}, [None, "no"])
    old = _piece(0, {"x": [1.5, None], "c": ["a", None]}, ["yes", None])
    found = packed(iter([new, old]))
    assert list(found.time) == [0.0, 1.0, 2.0, 3.0]
    assert list(found.features["c"]) == ["a", None, "b", "a"]
    np.testing.assert_equal(np.asarray(found.features["x"]), [1.5, math.nan, 3.5, 4.5])
    assert list(found.label) == ["yes", None, None, "no"]
    assert len(found) == 4
    assert list(packed([]).prediction) == []


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ([1.5, None, 2], "d"),
        ([1, 2, 3], "q"),
        ([1, None], None),
        ([True, False], None),
        ([1.5, "1.5"], None),
        ([2**80, 1], None),
        ([10**400, 1.5], None),
        ([None, None], None),
    ],
)
def test_only_numbers_become_arrays(values: list[Any], code: str | None) -> None:
    """Booleans, texts, and integers that miss some values stay what they are."""
    found = pack(values, {})
    assert (found.typecode if isinstance(found, array) else None) == code
    assert [None if value != value else value for value in found] == values  # noqa: PLR0124 - NaN


def test_integers_that_become_floats_in_another_piece_stay_numbers() -> None:
    """A column of integers in one piece, floats in the next and nothing in a third is one array."""
    pieces = [
        _piece(4, {"x": [None, None]}, [None] * 2),
        _piece(2, {"x": [1, 2]}, [None] * 2),
        _piece(0, {"x": [0.5, 1.5]}, [None] * 2),
    ]
    found = packed(pieces).features["x"]
    np.testing.assert_equal(np.asarray(found), [0.5, 1.5, 1.0, 2.0, math.nan, math.nan])
    mixed = packed([_piece(2, {"x": ["new", 1]}, [None] * 2), pieces[1]]).features["x"]
    assert list(mixed) == [1, 2, "new", 1]


def test_equal_texts_are_kept_once() -> None:
    """Texts that every row brings anew are one object afterwards."""
    texts = [b"red".decode() for _ in range(3)]
    assert texts[0] is not texts[1]
    found = pack(texts, {})
    assert found[0] is found[1] is found[2]


def test_outcomes_of_packed_rows_are_those_of_the_rows() -> None:
    """Probabilities, labels and delays are the same, packed or not."""
    rows = _piece(0, {"x": [1.0, 2.0, 3.0]}, ["yes", None, "no"])
    plain, small = (Outcomes.of(one, ("no", "yes"), "yes") for one in (rows, packed([rows])))
    np.testing.assert_equal(small.probabilities, plain.probabilities)
    np.testing.assert_equal(small.label, plain.label)
    np.testing.assert_equal(small.delay, plain.delay)
    assert small.delay[1] != small.delay[1]


def test_rows_of_different_classes_stay_rows() -> None:
    """Where a row leaves a class out, the probabilities are kept as they are."""
    rows = _piece(0, {}, [None, None])
    odd = Columns({}, ["a"], [1.0], [None], ["9"], [9.0], [{"a": 1.0}], [None])
    assert isinstance(packed([rows]).probabilities, ClassProbabilities)
    assert packed([rows]).probabilities[-1] == {"yes": 0.75, "no": 0.25}
    assert list(packed([odd, rows]).probabilities) == [*rows.probabilities, {"a": 1.0}]

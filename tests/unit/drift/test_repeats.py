"""Repeated rows: counted exactly, whatever the values are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from testbed_drift.quality.data import _key
from testbed_drift.rows import repeats
from testbed_drift.rows.repeats import repeated

VALUES: list[Any] = [None, math.nan, 0.0, -0.0, 1, 1.0, True, "a", "1", [1], 2**60, 2**60 + 1]


def _slowly(columns: list[list[Any]]) -> float:
    rows = [tuple(map(_key, row)) for row in zip(*columns, strict=True)]
    return 1 - len(set(rows)) / len(rows)


@pytest.mark.parametrize("seed", range(20))
def test_share_is_that_of_comparing_all_rows(seed: int) -> None:
    """Numbers, texts, missing values and lists in any mixture give the share of a plain count."""
    rng = np.random.default_rng(seed)
    chosen = [rng.choice(len(VALUES), 4) for _ in range(2)]
    columns = [[VALUES[place] for place in rng.choice(few, 12)] for few in chosen]
    columns.append(rng.choice([0.5, -0.0, 0.0, math.nan], 12).tolist())
    assert repeated(columns, _key) == pytest.approx(_slowly(columns))


def test_rows_that_only_look_alike_are_distinguished(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where different rows get the same number, they are compared value by value."""
    monkeypatch.setattr(repeats, "_mixed", np.zeros_like)
    columns: list[list[object]] = [[1.0, 2.0, 1.0, 3.0], ["a", "a", "a", "a"]]
    assert repeated(columns, _key) == 0.25


def test_no_rows_repeat_nothing() -> None:
    """Without rows, or without columns, nothing is known."""
    assert repeated([], _key) is None
    assert repeated([[], []], _key) is None
    assert repeated([[1.0, 1.0]], _key) == 0.5

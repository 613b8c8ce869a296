"""Copies of rows: counted once, on one side of each split, distinguished from chance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from testbed_drift.evaluation.detection import Detector
from testbed_drift.relations.classifiers import folds
from testbed_drift.relations.copies import Distinct
from testbed_drift.relations.domains import distinguish
from testbed_drift.rows.columns import ColumnKind
from testbed_drift.rows.frames import declare

KINDS: dict[str, ColumnKind] = {f"n{place}": "numeric" for place in range(5)}


def _rows(seed: int, rows: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({name: rng.normal(0, 1, rows) for name in KINDS})


def test_copies_count_once() -> None:
    """A window in which every row comes twice is half as large; the reference stays."""
    before, once = _rows(1, 400), _rows(2, 200)
    found = Distinct.of(before, pd.concat([once, once], ignore_index=True), KINDS)
    assert (len(found.reference), len(found.current)) == (400, 200)
    assert found.groups is not None


def test_rows_of_few_categories_are_no_copies() -> None:
    """What is equal by chance is equal as often across the windows as within them."""
    rng = np.random.default_rng(1)
    before, now = (
        pd.DataFrame({"a": rng.choice([*"abc"], rows), "b": rng.choice([*"xy"], rows)})
        for rows in (600, 300)
    )
    found = Distinct.of(before, now, ["a", "b"])
    assert (len(found.reference), len(found.current), found.groups) == (600, 300, None)


def test_equal_rows_are_in_one_fold() -> None:
    """And the folds hold as many of every label as without groups, or one more."""
    groups = np.concatenate([np.arange(100), np.arange(100)])
    labels = np.repeat([0, 1], 100)
    found = folds(labels, 2, np.random.default_rng(1), groups)
    assert (found[:100] == found[100:]).all()
    assert np.bincount(found).tolist() == [100, 100]


@pytest.mark.parametrize("seed", range(6))
def test_a_window_with_repeats_is_not_distinguished(seed: int) -> None:
    """Whether every row comes twice, or four of ten rows are copies."""
    before, once = _rows(100 + seed, 1500), _rows(200 + seed, 300)
    some = once.iloc[np.random.default_rng(seed).integers(0, 300, 200)]
    for now in (pd.concat([once, once]), pd.concat([once, some])):
        assert not distinguish(before, now.reset_index(drop=True), KINDS).drifted


def test_rows_of_the_reference_are_not_distinguished() -> None:
    """Both windows hold the same rows: what one half teaches says nothing of the other."""
    rows = _rows(1, 800)
    found = distinguish(rows, rows.sample(frac=1, random_state=1, ignore_index=True), KINDS)
    assert found.comparison is not None
    assert found.comparison.effect.value == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("seed", range(4))
def test_copies_are_no_further_witnesses_of_a_column(seed: int) -> None:
    """The p-value is that of the rows without their copies; the effect is that of all."""
    before, once = (declare(frame, KINDS) for frame in (_rows(seed, 1500), _rows(50 + seed, 200)))
    twice = pd.concat([once, once], ignore_index=True)
    detector = Detector(KINDS)
    single, double = (detector.detect(before, now).scores for now in (once, twice))
    for one, other in zip(single.columns, double.columns, strict=True):
        (alone,), (copied,) = one.comparisons, other.comparisons
        assert copied.effect.value == pytest.approx(alone.effect.value)
        assert copied.test.value == pytest.approx(alone.test.value, rel=0.2)

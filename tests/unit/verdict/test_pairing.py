"""A category that nobody knew: rows against those that were drawn, without a run."""

from __future__ import annotations

import numpy as np
import pytest
from testbed.facts.driftwords import NOTHING, effect_of
from testbed.facts.expectation import ReferenceRows, SeriesExpectation
from testbed.facts.pairing import compare
from testbed.facts.tables import Tabulator
from testbed_domain.features import Feature, FeatureSchema, Row

SCHEMA = FeatureSchema(
    features=(
        Feature("size", "number", "A size."),
        Feature("shop", "category", "A shop.", categories=("x", "y"), other=True),
    ),
    target="outcome",
    classes=(0, 1),
    positive_class=1,
)
ROWS = 512


def wrong(ratio: float, value: str, severity: float) -> set[str]:
    """What is wrong with rows of which a share has another shop; at a level of 1 in 2,000."""
    rng = np.random.default_rng(1)
    drawn: list[Row] = [
        {"size": float(rng.normal()), "shop": str(rng.choice(["x", "y"]))} for _ in range(ROWS)
    ]
    sent = [{**row, "shop": value} if rng.random() < ratio else row for row in drawn]
    tabulator = Tabulator(SCHEMA)
    reference = ReferenceRows(tabulator, tabulator(drawn, [0] * ROWS), drawn_from=True)
    effect = effect_of("new_category", severity, SCHEMA) or NOTHING
    pairs = compare(
        tabulator(sent, [0] * ROWS),
        reference.table,
        np.arange(ROWS),
        SeriesExpectation(reference, effect),
        8.0,
        np.ones(ROWS, bool),
    )
    return set(pairs.wrong) | {each.what for each in pairs.quantities if each.deviates}


def test_new_values_are_those_that_the_drift_makes() -> None:
    """Three in ten at severity 1."""
    assert wrong(0.3, "never seen before", 1.0) == set()
    assert wrong(0.15, "never seen before", 0.5) == set()


@pytest.mark.parametrize(
    ("ratio", "value", "found"),
    [
        (0.0, "never seen before", {"share of the values that were moved"}),
        (0.6, "never seen before", {"share of the values that were moved"}),
        (0.3, "another", {"shop"}),
    ],
)
def test_other_values_are_not(ratio: float, value: str, found: set[str]) -> None:
    """Too few, too many, or others."""
    assert found <= wrong(ratio, value, 1.0)

"""Detection on mixed rows: drifts of categories and of missing values, as the load makes them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from testbed_domain.use_cases import get_use_case
from testbed_drift.evaluation.detection import Detector
from testbed_drift.rows.columns import PREDICTION
from testbed_drift.rows.frames import declare, kinds_of
from testbed_drift.scoring.scores import DriftScores
from testbed_load.drifts import apply
from testbed_load.statistics import reference_statistics

TITANIC = get_use_case("titanic")
# As a schema that was learnt from a table may have it: Embarked takes unknown texts, too.
SCHEMA = replace(
    TITANIC.schema,
    features=tuple(replace(f, other=f.name == "Embarked") for f in TITANIC.schema.features),
)
KINDS = kinds_of(SCHEMA)


def _scores(drift: str | None, seed: int = 1, severity: float = 1.0) -> DriftScores:
    """2,000 reference rows against 500, drifted as named."""
    generator = TITANIC.generator
    assert generator is not None
    reference, before = generator.sample(np.random.default_rng(0), 2000)
    rows, labels = generator.sample(np.random.default_rng(seed), 500)
    if drift is not None:
        rows, labels = apply(
            drift,
            rows,
            labels,
            severity=severity,
            schema=SCHEMA,
            statistics=reference_statistics(SCHEMA, reference),
            rng=np.random.default_rng(seed),
        )
    frames = [
        declare(pd.DataFrame(part).assign(**{PREDICTION: truth}), KINDS)
        for part, truth in ((reference, before), (rows, labels))
    ]
    return Detector(KINDS).detect(*frames).scores


@pytest.mark.parametrize(
    ("drift", "columns"),
    [
        ("category_shift", {"Sex", "Embarked"}),
        ("missing", {"Age", "Embarked"}),
        ("swapped_unit", {"Age"}),
        ("stuck_sensor", {"Age"}),
        ("new_category", {"Embarked"}),
        ("covariate_shift", {"Pclass", "Sex", "Age", "SibSp", "Parch", "Embarked"}),
    ],
)
def test_the_changed_columns_are_found_and_no_other(drift: str, columns: set[str]) -> None:
    """Categories by their shares, missing values by theirs, numbers by their distance."""
    assert set(_scores(drift).drifted_columns) == columns


@pytest.mark.parametrize(
    ("drift", "column"),
    [("swapped_unit", "Age"), ("stuck_sensor", "Age"), ("new_category", "Embarked")],
)
@pytest.mark.parametrize("seed", range(1, 6))
def test_a_source_that_fails_in_half_of_the_rows_is_found(
    drift: str, column: str, seed: int
) -> None:
    """Each of 5 windows of 500 rows, against 2,000; of new values that is 15 % of the rows."""
    assert _scores(drift, seed, severity=0.5).drifted_columns == (column,)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_mixed_rows_without_drift_give_no_alarm(seed: int) -> None:
    """Missing values on both sides are no drift."""
    assert _scores(None, seed).drifted_columns == ()

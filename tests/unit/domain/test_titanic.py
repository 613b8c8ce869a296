"""The Titanic use case: its generator against its stated truth, and passenger lists."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from testbed_domain.dataset import DataError, read_file
from testbed_domain.training import TrainingOptions, train
from testbed_domain.use_cases import get_use_case
from testbed_domain.use_cases.titanic import FORMULA, SCHEMA, probability, sample

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testbed_domain.features import Row
    from testbed_domain.use_cases import Sample

    from tests.support.datafiles import DataFile

TITANIC = get_use_case("titanic")
N = 20_000


@pytest.fixture(scope="module")
def drawn() -> Sample:
    """20,000 rows; a share of one half then has a standard error of 0.0035."""
    return sample(np.random.default_rng(11), N)


def test_same_seed_same_rows() -> None:
    """The generator uses nothing but the random generator it is given."""
    first = sample(np.random.default_rng(3), 50)
    assert first == sample(np.random.default_rng(3), 50)
    assert first != sample(np.random.default_rng(4), 50)


def test_shares_near_the_passenger_list(drawn: Sample) -> None:
    """Survival, sex, missing ages and ports lie near the shares of the 891 real rows."""
    rows, labels = drawn

    def ratio(holds: Callable[[Row], bool]) -> float:
        return float(np.mean([holds(row) for row in rows]))

    assert np.mean([label == "survived" for label in labels]) == pytest.approx(0.384, abs=0.02)
    assert ratio(lambda row: row["Sex"] == "male") == pytest.approx(0.648, abs=0.015)
    assert ratio(lambda row: row["Pclass"] == 3) == pytest.approx(0.551, abs=0.015)
    assert ratio(lambda row: row["Age"] is None) == pytest.approx(0.199, abs=0.015)
    assert ratio(lambda row: row["Embarked"] is None) == pytest.approx(0.002, abs=0.002)
    assert ratio(lambda row: row["Embarked"] == "S") == pytest.approx(0.723, abs=0.02)


def test_labels_follow_the_formula(drawn: Sample) -> None:
    """Among rows of like probability, the share of survivors is that probability."""
    truth = probability(drawn[0])
    labels = np.array([label == "survived" for label in drawn[1]])
    for low in np.arange(0.0, 1.0, 0.1):
        band = (truth >= low) & (truth < low + 0.1)
        if band.sum():
            error = math.sqrt(0.25 / band.sum())
            assert labels[band].mean() == pytest.approx(truth[band].mean(), abs=4 * error)
    assert np.maximum(truth, 1 - truth).mean() == pytest.approx(0.80, abs=0.015)


def test_formula_by_hand() -> None:
    """The documented example, computed by hand; a missing age counts as 28."""
    row = {feature.name: feature.example for feature in SCHEMA.features}
    assert "-1.0 + 2.75 (Sex = female) + -1.15 (Pclass - 2) + -0.04 (Age - 28)" in FORMULA
    logit = -1.0 - 1.15 - 0.04 * (22 - 28) - 0.25
    assert probability([row])[0] == pytest.approx(1 / (1 + math.exp(-logit)))
    assert probability([{**row, "Age": None}])[0] == probability([{**row, "Age": 28}])[0]


def test_values_fit_the_schema(drawn: Sample) -> None:
    """Nothing lies outside of what a request may carry."""
    for feature in SCHEMA.features:
        values = [row[feature.name] for row in drawn[0] if row[feature.name] is not None]
        assert feature.nullable or len(values) == N
        if feature.kind == "category":
            assert set(values) == set(feature.categories)
        else:
            numbers = [value for value in values if isinstance(value, int | float)]
            assert feature.minimum is not None
            assert feature.maximum is not None
            assert feature.minimum <= min(numbers)
            assert max(numbers) <= feature.maximum


def test_reads_a_passenger_list(titanic_file: DataFile) -> None:
    """All 891 rows come, missing values as None and the target as words."""
    data = read_file(TITANIC, titanic_file.path)
    assert len(data.rows) == titanic_file.rows == 891
    assert data.rows[0] == titanic_file.first
    for name in ("Age", "Embarked"):
        assert sum(row[name] is None for row in data.rows) == titanic_file.missing[name] > 0
    assert data.labels.count("survived") == titanic_file.positives


def test_the_model_of_a_passenger_list_is_good(titanic_file: DataFile, tmp_path: Path) -> None:
    """A forest on such rows reaches what it usually reaches on the real ones (0.78 to 0.86)."""
    artefact = train(TITANIC, titanic_file.path, 0, tmp_path / "m", TrainingOptions(50, 8))
    assert artefact.metrics["accuracy"] > 0.74
    assert artefact.metrics["onnx_agreement"] == 1.0
    ages = [feature.fill for feature in artefact.schema.features if feature.name == "Age"]
    assert ages == [pytest.approx(28, abs=2)]


def test_unknown_categories_of_a_file_are_named(tmp_path: Path) -> None:
    """A category that the schema does not know is refused, unless the schema takes others."""
    header = ",".join((*SCHEMA.names, "Survived"))
    lines = [header, *(f"1,male,3,0,0,1,{'SX'[n == 5]},{n % 2}" for n in range(24))]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match="column Embarked, data row 6: 'X' is not one of C, Q, S"):
        read_file(TITANIC, path)
    port = replace(SCHEMA.features[6], other=True)
    schema = replace(SCHEMA, features=(*SCHEMA.features[:6], port))
    assert read_file(replace(TITANIC, schema=schema), path).rows[5]["Embarked"] == "X"

"""Use cases: the registry, and the diabetes generator against its stated truth."""

from __future__ import annotations

import csv
import math
from statistics import median, stdev
from typing import TYPE_CHECKING

import numpy as np
import pytest
from testbed_domain.errors import DomainError
from testbed_domain.use_cases import USE_CASES, get_use_case
from testbed_domain.use_cases.diabetes import FORMULA, SCHEMA, probability, sample

if TYPE_CHECKING:
    from testbed_domain.use_cases import Sample

    from tests.support.datafiles import DataFile

N = 20_000
#: Median and standard deviation of each column of the 768 real rows.
REAL_MARGINALS = {
    "Pregnancies": (3.0, 3.370),
    "Glucose": (117.0, 31.973),
    "BloodPressure": (72.0, 19.356),
    "SkinThickness": (23.0, 15.952),
    "Insulin": (30.5, 115.244),
    "BMI": (32.0, 7.884),
    "DiabetesPedigreeFunction": (0.3725, 0.331),
    "Age": (29.0, 11.760),
}


@pytest.fixture(scope="module")
def drawn() -> Sample:
    """20,000 rows; a share of one half then has a standard error of 0.0035."""
    return sample(np.random.default_rng(11), N)


def _column(drawn: Sample, name: str) -> np.ndarray:
    return np.array([row[name] for row in drawn[0]], dtype=float)


def test_unknown_name_lists_the_known() -> None:
    """The error for an unknown use case names those there are."""
    with pytest.raises(DomainError, match="'titanik'; choose one of: churn, diabetes, iris"):
        get_use_case("titanik")


@pytest.mark.parametrize("name", sorted(USE_CASES))
def test_examples_lie_within_their_bounds(name: str) -> None:
    """The example of every feature is a value that the schema itself allows."""
    for feature in get_use_case(name).schema.features:
        if feature.kind == "category":
            assert feature.example in feature.categories
            continue
        assert isinstance(feature.example, int | float)
        assert feature.minimum is not None
        assert feature.maximum is not None
        assert feature.minimum <= feature.example <= feature.maximum


def test_pima_columns_and_target() -> None:
    """The columns carry the data set's own names, in its order."""
    assert ",".join((*SCHEMA.names, SCHEMA.target)) == (
        "Pregnancies,Glucose,BloodPressure,SkinThickness,Insulin,BMI,DiabetesPedigreeFunction,"
        "Age,Outcome"
    )


def test_same_seed_same_rows() -> None:
    """The generator uses nothing but the random generator it is given."""
    first = sample(np.random.default_rng(3), 50)
    assert first == sample(np.random.default_rng(3), 50)
    assert first != sample(np.random.default_rng(4), 50)


def test_base_rate_and_best_accuracy(drawn: Sample) -> None:
    """About 35 % are positive, and the best classifier would be right in about 86 %."""
    truth = probability(drawn[0])
    assert np.array(drawn[1]).mean() == pytest.approx(0.35, abs=0.015)
    assert np.maximum(truth, 1 - truth).mean() == pytest.approx(0.863, abs=0.01)


def test_labels_follow_the_formula(drawn: Sample) -> None:
    """Among rows of like probability, the share of positives is that probability."""
    truth, labels = probability(drawn[0]), np.array(drawn[1])
    for low in np.arange(0.0, 1.0, 0.1):
        band = (truth >= low) & (truth < low + 0.1)
        error = math.sqrt(0.25 / band.sum())
        assert labels[band].mean() == pytest.approx(truth[band].mean(), abs=4 * error)


def test_formula_by_hand() -> None:
    """The probability of the documented example, computed by hand from the formula's text."""
    row = {feature.name: feature.example for feature in SCHEMA.features}
    assert "-1.963 + 0.075 (Glucose - 117) + 0.15 (BMI - 32) + 0.0525 (Age - 29)" in FORMULA
    assert "1.8 (DiabetesPedigreeFunction - 0.37) + 0.15 (Pregnancies - 3)" in FORMULA
    logit = -1.963 + 0.075 * 31 + 0.15 * 1.6 + 0.0525 * 21 + 1.8 * 0.257 + 0.15 * 3
    assert probability([row])[0] == pytest.approx(1 / (1 + math.exp(-logit)))


def test_columns_depend_on_each_other(drawn: Sample) -> None:
    """The strong pairs of the data set are strong here, and an unrelated pair is not."""

    def correlation(first: str, second: str) -> float:
        return float(np.corrcoef(_column(drawn, first), _column(drawn, second))[0, 1])

    assert correlation("Pregnancies", "Age") > 0.4
    assert correlation("SkinThickness", "BMI") > 0.2
    assert correlation("Glucose", "Insulin") > 0.2
    assert abs(correlation("Pregnancies", "DiabetesPedigreeFunction")) < 0.05


def test_unmeasured_values(drawn: Sample) -> None:
    """Zeros stand for missing measurements in the shares of the data set."""
    skin, insulin = _column(drawn, "SkinThickness"), _column(drawn, "Insulin")
    assert (skin == 0).mean() == pytest.approx(0.30, abs=0.015)
    assert (insulin == 0).mean() == pytest.approx(0.49, abs=0.015)
    assert (insulin[skin == 0] == 0).all()


def test_values_fit_the_schema(drawn: Sample) -> None:
    """Whole-number columns hold ints, and nothing lies outside of what a request may carry."""
    for feature in SCHEMA.features:
        kind = int if feature.kind == "integer" else float
        values = [row[feature.name] for row in drawn[0]]
        assert {type(value) for value in values} == {kind}
        column = _column(drawn, feature.name)
        assert feature.minimum is not None
        assert feature.maximum is not None
        assert feature.minimum <= column.min()
        assert column.max() <= feature.maximum


def test_marginals_near_the_real_data(drawn: Sample) -> None:
    """Median and spread of each column lie near those of the 768 real rows."""
    for name in SCHEMA.names:
        median, deviation = REAL_MARGINALS[name]
        column = _column(drawn, name)
        assert np.median(column) == pytest.approx(median, abs=0.15 * deviation)
        # Blood pressure is narrower: its real spread comes from 35 impossible zeros.
        assert 0.6 < column.std() / deviation < 1.25


@pytest.mark.parametrize("diabetes_file", ["real"], indirect=True)
def test_what_is_said_of_the_real_data(diabetes_file: DataFile) -> None:
    """Medians and standard deviations are those of the file."""
    with diabetes_file.path.open(encoding="utf-8") as file:
        real = list(csv.DictReader(file))
    for name, said in REAL_MARGINALS.items():
        values = [float(row[name]) for row in real]
        assert said == pytest.approx((median(values), stdev(values)), rel=1e-3)

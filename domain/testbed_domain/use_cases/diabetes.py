"""Pima diabetes: eight measurements, and whether diabetes was found within five years.

The generator follows the published data set in columns, ranges, marginals and correlations, not
row by row. Dependence is a Gaussian copula: eight standard normals with the correlations below,
each mapped to its column by a monotone function. As in the data set, 0 stands for "not measured"
in SkinThickness (30 %) and Insulin (49 %; never measured without SkinThickness).

The label is drawn from a logistic formula of the finished columns (:data:`FORMULA`), so the truth
is known exactly: the base rate is 35 %, and no classifier can exceed an accuracy of about 0.863.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from testbed_domain.features import Feature, FeatureSchema, Kpi, Row
from testbed_domain.use_cases.base import USE_CASES, Generator, Sample, UseCase

if TYPE_CHECKING:
    from collections.abc import Sequence

SCHEMA: Final = FeatureSchema(
    features=(
        Feature("Pregnancies", "integer", "Number of pregnancies.", 0, 50, example=6),
        Feature("Glucose", "number", "Plasma glucose after 2 hours, mg/dl.", 0, 1000, example=148),
        Feature("BloodPressure", "number", "Diastolic, mm Hg.", 0, 300, example=72),
        Feature(
            "SkinThickness", "number", "Triceps fold, mm; 0: not measured.", 0, 300, example=35
        ),
        Feature(
            "Insulin", "number", "Serum insulin, mu U/ml; 0: not measured.", 0, 5000, example=0
        ),
        Feature("BMI", "number", "Body mass index, kg/m².", 0, 200, example=33.6),
        Feature(
            "DiabetesPedigreeFunction", "number", "Score of family history.", 0, 20, example=0.627
        ),
        Feature("Age", "integer", "Age in years.", 0, 150, example=50),
    ),
    target="Outcome",
    classes=(0, 1),
    positive_class=1,
    kpis=(
        Kpi(
            "expected_cost",
            "Cost of wrong decisions, in follow-up visits: 10 if a case is missed, 1 if none was.",
            ((0, 1, 10.0), (1, 0, 1.0)),
        ),
    ),
)

# Correlations of the underlying normals, near the rank correlations of the data set's measured
# values. Pairs left out are 0.
_CORRELATIONS: Final = {
    ("Pregnancies", "Glucose"): 0.12,
    ("Pregnancies", "BloodPressure"): 0.18,
    ("Pregnancies", "Age"): 0.60,
    ("Glucose", "BloodPressure"): 0.25,
    ("Glucose", "SkinThickness"): 0.20,
    ("Glucose", "Insulin"): 0.60,
    ("Glucose", "BMI"): 0.22,
    ("Glucose", "DiabetesPedigreeFunction"): 0.10,
    ("Glucose", "Age"): 0.28,
    ("BloodPressure", "SkinThickness"): 0.22,
    ("BloodPressure", "Insulin"): 0.12,
    ("BloodPressure", "BMI"): 0.30,
    ("BloodPressure", "Age"): 0.37,
    ("SkinThickness", "Insulin"): 0.22,
    ("SkinThickness", "BMI"): 0.65,
    ("SkinThickness", "Age"): 0.15,
    ("Insulin", "BMI"): 0.28,
    ("Insulin", "DiabetesPedigreeFunction"): 0.12,
    ("Insulin", "Age"): 0.22,
    ("BMI", "DiabetesPedigreeFunction"): 0.14,
    ("BMI", "Age"): 0.10,
}

# Shares of rows without a measurement; Insulin: of those that have SkinThickness.
_NO_SKIN: Final = 0.30
_NO_INSULIN: Final = 0.27

# Column -> (centre, weight): the logit is the intercept plus the sum of weight * (value - centre).
_INTERCEPT: Final = -1.963
_WEIGHTS: Final = {
    "Glucose": (117.0, 0.075),
    "BMI": (32.0, 0.15),
    "Age": (29.0, 0.0525),
    "DiabetesPedigreeFunction": (0.37, 1.8),
    "Pregnancies": (3.0, 0.15),
}

FORMULA: Final = f"P(Outcome=1) = 1 / (1 + exp(-z)), z = {_INTERCEPT} + " + " + ".join(
    f"{weight} ({name} - {centre:g})" for name, (centre, weight) in _WEIGHTS.items()
)


def _cholesky() -> np.ndarray:
    names = SCHEMA.names
    matrix = np.eye(len(names))
    for (first, second), value in _CORRELATIONS.items():
        i, j = names.index(first), names.index(second)
        matrix[i, j] = matrix[j, i] = value
    return np.linalg.cholesky(matrix)


_CHOLESKY: Final = _cholesky()


def _logistic(columns: dict[str, np.ndarray]) -> np.ndarray:
    logit = _INTERCEPT + sum(
        weight * (columns[name] - centre) for name, (centre, weight) in _WEIGHTS.items()
    )
    return np.asarray(1.0 / (1.0 + np.exp(-logit)))


def _columns(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    z = dict(
        zip(
            SCHEMA.names, (rng.standard_normal((n, len(SCHEMA.names))) @ _CHOLESKY.T).T, strict=True
        )
    )
    no_skin = rng.random(n) < _NO_SKIN
    no_insulin = no_skin | (rng.random(n) < _NO_INSULIN)
    skin = np.clip(np.rint(29 + 10.5 * z["SkinThickness"]), 7, 99)
    insulin = np.clip(np.rint(125 * np.exp(0.68 * z["Insulin"])), 14, 846)
    pedigree = 0.37 * np.exp(0.62 * z["DiabetesPedigreeFunction"])
    return {
        "Pregnancies": np.clip(np.floor(3.9 * np.exp(0.7 * z["Pregnancies"]) - 0.7), 0, 17),
        "Glucose": np.clip(np.rint(117 * np.exp(0.25 * z["Glucose"])), 44, 199),
        "BloodPressure": np.clip(np.rint(72 + 12 * z["BloodPressure"]), 24, 122),
        "SkinThickness": np.where(no_skin, 0.0, skin),
        "Insulin": np.where(no_insulin, 0.0, insulin),
        "BMI": np.clip(np.round(31.7 * np.exp(0.21 * z["BMI"]), 1), 18.2, 67.1),
        "DiabetesPedigreeFunction": np.clip(np.round(pedigree, 3), 0.078, 2.42),
        "Age": np.clip(np.floor(21 + 8 * np.exp(1.05 * z["Age"])), 21, 81),
    }


def sample(rng: np.random.Generator, n: int) -> Sample:
    """Draw ``n`` rows and their labels (0 or 1)."""
    columns = _columns(rng, n)
    labels = (rng.random(n) < _logistic(columns)).astype(int).tolist()
    values = [
        (columns[f.name].astype(int) if f.kind == "integer" else columns[f.name]).tolist()
        for f in SCHEMA.features
    ]
    rows: list[Row] = [
        dict(zip(SCHEMA.names, row, strict=True)) for row in zip(*values, strict=True)
    ]
    return rows, labels


def probability(rows: Sequence[Row]) -> np.ndarray:
    """P(Outcome=1 | row) by :data:`FORMULA`, shape ``[n]``; drifted rows included."""
    return _logistic({name: np.array([row[name] for row in rows], float) for name in _WEIGHTS})


DIABETES: Final = USE_CASES.register(
    UseCase(
        name="diabetes",
        title="Pima diabetes",
        schema=SCHEMA,
        generator=Generator(sample, probability, FORMULA),
        columns=MappingProxyType(
            {
                # As on OpenML.
                "preg": "Pregnancies",
                "plas": "Glucose",
                "pres": "BloodPressure",
                "skin": "SkinThickness",
                "insu": "Insulin",
                "mass": "BMI",
                "pedi": "DiabetesPedigreeFunction",
                "age": "Age",
                "class": "Outcome",
            }
        ),
        labels=MappingProxyType({"tested_negative": 0, "tested_positive": 1}),
    )
)

"""Progression of diabetes: ten measurements, and a number that says how far the disease went.

442 patients, inside scikit-learn (``load_diabetes``; Efron et al. 2004, "Least Angle Regression"),
in the units of the measurements. The target is a quantitative measure of the disease a year later,
25 to 346, so this use case is a regression.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from testbed_domain.features import Feature, FeatureSchema
from testbed_domain.use_cases.base import USE_CASES, UseCase


def _number(name: str, text: str, maximum: float, example: float) -> Feature:
    return Feature(name, "number", text, 0, maximum, example=example)


SCHEMA: Final = FeatureSchema(
    features=(
        _number("bmi", "Body mass index, kg/m².", 200, 32.1),
        Feature("age", "integer", "Age in years.", 0, 150, example=59),
        Feature("sex", "integer", "1 or 2, as in the data.", 1, 2, example=2),
        _number("bp", "Average blood pressure, mm Hg.", 300, 101.0),
        _number("s1", "Total serum cholesterol, mg/dl.", 1000, 157.0),
        _number("s2", "Low-density lipoproteins, mg/dl.", 1000, 93.2),
        _number("s3", "High-density lipoproteins, mg/dl.", 500, 38.0),
        _number("s4", "Total cholesterol by HDL.", 50, 4.0),
        _number("s5", "Logarithm of serum triglycerides.", 20, 4.8598),
        _number("s6", "Blood sugar, mg/dl.", 1000, 87.0),
    ),
    target="progression",
    classes=(),
    task="regression",
)

PROGRESSION: Final = USE_CASES.register(
    UseCase(
        name="progression",
        title="Progression of diabetes",
        schema=SCHEMA,
        bundled="diabetes",
        bundled_options=MappingProxyType({"scaled": False}),
        columns=MappingProxyType({"target": "progression", "Y": "progression"}),
    )
)

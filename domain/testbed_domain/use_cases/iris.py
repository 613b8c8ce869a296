"""Iris: three species by four measurements, 150 flowers, inside scikit-learn."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from testbed_domain.features import Feature, FeatureSchema, mistakes
from testbed_domain.use_cases.base import USE_CASES, UseCase

SPECIES: Final = ("setosa", "versicolor", "virginica")


def _length(name: str, example: float) -> Feature:
    text = f"{name.replace('_', ' ').capitalize()} in centimetres."
    return Feature(name, "number", text, minimum=0, maximum=100, example=example)


IRIS: Final = USE_CASES.register(
    UseCase(
        name="iris",
        title="Iris species",
        schema=FeatureSchema(
            features=(
                _length("sepal_length", 5.1),
                _length("sepal_width", 3.5),
                _length("petal_length", 1.4),
                _length("petal_width", 0.2),
            ),
            target="species",
            classes=SPECIES,
            kpis=(mistakes("wrong_decisions", "Flowers given a wrong species.", SPECIES),),
        ),
        bundled="iris",
        columns=MappingProxyType(
            {
                # scikit-learn, OpenML, and the CSV that goes around most.
                "sepal length (cm)": "sepal_length",
                "sepal width (cm)": "sepal_width",
                "petal length (cm)": "petal_length",
                "petal width (cm)": "petal_width",
                "sepallength": "sepal_length",
                "sepalwidth": "sepal_width",
                "petallength": "petal_length",
                "petalwidth": "petal_width",
                "SepalLengthCm": "sepal_length",
                "SepalWidthCm": "sepal_width",
                "PetalLengthCm": "petal_length",
                "PetalWidthCm": "petal_width",
                "class": "species",
                "Species": "species",
            }
        ),
        labels=MappingProxyType(
            {
                "Iris-setosa": "setosa",
                "Iris-versicolor": "versicolor",
                "Iris-virginica": "virginica",
            }
        ),
    )
)

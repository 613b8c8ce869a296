"""Titanic: who survived, by class, sex, age, company, fare and port; mixed, with missing values.

The generator follows the published passenger list (891 rows) in shares, medians and the strong
dependences, not row by row: class decides sex, age, fare, port, and how often the age is missing.
Ages are missing for 20 % of the rows and ports for 0.2 %, both without regard to survival. The
label is drawn from a logistic formula of the finished columns (:data:`FORMULA`), in which a missing
age counts as :data:`UNKNOWN_AGE`, so the truth is known exactly: about 38 % survive, and no
classifier can exceed an accuracy of about 0.80.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from testbed_domain.features import Feature, FeatureSchema, Kpi, ReplyField, Row
from testbed_domain.use_cases.base import USE_CASES, Generator, Sample, UseCase

if TYPE_CHECKING:
    from collections.abc import Sequence

DIED: Final = "died"
SURVIVED: Final = "survived"
PORTS: Final = ("C", "Q", "S")

SCHEMA: Final = FeatureSchema(
    features=(
        Feature("Pclass", "integer", "Ticket class, 1 to 3.", 1, 3, example=3),
        Feature("Sex", "category", "Sex.", categories=("female", "male"), example="male"),
        Feature("Age", "number", "Age in years.", 0, 120, nullable=True, example=22),
        Feature("SibSp", "integer", "Siblings and spouses aboard.", 0, 20, example=1),
        Feature("Parch", "integer", "Parents and children aboard.", 0, 20, example=0),
        Feature("Fare", "number", "Fare in pounds.", 0, 1000, example=7.25),
        Feature(
            "Embarked",
            "category",
            "Port: C Cherbourg, Q Queenstown, S Southampton.",
            categories=PORTS,
            nullable=True,
            example="S",
        ),
    ),
    target="Survived",
    classes=(DIED, SURVIVED),
    positive_class=SURVIVED,
    reply=(
        ReplyField("class", "prediction", "Predicted class: survived or died."),
        ReplyField("confidence", "probability", "Probability of the predicted class, 0 to 1."),
    ),
    kpis=(
        Kpi(
            "wrong_decisions",
            "Cost of wrong decisions: 1 where a survivor was given up, 0.25 for a false hope.",
            ((DIED, SURVIVED, 1.0), (SURVIVED, DIED, 0.25)),
        ),
    ),
)

# By class 1, 2, 3.
_CLASSES: Final = (0.24, 0.21, 0.55)
_FEMALE: Final = (0.435, 0.413, 0.293)
_AGE: Final = ((38.0, 14.5), (30.0, 14.0), (25.0, 12.5))
_AGE_MISSING: Final = (0.14, 0.06, 0.277)
_FARE: Final = ((60.0, 0.75), (15.5, 0.55), (9.3, 0.55))
_PORT: Final = ((0.395, 0.009, 0.596), (0.092, 0.016, 0.892), (0.134, 0.147, 0.719))
_PORT_MISSING: Final = 0.002
_SIBLINGS: Final = (0.683, 0.235, 0.031, 0.018, 0.020, 0.006, 0.0, 0.0, 0.007)
_PARENTS: Final = (0.76, 0.132, 0.09, 0.006, 0.005, 0.006, 0.001)

UNKNOWN_AGE: Final = 28.0
_INTERCEPT: Final = -1.0
_FEMALE_WEIGHT: Final = 2.75
_CLASS_WEIGHT: Final = -1.15
_AGE_WEIGHT: Final = -0.04
_RELATIVES_WEIGHT: Final = -0.25
FORMULA: Final = (
    f"P(Survived) = 1 / (1 + exp(-z)), z = {_INTERCEPT} + {_FEMALE_WEIGHT} (Sex = female) + "
    f"{_CLASS_WEIGHT} (Pclass - 2) + {_AGE_WEIGHT} (Age - {UNKNOWN_AGE:g}) + {_RELATIVES_WEIGHT} "
    f"(SibSp + Parch); a missing Age counts as {UNKNOWN_AGE:g}"
)


def sample(rng: np.random.Generator, n: int) -> Sample:
    """Draw ``n`` rows and their labels."""
    ticket = rng.choice(3, size=n, p=_CLASSES)
    female = rng.random(n) < np.take(_FEMALE, ticket)
    centre, spread = np.take(_AGE, ticket, axis=0).T
    age = np.clip(np.round(rng.normal(centre, spread) * 2) / 2, 0.5, 80.0)
    unknown = rng.random(n) < np.take(_AGE_MISSING, ticket)
    siblings = rng.choice(len(_SIBLINGS), size=n, p=_SIBLINGS)
    # Families come whole: who has many siblings aboard has parents aboard as well.
    parents = np.where(
        siblings > 1, rng.choice([1, 2], size=n), rng.choice(len(_PARENTS), size=n, p=_PARENTS)
    )
    price, scatter = np.take(_FARE, ticket, axis=0).T
    fare = np.round(price * np.exp(scatter * rng.standard_normal(n)), 4)
    fare = np.clip(fare * (1 + 0.2 * (siblings + parents)), 4.0, 512.0)
    port = (rng.random(n)[:, None] > np.cumsum(np.take(_PORT, ticket, axis=0), axis=1)).sum(axis=1)
    nowhere = rng.random(n) < _PORT_MISSING
    rows: list[Row] = [
        {
            "Pclass": int(ticket[i]) + 1,
            "Sex": "female" if female[i] else "male",
            "Age": None if unknown[i] else float(age[i]),
            "SibSp": int(siblings[i]),
            "Parch": int(parents[i]),
            "Fare": float(fare[i]),
            "Embarked": None if nowhere[i] else PORTS[min(port[i], 2)],
        }
        for i in range(n)
    ]
    survives = rng.random(n) < probability(rows)
    return rows, [SURVIVED if lives else DIED for lives in survives.tolist()]


def probability(rows: Sequence[Row]) -> np.ndarray:
    """P(survived | row) by :data:`FORMULA`, shape ``[n]``; drifted rows included."""

    def numbers(name: str, missing: float = 0.0) -> np.ndarray:
        return np.array([missing if row[name] is None else row[name] for row in rows], float)

    female = np.array([row["Sex"] == "female" for row in rows], float)
    logit = (
        _INTERCEPT
        + _FEMALE_WEIGHT * female
        + _CLASS_WEIGHT * (numbers("Pclass") - 2)
        + _AGE_WEIGHT * (numbers("Age", UNKNOWN_AGE) - UNKNOWN_AGE)
        + _RELATIVES_WEIGHT * (numbers("SibSp") + numbers("Parch"))
    )
    return np.asarray(1.0 / (1.0 + np.exp(-logit)))


TITANIC: Final = USE_CASES.register(
    UseCase(
        name="titanic",
        title="Titanic survival",
        schema=SCHEMA,
        generator=Generator(sample, probability, FORMULA),
        # As on OpenML.
        columns=MappingProxyType({name.lower(): name for name in (*SCHEMA.names, "Survived")}),
        labels=MappingProxyType({"0": DIED, "1": SURVIVED, "0.0": DIED, "1.0": SURVIVED}),
    )
)

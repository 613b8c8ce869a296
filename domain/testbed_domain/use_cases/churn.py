"""Telco churn: which customers leave, by contract, services and charges; looked up by customer.

The generator follows the published table (7,043 customers) in shares and in the strong
dependences, not row by row: services hang on the internet connection, charges on the services, the
total on tenure and charges, and new customers (tenure 0) have no total yet, as in the table. The
label is drawn from a logistic formula of the finished columns (:data:`FORMULA`), so the truth is
known exactly: about 26 % leave, and no classifier can exceed an accuracy of about 0.80.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from testbed_domain.features import EntityKey, Feature, FeatureSchema, Kpi, ReplyField, Row
from testbed_domain.use_cases.base import USE_CASES, Generator, Sample, UseCase

if TYPE_CHECKING:
    from collections.abc import Sequence

YES: Final = "Yes"
NO: Final = "No"
NO_PHONE: Final = "No phone service"
NO_INTERNET: Final = "No internet service"
DSL: Final = "DSL"
FIBER: Final = "Fiber optic"
MONTHLY: Final = "Month-to-month"
ONE_YEAR: Final = "One year"
TWO_YEARS: Final = "Two year"
CHECK: Final = "Electronic check"

EXAMPLE_ID: Final = "7590-VHVEG"


def _choice(name: str, text: str, example: str, *categories: str) -> Feature:
    return Feature(name, "category", text, categories=categories or (NO, YES), example=example)


def _service(name: str, text: str, example: str = NO) -> Feature:
    return _choice(name, text, example, NO, NO_INTERNET, YES)


SCHEMA: Final = FeatureSchema(
    features=(
        _choice("gender", "Gender.", "Female", "Female", "Male"),
        Feature("SeniorCitizen", "integer", "1: 65 or older.", 0, 1, example=0),
        _choice("Partner", "Has a partner.", YES),
        _choice("Dependents", "Has dependents.", NO),
        Feature("tenure", "integer", "Months as a customer.", 0, 600, example=1),
        _choice("PhoneService", "Has a telephone line.", NO),
        _choice("MultipleLines", "Has several lines.", NO_PHONE, NO, NO_PHONE, YES),
        _choice("InternetService", "Internet connection.", DSL, DSL, FIBER, NO),
        _service("OnlineSecurity", "Online security."),
        _service("OnlineBackup", "Online backup.", YES),
        _service("DeviceProtection", "Device protection."),
        _service("TechSupport", "Technical support."),
        _service("StreamingTV", "Streams television."),
        _service("StreamingMovies", "Streams films."),
        _choice("Contract", "Term of the contract.", MONTHLY, MONTHLY, ONE_YEAR, TWO_YEARS),
        _choice("PaperlessBilling", "Bills without paper.", YES),
        _choice(
            "PaymentMethod",
            "How the customer pays.",
            CHECK,
            "Bank transfer (automatic)",
            "Credit card (automatic)",
            CHECK,
            "Mailed check",
        ),
        Feature("MonthlyCharges", "number", "Dollars a month.", 0, 1000, example=29.85),
        Feature(
            "TotalCharges",
            "number",
            "Dollars so far; new customers have none.",
            0,
            100_000,
            nullable=True,
            example=29.85,
        ),
    ),
    target="Churn",
    classes=(NO, YES),
    positive_class=YES,
    key=EntityKey(
        "customerID", "user_id", "Id of a customer whose features are known.", EXAMPLE_ID
    ),
    reply=(
        ReplyField("churn", "prediction", "Whether the customer will leave: Yes or No."),
        ReplyField(
            "churn_probability", "positive_probability", "Probability that the customer leaves."
        ),
    ),
    kpis=(
        Kpi(
            "lost_revenue",
            "Dollars lost with customers who left unforeseen: 500 each.",
            ((NO, YES, 500.0),),
        ),
        Kpi(
            "retention_spend",
            "Dollars of offers to customers who seemed to leave: 50 each, needed or not.",
            ((YES, YES, 50.0), (YES, NO, 50.0)),
        ),
    ),
)

_SERVICES: Final = MappingProxyType(
    {
        # Share with internet who have it, and dollars a month.
        "OnlineSecurity": (0.366, 5.0),
        "OnlineBackup": (0.440, 5.0),
        "DeviceProtection": (0.439, 5.0),
        "TechSupport": (0.371, 5.0),
        "StreamingTV": (0.490, 10.0),
        "StreamingMovies": (0.495, 10.0),
    }
)
_NEW: Final = 0.0016
_CONTRACTS: Final = (MONTHLY, ONE_YEAR, TWO_YEARS)
_PAYMENTS: Final = next(f for f in SCHEMA.features if f.name == "PaymentMethod").categories

_INTERCEPT: Final = -1.45
_TENURE_WEIGHT: Final = -0.035
_WEIGHTS: Final = {
    # Column -> value -> weight of rows with that value.
    "Contract": {ONE_YEAR: -0.8, TWO_YEARS: -1.7},
    "InternetService": {FIBER: 1.2, NO: -1.0},
    "PaymentMethod": {CHECK: 0.5},
    "OnlineSecurity": {YES: -0.45},
    "TechSupport": {YES: -0.45},
    "PaperlessBilling": {YES: 0.35},
}
_SENIOR_WEIGHT: Final = 0.3
FORMULA: Final = (
    f"P(Churn=Yes) = 1 / (1 + exp(-z)), z = {_INTERCEPT} + {_TENURE_WEIGHT} (tenure - 29) + "
    f"{_SENIOR_WEIGHT} SeniorCitizen + "
    + " + ".join(
        f"{weight} ({name} = {value})"
        for name, weights in _WEIGHTS.items()
        for value, weight in weights.items()
    )
)


def sample(rng: np.random.Generator, n: int) -> Sample:
    """Draw ``n`` customers and their labels."""

    def yes(ratio: float | np.ndarray) -> np.ndarray:
        return np.where(rng.random(n) < ratio, YES, NO)

    internet = rng.choice([DSL, FIBER, NO], size=n, p=[0.344, 0.439, 0.217])
    offline = internet == NO
    # Who has no internet has a telephone line; DSL alone comes without one.
    phone = np.where((internet == DSL) & (rng.random(n) < 0.28), NO, YES)  # noqa: PLR2004 - the share itself
    lines = np.where(phone == NO, NO_PHONE, yes(0.467))
    partner = yes(0.483)
    term = np.minimum(1 + np.floor(rng.beta(0.62, 0.8, n) * 72), 72)
    term = np.where(rng.random(n) < _NEW, 0, term).astype(int)
    loyal = term / 72
    pick = rng.random(n)
    contract = np.select(
        [pick < np.clip(0.98 - 1.0 * loyal, 0.08, 1), pick < np.clip(1.15 - 0.7 * loyal, 0, 1)],
        _CONTRACTS[:2],
        _CONTRACTS[2],
    )
    services = {
        name: np.where(offline, NO_INTERNET, yes(ratio)) for name, (ratio, _) in _SERVICES.items()
    }
    base = np.select([internet == DSL, internet == FIBER], [24.0, 49.5], 0.0)
    monthly = base + 20.0 * (phone == YES) + 5.0 * (lines == YES) + rng.normal(0, 0.6, n)
    for name, (_, dollars) in _SERVICES.items():
        monthly += dollars * (services[name] == YES)
    monthly = np.round(np.clip(monthly, 18.25, 120.0), 2)
    total = np.round(monthly * term * np.exp(0.04 * rng.standard_normal(n)), 2)
    columns = {
        "gender": rng.choice(["Female", "Male"], size=n),
        "SeniorCitizen": (rng.random(n) < 0.162).astype(int),  # noqa: PLR2004 - the share itself
        "Partner": partner,
        "Dependents": yes(np.where(partner == YES, 0.51, 0.1)),
        "tenure": term,
        "PhoneService": phone,
        "MultipleLines": lines,
        "InternetService": internet,
        **services,
        "Contract": contract,
        "PaperlessBilling": yes(np.where(offline, 0.29, 0.675)),
        "PaymentMethod": np.where(
            (internet == FIBER) & (rng.random(n) < 0.4),  # noqa: PLR2004 - the share itself
            CHECK,
            rng.choice(_PAYMENTS, size=n, p=[0.263, 0.259, 0.199, 0.279]),
        ),
        "MonthlyCharges": monthly,
        "TotalCharges": total,
    }
    values = zip(*(columns[name].tolist() for name in SCHEMA.names), strict=True)
    rows: list[Row] = [dict(zip(SCHEMA.names, row, strict=True)) for row in values]
    for row in rows:
        if row["tenure"] == 0:
            row["TotalCharges"] = None
    leaves = rng.random(n) < probability(rows)
    return rows, np.where(leaves, YES, NO).tolist()


def probability(rows: Sequence[Row]) -> np.ndarray:
    """P(Churn=Yes | row) by :data:`FORMULA`, shape ``[n]``; drifted rows included."""
    tenure = np.array([row["tenure"] for row in rows], float)
    senior = np.array([row["SeniorCitizen"] for row in rows], float)
    logit = _INTERCEPT + _TENURE_WEIGHT * (tenure - 29) + _SENIOR_WEIGHT * senior
    for name, weights in _WEIGHTS.items():
        logit += np.array([weights.get(str(row[name]), 0.0) for row in rows])
    return np.asarray(1.0 / (1.0 + np.exp(-logit)))


def keys(rng: np.random.Generator, n: int) -> list[str]:
    """``n`` different customer ids, four digits and five letters; :data:`EXAMPLE_ID` first."""
    letters = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    found = {EXAMPLE_ID: None}  # a set that keeps its order
    while len(found) < n:
        found[f"{rng.integers(10_000):04d}-{''.join(rng.choice(letters, 5))}"] = None
    return list(found)[:n]


CHURN: Final = USE_CASES.register(
    UseCase(
        name="churn",
        title="Telco churn",
        schema=SCHEMA,
        generator=Generator(sample, probability, FORMULA, keys),
    )
)

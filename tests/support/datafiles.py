"""Data files as users bring them, drawn from the use cases' own seeded generators.

They have the columns, the row counts and the oddities (ids, names, blanks) of the public data sets
that the use cases are modelled on, so that the tests need nothing beside the checkout.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from testbed_domain.use_cases import get_use_case

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from testbed_domain.features import Row, Value

SEED: Final = 20


@dataclass(frozen=True, slots=True)
class DataFile:
    """A CSV file, and what is known of it without reading it.

    Attributes:
        path: the file.
        rows: how many it has.
        positives: how many are of the positive class.
        missing: column to how many of its values are missing, where some are.
        first: the features of the first row.
        distinct: column to how many different values it has, of columns that no schema knows.
        key: the id of the first row, where rows have one.
        generated: whether its rows are those of a generator.
    """

    path: Path
    rows: int
    positives: int
    first: Row
    missing: Mapping[str, int]
    distinct: Mapping[str, int]
    key: str = ""
    generated: bool = False


#: What is known of the public data sets.
REAL: Final[Mapping[str, Mapping[str, Any]]] = {
    "diabetes.csv": {
        "rows": 768,
        "positives": 268,
        "first": {
            "Pregnancies": 6, "Glucose": 148.0, "BloodPressure": 72.0, "SkinThickness": 35.0,
            "Insulin": 0.0, "BMI": 33.6, "DiabetesPedigreeFunction": 0.627, "Age": 50,
        },
        "missing": {},
        "distinct": {},
    },
    "titanic.csv": {
        "rows": 891,
        "positives": 342,
        "first": {
            "Pclass": 3, "Sex": "male", "Age": 22.0, "SibSp": 1, "Parch": 0, "Fare": 7.25,
            "Embarked": "S",
        },
        "missing": {"Age": 177, "Embarked": 2},
        "distinct": {"Cabin": 147},
    },
    "telco-churn.csv": {
        "rows": 7043,
        "positives": 1869,
        "first": {
            feature.name: feature.example for feature in get_use_case("churn").schema.features
        },
        "missing": {"TotalCharges": 11},
        "distinct": {},
        "key": "7590-VHVEG",
    },
}  # fmt: skip


def real_file(path: Path) -> DataFile:
    """A public data set that lies beside the checkout."""
    return DataFile(path, **REAL[path.name])


def own_file(path: Path) -> DataFile:
    """Write the counterpart of the public data set of that name, and say what is in it."""
    use_case, further = {
        "diabetes.csv": ("diabetes", _nothing),
        "titanic.csv": ("titanic", _passengers),
        "telco-churn.csv": ("churn", _customers),
    }[path.name]
    rng = np.random.default_rng(SEED)
    case, count = get_use_case(use_case), REAL[path.name]["rows"]
    assert case.generator is not None
    drawn, labels = case.generator.sample(rng, count)
    rows = [{name: _short(value) for name, value in row.items()} for row in drawn]
    before, after = further(rng, rows)
    blank = " " if use_case == "churn" else ""
    truths = {"survived": 1, "died": 0}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*before, *case.schema.names, *after, case.schema.target])
        for number, (row, label) in enumerate(zip(rows, labels, strict=True)):
            known = (blank if row[name] is None else row[name] for name in case.schema.names)
            writer.writerow(
                [
                    *(values[number] for values in before.values()),
                    *known,
                    *(values[number] for values in after.values()),
                    truths.get(str(label), label),
                ]
            )
    gone = {name: sum(row[name] is None for row in rows) for name in case.schema.names}
    return DataFile(
        path,
        count,
        sum(label == case.schema.positive_class for label in labels),
        rows[0],
        {name: number for name, number in gone.items() if number},
        {name: len({*values} - {""}) for name, values in after.items()},
        str(before["customerID"][0]) if "customerID" in before else "",
        generated=True,
    )


def _short(value: Value) -> Value:
    """Four digits, as in the public files: a text of them is the very number."""
    return round(value, 4) if isinstance(value, float) else value


_Columns = dict[str, "Sequence[object]"]


def _nothing(_: np.random.Generator, rows: Sequence[Row]) -> tuple[_Columns, _Columns]:
    del rows
    return {}, {}


def _passengers(rng: np.random.Generator, rows: Sequence[Row]) -> tuple[_Columns, _Columns]:
    """Numbers, names and tickets of nearly everybody; cabins of the rich."""
    count = len(rows)
    tickets = rng.choice(800_000, size=count)
    # Families share a ticket and a cabin.
    places = [f"{'ABCDE'[each % 5]}{each}" for each in rng.integers(1, 150, count)]
    return (
        {"PassengerId": range(1, count + 1)},
        {
            "Name": [f"Family{tickets[n]}, Mr. or Mrs. Passenger {n}" for n in range(count)],
            "Ticket": [f"A/5 {each}" for each in tickets],
            "Cabin": [places[n] if rows[n]["Pclass"] == 1 else "" for n in range(count)],
        },
    )


def _customers(rng: np.random.Generator, rows: Sequence[Row]) -> tuple[_Columns, _Columns]:
    generator = get_use_case("churn").generator
    assert generator is not None
    assert generator.keys is not None
    return {"customerID": generator.keys(rng, len(rows))}, {}

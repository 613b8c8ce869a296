"""What the drift job says of labels and values, against the same rows, in every use case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from testbed.facts.driftquality import faults
from testbed.facts.driftwindows import Recomputed
from testbed_domain.features import FeatureSchema
from testbed_domain.logrows import Columns
from testbed_domain.use_cases import USE_CASES, get_use_case
from testbed_drift.evaluation.assessment import Assessor

from .conftest import World
from .test_published import facts_of, failed_checks

NAMES = sorted(name for name, case in USE_CASES.items() if case.generator)
Record = dict[str, Any]
START = 1000.0


def rows(name: str, count: int, seed: int, *, logged: bool = True) -> Columns:
    """Rows of a use case with answers of a model that is often right; each tenth has no label."""
    case = get_use_case(name)
    assert case.generator is not None
    rng = np.random.default_rng(seed)
    features, labels = case.generator.sample(rng, count)
    classes = [str(each) for each in case.schema.classes]
    chances = rng.dirichlet(np.ones(len(classes)), count)
    for place, label in enumerate(labels):
        chances[place, classes.index(str(label))] += 0.5
    chances /= chances.sum(axis=1, keepdims=True)
    best = chances.argmax(axis=1)
    times = [START + place / count for place in range(count)] if logged else []
    without = {place for place in range(count) if logged and place % 10 == 0}
    return Columns(
        {f.name: [row.get(f.name) for row in features] for f in case.schema.features},
        [classes[place] for place in best],
        chances.max(axis=1).tolist(),
        [None if place in without else str(label) for place, label in enumerate(labels)],
        [str(place) for place in range(count)],
        times,
        [dict(zip(classes, map(float, chance), strict=True)) for chance in chances],
        [None if place in without else time + 2 for place, time in enumerate(times)],
    )


def evaluated(name: str) -> tuple[Record, Columns, Columns, FeatureSchema]:
    """A run of the job's own code, and what it evaluated."""
    schema = get_use_case(name).schema
    reference, current = rows(name, 600, 1, logged=False), rows(name, 400, 2)
    kinds: Any = {
        feature.name: "category" if feature.kind == "category" else "numeric"
        for feature in schema.features
    }
    record = Assessor(schema, kinds).assess(reference, current).to_dict()
    columns: Record = {feature.name: {} for feature in schema.features}
    record |= {"columns": columns, "started": 1010.0, "time": 1011.0}
    return record, current, reference, schema


@pytest.mark.parametrize("name", NAMES)
def test_a_sound_job_agrees(name: str) -> None:
    """Two classes or more, numbers and categories, missing values and late labels."""
    record, current, reference, schema = evaluated(name)
    assert faults(record, current, reference, schema, 2.0) == ()


def accuracy(record: Record) -> None:
    """Another accuracy than the confusion gives."""
    record["performance"]["realised"]["accuracy"] **= 2


def brier(record: Record) -> None:
    """Not halved."""
    record["performance"]["reference"]["brier"] *= 2


def transposed(record: Record) -> None:
    """True and predicted class changed places."""
    found = record["performance"]["realised"]
    found["confusion"] = [list(column) for column in zip(*found["confusion"], strict=True)]


def delay(record: Record) -> None:
    """In milliseconds."""
    record["performance"]["labels"]["delay_seconds"]["0.5"] *= 1000


def few_labels(record: Record) -> None:
    """Labels are left out."""
    record["performance"]["realised"]["labels"] -= 1


def missing(record: Record) -> None:
    """No missing value is seen."""
    record["quality"]["columns"]["Age"]["missing"] = 0.0


def out_of_range(record: Record) -> None:
    """Values out of range that are none."""
    record["quality"]["columns"]["Age"]["out_of_range"] = 0.5


def unevaluated(record: Record) -> None:
    """A column is left out."""
    del record["columns"]["Age"]


@pytest.mark.parametrize(
    ("plant", "says"),
    [
        (accuracy, "realised accuracy is"),
        (brier, "reference brier is"),
        (transposed, "realised rows of class"),
        (delay, "the median delay of labels is 2 s by the log, the job says 2e+03 s"),
        (few_labels, "realised labels are 360 by the log, the job says 359"),
        (missing, "column Age: the missing share is"),
        (out_of_range, "column Age: the out_of_range share is"),
        (unevaluated, "column Age of the model was not evaluated"),
    ],
)
def test_what_a_job_says_wrongly_is_found(plant: Callable[[Record], None], says: str) -> None:
    """Each by its own line."""
    record, current, reference, schema = evaluated("titanic")
    plant(record)
    found = faults(record, current, reference, schema, 2.0)
    assert found
    assert all(line.startswith(says) for line in found)


def test_labels_that_came_about_then_are_not_held_against_the_job() -> None:
    """It may have read them, or not."""
    record, current, reference, schema = evaluated("titanic")
    few_labels(record)
    late = replace(current, label_time=[record["started"] - 1, *current.label_time[1:]])
    assert faults(record, late, reference, schema, 2.0) == ()


def test_as_many_labels_as_there_are_leave_no_doubt() -> None:
    """Some came while the job read the log; it counts all of them, so it has read them."""
    record, current, reference, schema = evaluated("titanic")
    delay(record)
    known = next(place for place, time in enumerate(current.label_time) if time is not None)
    times = list(current.label_time)
    times[known] = record["started"] - 1
    found = faults(record, replace(current, label_time=times), reference, schema, 2.0)
    assert [line.split(" is ")[0] for line in found] == ["the median delay of labels"]


def test_the_run_is_named(world: World) -> None:
    """In which it was found, and the drift job."""
    window = Recomputed(
        run=1, evaluated=4, logged=4, settled=4, reference=9, registered=9, faults=("x is wrong",)
    )
    found = failed_checks(world, facts_of(windows=(window,)))
    assert list(found) == ["drift windows"]
    assert "run 2: x is wrong" in found["drift windows"]

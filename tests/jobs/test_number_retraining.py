"""RETRAIN of a model that predicts numbers, with the real API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from testbed_domain.training import train
from testbed_domain.use_cases import get_use_case

from .retraining_service import last_retraining

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed_domain.artefact import Artefact
    from testbed_domain.features import Row

    from .drift_place import DriftPlace
    from .retraining_service import Service

ROWS = 600
# Settings of the job in every test here.
OPTIONS = (
    *("--html=always", "--otlp-endpoint=none"),
    *("--retrain-min-rows=500", "--relations-rows=0"),
)
# By how much the disease of everybody goes further than when the champion learnt.
WORSE = 80.0
HEAVIER = {"bmi": 1.3, "bp": 1.2, "s1": 1.2, "s2": 1.2, "s4": 1.2, "s6": 1.2}


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    """A forest on scikit-learn's diabetes table."""
    return train(get_use_case("progression"), None, 1, tmp_path_factory.mktemp("numbers") / "model")


def _patients(champion: Artefact, count: int, seed: int) -> tuple[list[Row], list[float]]:
    """Heavier patients than those of the table, no two alike, and their true numbers of then."""
    rng = np.random.default_rng(seed)
    known = list(champion.reference())
    rows, labels = [], []
    for one in rng.integers(len(known), size=count):
        row = dict(known[one].features)
        for name, factor in HEAVIER.items():
            row[name] = round(float(row[name] or 0) * factor * rng.normal(1, 0.03), 2)
        rows.append(row)
        labels.append(float(known[one].label or 0))
    return rows, labels


def _mae(answers: Sequence[dict[str, Any]], labels: Sequence[float]) -> float:
    missed = [abs(a["prediction"] - label) for a, label in zip(answers, labels, strict=True)]
    return float(np.mean(missed))


@pytest.mark.long
def test_better_challenger_of_numbers_is_promoted_and_serves(
    champion: Artefact, service: Service, job: DriftPlace
) -> None:
    """The world has changed: RETRAIN, a smaller error on held-out rows, and the API answers so."""
    rows, labels = _patients(champion, 2 * ROWS, 5)
    labels = [label + WORSE for label in labels]
    before = service.predict(rows[:ROWS])
    service.label(before, labels[:ROWS])
    done = job.run()
    assert done.returncode == 1, done.stderr
    assert "retraining: promoted: better: mean absolute error" in done.stderr
    found = last_retraining(job.output)
    assert found["outcome"] == "promoted"
    trial = found["trial"]
    assert trial["rows"] == round(0.3 * ROWS)
    assert trial["p_value"] <= 0.01
    held = slice(ROWS - trial["rows"], ROWS)
    assert trial["champion"]["mae"] == pytest.approx(_mae(before[held], labels[held]), rel=1e-6)
    assert service.roles() == {"champion": found["challenger"], "previous": champion.version}
    after = service.predict(rows[ROWS:])
    assert {answer["model_version"] for answer in after} == {found["challenger"]}
    assert _mae(after, labels[ROWS:]) < 0.8 * _mae(before, labels[:ROWS])
    service.label(after, labels[ROWS:])
    done = job.run("--json")
    record = json.loads(done.stdout)
    assert record["model_version"] == found["challenger"]
    assert record["performance"]["realised"]["mae"] == pytest.approx(_mae(after, labels[ROWS:]))


def test_champion_of_numbers_stays_where_nothing_is_better(
    champion: Artefact, service: Service, job: DriftPlace
) -> None:
    """Labels that the champion foretells: the reason says so, and no challenger is left."""
    rows, _ = _patients(champion, ROWS, 6)
    answers = service.predict(rows)
    noise = np.random.default_rng(7).normal(0, 1, ROWS)
    service.label(answers, [a["prediction"] + one for a, one in zip(answers, noise, strict=True)])
    done = job.run()
    assert done.returncode == 1, done.stderr
    found = last_retraining(job.output)
    assert found["outcome"] == "kept"
    assert found["message"].startswith("not better: mean absolute error 0.")
    assert found["trial"]["champion"]["mae"] < found["trial"]["challenger"]["mae"]
    assert service.roles() == {"champion": champion.version}

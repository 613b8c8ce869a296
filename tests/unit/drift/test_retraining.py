"""What the training takes from the log, and when it does not begin."""

from __future__ import annotations

import re
import time
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from testbed_domain.artefact import load_artefact
from testbed_domain.logstore import PredictionRow, open_log
from testbed_domain.training import TrainingOptions, train
from testbed_domain.use_cases import get_use_case
from testbed_drift.quality.outcomes import Outcomes
from testbed_drift.retraining.training import LabelledRows, retrain
from testbed_drift.settings import DriftSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testbed_domain.artefact import Artefact


@pytest.fixture
def fill(small_artefact: Artefact, tmp_path: Path) -> Callable[[list[str | None]], DriftSettings]:
    """Logs a row per label, see :func:`_logged`."""

    def log(labels: list[str | None]) -> DriftSettings:
        rows = list(small_artefact.reference())
        answers = [
            {
                "features": rows[place % len(rows)].features | {"Age": 21 + place % 60},
                "prediction": rows[place % len(rows)].prediction,
                "probability": 0.9,
                "probabilities": {"0": 0.9, "1": 0.1},
            }
            for place in range(len(labels))
        ]
        return _logged(small_artefact, tmp_path, labels, answers)

    return log


def _logged(
    artefact: Artefact, folder: Path, labels: list[str | None], answers: list[dict[str, Any]]
) -> DriftSettings:
    """Log an answer per label, a second apart, the last one now; give a job's settings on it."""
    url = f"sqlite:///{folder / 'log.db'}"
    now = time.time()
    made = [
        PredictionRow(
            id=str(uuid.uuid4()),
            time=now - len(labels) + place,
            request_id=None,
            instance="test",
            model_name=artefact.name,
            model_version=artefact.version,
            **answer,
        )
        for place, answer in enumerate(answers)
    ]
    with open_log(url) as store:
        store.append(made)
        known = [(row.id, label, now) for row, label in zip(made, labels, strict=True) if label]
        store.append_labels(known)
    return DriftSettings(
        log_url=url,
        artefact=artefact.path,
        output=folder / "drift",
        on_retrain="builtin",
        management_urls="http://127.0.0.1:9",
        retrain_min_rows=50,
    )


def test_newest_rows_with_a_known_class_are_taken(
    small_artefact: Artefact, fill: Callable[[list[str | None]], DriftSettings]
) -> None:
    """Rows without a label, and with one that the model does not know, are left out."""
    settings = fill(["0", None, "1", "maybe", "0", "1"])
    with open_log(settings.log_url) as log:
        columns = log.window(small_artefact.version)
    found = LabelledRows.of(columns, small_artefact, 3)
    assert found.labels == [1, 0, 1]
    assert [row["Age"] for row in found.rows] == [23, 25, 26]
    assert isinstance(found.outcomes, Outcomes)
    assert found.outcomes.label.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["0", "1"] * 20, "40 labelled rows of model .* in the last 900 s, 50 needed"),
        (["0"] * 60, "lack a class"),
        (["0", "1"] * 30 + ["0"] * 40, "lack a class"),
    ],
)
def test_too_little_is_no_training(
    fill: Callable[[list[str | None]], DriftSettings], labels: list[str | None], message: str
) -> None:
    """Too few rows, or rows of one class in either part, are an outcome that says so."""
    found = retrain(fill(labels))
    assert found.outcome == "too_few_rows"
    assert re.search(message, found.message)
    assert found.challenger is None


def test_log_that_is_away_is_an_outcome(
    fill: Callable[[list[str | None]], DriftSettings], tmp_path: Path
) -> None:
    """A failure has one line, and makes no model."""
    settings = fill(["0"]).model_copy(update={"log_url": f"sqlite:///{tmp_path / 'none.db'}"})
    found = retrain(settings)
    assert found.outcome == "failed"
    assert "\n" not in found.message
    assert "none.db" in found.message
    assert not settings.model_store.exists()


@pytest.fixture(scope="module")
def regression(tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    """A forest that predicts numbers."""
    options = TrainingOptions(10, 4)
    return train(
        get_use_case("progression"), None, 1, tmp_path_factory.mktemp("numbers") / "m", options
    )


@pytest.fixture
def fill_numbers(regression: Artefact, tmp_path: Path) -> Callable[..., DriftSettings]:
    """Logs a row of the regression per label, see :func:`_logged`."""

    def log(labels: list[str | None], predicted: str = "150.5") -> DriftSettings:
        rows = list(regression.reference())
        answers = [
            {
                "features": rows[place % len(rows)].features,
                "prediction": predicted,
                "probability": 0.0,
                "probabilities": {},
            }
            for place in range(len(labels))
        ]
        return _logged(regression, tmp_path, labels, answers)

    return log


def test_numbers_are_taken_where_they_are_some(
    regression: Artefact, fill_numbers: Callable[..., DriftSettings]
) -> None:
    """Rows without a label, and with one that is no number, are left out; the newest stay."""
    settings = fill_numbers(["100", None, "120.25", "many", "90", "80"])
    with open_log(settings.log_url) as log:
        columns = log.window(regression.version)
    found = LabelledRows.of(columns, regression, 3)
    assert found.labels == [120.25, 90.0, 80.0]
    assert isinstance(found.outcomes, np.ndarray)
    assert found.outcomes.tolist() == [150.5] * 3
    assert len(found.rows) == 3


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["100", "120"] * 20, "40 labelled rows of model .* in the last 900 s, 50 needed"),
        (["100"] * 60, "labels hold one value only"),
        (["100", "120"] * 30 + ["90"] * 40, "labels hold one value only"),
    ],
)
def test_too_few_numbers_are_no_training(
    fill_numbers: Callable[..., DriftSettings], labels: list[str | None], message: str
) -> None:
    """As of classes; one number alone teaches nothing."""
    found = retrain(fill_numbers(labels))
    assert found.outcome == "too_few_rows"
    assert re.search(message, found.message)


def test_a_challenger_of_numbers_takes_the_champions_schema(
    regression: Artefact, fill_numbers: Callable[..., DriftSettings]
) -> None:
    """It is made before the API is asked, which does not answer here, and the outcome says so."""
    truth = [row.label for row in regression.reference()]
    settings = fill_numbers([truth[place % len(truth)] for place in range(400)])
    found = retrain(settings)
    assert found.outcome == "failed"
    assert "http://127.0.0.1:9/models" in found.message
    [made] = map(load_artefact, settings.model_store.iterdir())
    assert made.schema == regression.schema
    assert made.splits["reference"] == round(400 * settings.retrain_holdout)

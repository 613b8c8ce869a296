"""Content of the prediction log: what is wrong is found, named, and blamed on the right one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from testbed.checks.stages import Stage, along_the_way
from testbed.faults.rig.strangemodel import copy_of, copy_under_another_name
from testbed_domain.artefact import load_artefact
from testbed_domain.training import TrainingOptions, train
from testbed_domain.use_cases import get_use_case

from .playedrun import PlayedRun, played_run

if TYPE_CHECKING:
    from pathlib import Path

    from testbed_domain.artefact import Artefact
    from testbed_domain.logrows import PredictionRow

SMALL = TrainingOptions(trees=8, depth=5, train_rows=600, test_rows=200, reference_rows=1000)


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    """A small model of synthetic patients; read only."""
    out = tmp_path_factory.mktemp("content") / "diabetes"
    return train(get_use_case("diabetes"), None, 7, out, SMALL)


@pytest.fixture
def run(tmp_path: Path, artefact: Artefact) -> PlayedRun:
    """A run in which all agrees."""
    return played_run(tmp_path / "run", artefact)


def leads(run: PlayedRun) -> tuple[str, Stage, str]:
    """The failed check that leads the verdict: its name, its link, its summary."""
    first, *_ = along_the_way(each for each in run.check().values() if not each.passed)
    return first.name, first.stage, first.summary


def test_a_run_in_which_all_agrees_passes(run: PlayedRun) -> None:
    """And every check could be made."""
    results = run.check()
    assert [r.summary for r in results.values() if not r.passed or not r.applicable] == []
    assert {name for name in results if name.startswith("content")} == {
        "content sent", "content answers", "content features", "content predictions",
        "content identity", "content clock", "content labels",
    }  # fmt: skip


def test_a_damaged_column_is_named_with_its_share(run: PlayedRun) -> None:
    """One row in ten holds another value than was sent; the others are left alone."""

    def scaled(row: PredictionRow) -> PredictionRow:
        return row._replace(features={**row.features, "BMI": 1.5 * float(row.features["BMI"] or 0)})

    run.change_rows(scaled, every=10)
    name, stage, summary = leads(run)
    assert (name, stage) == ("content features", Stage.LOG)
    assert summary.startswith("column BMI differs from what was sent in 10 % of 600 rows (for")
    assert set(run.failed()) == {"content features"}


def test_a_column_that_is_missing_or_too_many_is_named(run: PlayedRun) -> None:
    """Both are damage."""
    run.change_rows(lambda row: row._replace(features={**row.features, "new": 1}), every=100)
    details = run.check()["content features"].details
    assert any("column new" in line and "sent nothing, stored 1" in line for line in details)


def test_rows_that_were_sent_otherwise_are_no_damage_of_the_log(run: PlayedRun) -> None:
    """The service answered what it stored: the truth says something else, so the load is named."""
    honest = list(run.requests)
    run.change_requests(
        lambda r: replace(r, features={**r.features, "Glucose": 60.0, "BMI": 20.0, "Age": 22}),
        every=10,
    )
    run.serve()  # the service answers these
    for place, request in enumerate(honest):
        served = run.requests[place]
        run.requests[place] = replace(
            request, prediction=served.prediction, probability=served.probability
        )
    name, stage, summary = leads(run)
    assert (name, stage) == ("content sent", Stage.LOAD)
    assert "was sent otherwise than the truth says in 10 % of 600 rows" in summary
    assert "content features" not in run.failed()


def test_a_class_that_only_the_log_has_wrong(run: PlayedRun) -> None:
    """The answer is the model's, so it is the log that is wrong."""
    other = {"0": "1", "1": "0"}
    run.change_rows(lambda row: row._replace(prediction=other[row.prediction]), every=50)
    name, stage, summary = leads(run)
    assert (name, stage) == ("content predictions", Stage.LOG)
    assert summary.startswith("the stored class is not the one that was answered in 2 % of 600")


def test_an_answer_that_is_not_the_models(run: PlayedRun) -> None:
    """The log holds what the model says, so it is the service that is wrong."""
    run.change_requests(lambda r: replace(r, prediction=1 - int(r.prediction or 0)), every=50)
    name, stage, summary = leads(run)
    assert (name, stage) == ("content answers", Stage.SERVICE)
    assert summary.startswith("the service answered another class than its model gives in 2 %")


def test_a_probability_inverted_everywhere_is_seen_by_the_model(run: PlayedRun) -> None:
    """Answer and log agree with each other, and neither with the model."""

    def inverted(row: PredictionRow) -> PredictionRow:
        both = {label: 1.0 - each for label, each in row.probabilities.items()}
        return row._replace(probability=1.0 - row.probability, probabilities=both)

    run.change_requests(lambda r: replace(r, probability=1.0 - (r.probability or 0.0)))
    run.change_rows(inverted)
    name, stage, summary = leads(run)
    assert (name, stage) == ("content answers", Stage.SERVICE)
    assert "an inverted probability, 1 - p for p, in 100 % of 600 answers" in summary


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"probabilities": {"0": 0.7, "1": 0.4}}, "don't sum to 1"),
        ({"probabilities": {"yes": 1.0}}, "over the model's classes"),
        ({"probabilities": {}}, "don't sum to 1"),
        ({"probability": 0.123}, "the stored probability is not the one that was answered"),
    ],
)
def test_probabilities_that_are_none(run: PlayedRun, change: dict[str, object], text: str) -> None:
    """Sums, classes and the probability of the class are held together."""
    run.change_rows(lambda row: row._replace(**change), every=60)  # type: ignore[arg-type]
    result = run.check()["content predictions"]
    assert not result.passed
    assert any(text in line for line in result.details)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"model_version": "v0-old"}, "the stored model is not one of this run"),
        ({"instance": "api-9"}, "the stored instance is not one of this run"),
    ],
)
def test_rows_of_strangers(run: PlayedRun, change: dict[str, str], text: str) -> None:
    """Another model or instance than the run's is named."""
    run.change_rows(lambda row: row._replace(**change), every=2)  # type: ignore[arg-type]
    name, stage, summary = leads(run)
    assert (name, stage) == ("content identity", Stage.LOG)
    assert summary.startswith(f"{text} in 50 % of 600 rows")


def test_a_promoted_model_is_no_stranger(run: PlayedRun, tmp_path: Path) -> None:
    """What the API was given while it ran is listed in its file of versions."""
    folder = tmp_path / "challenger"
    folder.mkdir()
    manifest = {"name": run.artefact.name, "version": "v2"}
    (folder / "artefact.json").write_text(json.dumps(manifest))
    run.layout.versions.write_text(json.dumps({"champion": str(folder), "previous": None}))
    run.change_rows(lambda row: row._replace(model_version="v2"), every=2)
    results = run.check()
    assert results["content identity"].passed
    assert results["content answers"].summary.startswith("300 answers")


def test_a_challenger_of_the_scenario_is_no_stranger(run: PlayedRun) -> None:
    """The runner made it, and took it away again; it answers as the model does."""
    copy = load_artefact(copy_under_another_name(run.artefact.path, copy_of(run.layout.model)))
    run.change_rows(
        lambda row: row._replace(model_name=copy.name, model_version=copy.version), every=2
    )
    results = run.check()
    assert results["content identity"].passed
    assert results["content answers"].summary.startswith("600 answers")


@pytest.mark.parametrize(
    ("offset", "text"),
    [(3600.0, "3600 s ahead"), (-60.0, "60 s behind")],
)
def test_a_wrong_clock_is_said_as_such(run: PlayedRun, offset: float, text: str) -> None:
    """Every row is off by the same."""
    run.change_rows(lambda row: row._replace(time=row.time + offset))
    name, stage, summary = leads(run)
    assert (name, stage) == ("content clock", Stage.LOG)
    assert summary.startswith(f"the clock of the log is {text} (100 % of 600 rows)")


def test_a_time_in_milliseconds_is_said_as_such(run: PlayedRun) -> None:
    """A wrong unit is no wrong clock."""
    run.change_rows(lambda row: row._replace(time=1000 * row.time))
    assert "is in milliseconds" in run.failed()["content clock"]


def test_single_wrong_times_are_no_wrong_clock(run: PlayedRun) -> None:
    """The share says so."""
    run.change_rows(lambda row: row._replace(time=row.time + 5.0), every=20)
    summary = run.failed()["content clock"]
    assert summary.startswith("the log's time is wrong, by 5 s ahead at the median, in 5 % of 600")


def test_wrong_labels_are_counted(run: PlayedRun) -> None:
    """One label in twenty is stored as another class."""
    for place in range(0, len(run.labels), 20):
        which, label, time = run.labels[place]
        run.labels[place] = (which, {"0": "1", "1": "0"}[label], time)
    name, stage, summary = leads(run)
    assert (name, stage) == ("content labels", Stage.LOG)
    assert summary.startswith("the stored label is not the true one in 5 % of 600")


def test_labels_that_were_lost_or_never_posted(run: PlayedRun) -> None:
    """Each posted label is in the log, and no other."""
    lost = run.labels.pop(7)
    (detail,) = run.check()["content labels"].details
    assert detail.startswith("the label was posted and taken, but is not in the log in 0.167 %")
    assert detail.endswith(f"run-1-7: true {lost[1]}")
    run.labels.append(lost)
    run.scenario["labels"] = {"ratio": 0.0, "delay": 1.0}
    assert "a label is in the log that the load had not to post" in run.failed()["content labels"]


def test_the_label_of_a_row_that_is_missing_is_not_missed(run: PlayedRun) -> None:
    """Other checks say that the row is missing; its label belongs to nothing."""
    which = run.rows[7].id
    del run.rows[7]
    run.labels = [label for label in run.labels if label[0] != which]
    assert run.check()["content labels"].passed


def test_labels_of_batches_that_were_refused_need_not_be_there(run: PlayedRun) -> None:
    """They may be: the service may have stored them before it failed."""
    run.batches[0] = replace(run.batches[0], status=503)
    del run.labels[:10]
    assert run.failed() == {}


def test_an_answer_without_the_artefact_is_not_held_against_it(run: PlayedRun) -> None:
    """What could not be checked is said, and never passed over."""
    run.layout.model.unlink()
    results = run.check()
    assert not results["content answers"].applicable
    assert "no model artefact at" in results["content answers"].summary
    assert not results["load rows"].applicable
    assert not results["load drift"].applicable


def test_an_empty_log_is_not_evaluated(run: PlayedRun) -> None:
    """That rows are missing is counted elsewhere."""
    run.rows, run.labels = [], []
    results = run.check()
    assert not results["content features"].applicable
    assert not results["content sent"].applicable

"""Contributions: what the model uses, in either window, and which drift weighs on it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from testbed_domain.training import train
from testbed_domain.use_cases import get_use_case
from testbed_drift.evaluation.detection import Detector
from testbed_drift.evaluation.points import OF_RELATIONS, of_relations
from testbed_drift.jobs.job import DriftJob
from testbed_drift.jobs.replay import NoPublisher
from testbed_drift.jobs.windowsource import LogWindows
from testbed_drift.relations.contributions import contributions, ranked
from testbed_drift.relations.models import OnnxModel, Surrogate
from testbed_drift.relations.study import Analyst
from testbed_drift.rows.columns import PREDICTION, TARGET
from testbed_drift.rows.frames import declare, kinds_of, reference_frame
from testbed_drift.rows.windows import WindowReader
from testbed_drift.settings import DriftSettings
from testbed_drift.storage.reports import RUNS_FILE, ReportStore
from testbed_otel import names

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testbed_domain.artefact import Artefact
    from testbed_domain.logstore import Columns
    from testbed_drift.rows.columns import ColumnKind

KINDS: dict[str, ColumnKind] = {"used": "numeric", "half": "numeric", "idle": "numeric"}


def draw(seed: int, rows: int = 1_000, *, used: float = 0.0, idle: float = 0.0) -> pd.DataFrame:
    """Rows of three columns and the prediction of a model that looks at two of them.

    Args:
        seed: of the draws.
        rows: number of rows.
        used: standard deviations by which the column moves that the model uses most.
        idle: the same of the column that it does not use.
    """
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.standard_normal((rows, 3)), columns=list(KINDS))
    frame["used"] += used
    frame["idle"] += idle
    answer = frame["used"] + frame["half"] / 2 > 0
    frame[PREDICTION] = answer.astype(int).astype(str)
    frame[TARGET] = frame[PREDICTION]
    return declare(frame, KINDS)


@dataclass(frozen=True)
class Formula:
    """A model whose probability is a formula of its columns."""

    basis: Any = "model"
    fidelity: float | None = None
    places: dict[str, tuple[int, ...]] = field(
        default_factory=lambda: {name: (place,) for place, name in enumerate(KINDS)}
    )

    def coded(self, frame: pd.DataFrame) -> Any:  # noqa: ANN401 - an array
        """The columns as they are."""
        return frame[list(KINDS)].to_numpy(dtype=float)

    def probabilities(self, coded: Any) -> Any:  # noqa: ANN401 - an array
        """One half, and 0.4 more or less by the sign of the first column."""
        yes = 0.5 + 0.4 * np.sign(coded[:, 0])
        return np.column_stack([1 - yes, yes])


def test_contribution_is_the_change_of_the_answers() -> None:
    """Shuffling a fair sign turns half of the answers by 0.8; what is not used changes nothing."""
    found = contributions(Formula(), draw(1))
    assert found["used"] == pytest.approx(0.4, abs=0.03)
    assert found["half"] == found["idle"] == 0


def test_contribution_changes_with_the_window() -> None:
    """Where a column always has one sign, it no longer distinguishes rows."""
    model, before, now = Formula(), draw(1), draw(2, used=5.0)
    scores = Detector(KINDS).detect(before, now).scores
    found = ranked(model, contributions(model, before), contributions(model, now), scores)
    first = found.columns[0]
    assert first.column == "used"
    assert first.change == pytest.approx(-0.4, abs=0.03)


def test_drift_is_ranked_by_its_effect_on_the_model() -> None:
    """The column that moves most comes last where the model does not use it."""
    model, before, now = Formula(), draw(1), draw(2, used=0.3, idle=3.0)
    scores = Detector(KINDS).detect(before, now).scores
    assert scores.drifted_columns == ("used", "idle")
    found = ranked(model, contributions(model, before), contributions(model, now), scores)
    by_name = {one.column: one for one in found.columns}
    assert found.columns[0].column == "used"
    assert by_name["idle"].drift == pytest.approx(30, rel=0.1)
    assert by_name["idle"].effect == 0
    assert by_name["used"].effect == pytest.approx(0.4 * 3, rel=0.3)
    assert found.reason
    assert found.reason.startswith("drift by its effect on the model: used (1.")
    assert found.reason.endswith("idle (0.00)")


@pytest.mark.slow
def test_surrogate_says_that_it_is_one() -> None:
    """Without a model, one that learnt the predictions stands in, with the share it foretells."""
    reference = draw(3, 5_000)
    model = Surrogate.learn(reference, KINDS)
    assert model
    assert model.basis == "surrogate"
    assert model.fidelity
    assert 0.9 < model.fidelity <= 1
    found = contributions(model, draw(4))
    assert found["used"] > 1.5 * found["half"] > 3 * found["idle"]
    study = Analyst(KINDS).study(
        reference, draw(5), Detector(KINDS).detect(draw(3), draw(5)).scores
    )
    assert study.to_dict()["contributions"]["basis"] == "surrogate"
    assert "surrogate that foretells 9" in study.tables()[-1].title


@pytest.mark.parametrize("odd", [{PREDICTION: None}, {PREDICTION: "1"}])
@pytest.mark.slow
def test_nothing_to_learn_gives_no_contributions(odd: dict[str, Any]) -> None:
    """Without predictions, or with one class of them, there is none; the study goes on."""
    before, now = (draw(seed).assign(**odd) for seed in (6, 7))
    assert Surrogate.learn(before, KINDS) is None
    found = Analyst(KINDS).study(before, now, Detector(KINDS).detect(before, now).scores)
    assert found.to_dict()["contributions"] is None
    assert found.domain.state == "tested"


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    """A forest of the use case that has categories and missing values."""
    return train(get_use_case("titanic"), None, 1, tmp_path_factory.mktemp("model") / "titanic")


@pytest.mark.slow
def test_served_model_answers_as_it_did(artefact: Artefact) -> None:
    """The ONNX model says of the reference rows what the artefact has of them, missing ones too."""
    kinds = kinds_of(artefact.schema)
    frame = reference_frame(artefact, kinds)
    model = OnnxModel(artefact)
    predicted = model.probabilities(model.coded(frame))
    classes = np.array([str(label) for label in artefact.schema.classes])
    assert classes[predicted.argmax(axis=1)].tolist() == frame[PREDICTION].tolist()
    assert sorted(place for places in model.places.values() for place in places) == [
        *range(model.coded(frame).shape[1])
    ]
    found = contributions(model, frame)
    assert set(found) == set(artefact.schema.names)
    assert max(found, key=found.__getitem__) == "Sex"


def test_rows_that_the_model_refuses_are_left_out(artefact: Artefact) -> None:
    """A category that the model does not know costs its row only."""
    frame = reference_frame(artefact, kinds_of(artefact.schema)).head(50).copy()
    frame.loc[3, "Sex"] = "unknown"
    model = OnnxModel(artefact)
    assert len(model.coded(frame)) == 49
    assert contributions(model, frame.loc[[3]]) == {}


def test_model_that_cannot_be_loaded_has_a_surrogate(
    artefact: Artefact, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that is no ONNX model is named in one line, and the study says what stands in."""
    (tmp_path / "model.onnx").write_bytes(b"no model")
    broken = replace(artefact, path=tmp_path)
    before, now = draw(8, 2_000), draw(9)
    analyst = Analyst(KINDS, lambda: OnnxModel(broken))
    found = analyst.study(before, now, Detector(KINDS).detect(before, now).scores)
    assert found.contributions
    assert found.contributions.basis == "surrogate"
    [line] = [r.getMessage() for r in caplog.records if r.name.startswith("testbed_drift")]
    assert f"cannot load {tmp_path / 'model.onnx'}" in line
    assert "\n" not in line


@pytest.mark.slow
def test_study_is_in_evidentlys_report() -> None:
    """Every score and contribution is a metric of Evidently's own form, in its JSON and page."""
    before, now = draw(8, 2_000), draw(9, used=0.5)
    detection = Detector(KINDS).detect(before, now)
    study = Analyst(KINDS, Formula).study(before, now, detection.scores)
    drawn = detection.with_relations(study)
    metrics = {
        (item["config"]["type"], item["config"].get("method") or item["config"].get("column")): item
        for item in drawn.metrics()
    }
    for _, comparison, _ in study.comparisons():
        for score in (comparison.test, comparison.effect):
            item = metrics["evidently:metric_v2:RelationScore", score.method]
            assert item["value"] == score.value
            assert item["config"]["threshold"] == score.threshold
    assert study.contributions
    for one in study.contributions.columns:
        item = metrics["evidently:metric_v2:FeatureContribution", one.column]
        assert item["value"] == one.current
        assert item["config"]["reference"] == one.reference
    page = drawn.html(tables=study.tables())
    assert "Contribution of used to the model" in page
    assert "Rank correlations that changed most" in page
    assert not [one for one in detection.metrics() if "RelationScore" in one["config"]["type"]]


@pytest.mark.slow  # imports Evidently
def test_metrics_are_the_same_from_run_to_run() -> None:
    """A metric's identity holds no value, so a history of it is one line."""
    from testbed_drift.rendering.foundmetrics import FeatureContribution  # noqa: PLC0415 - takes seconds

    first, again = (
        FeatureContribution(column="used", basis="model", current=value) for value in (0.1, 0.2)
    )
    other = FeatureContribution(column="idle", basis="model", current=0.1)
    assert first.metric_id == again.metric_id != other.metric_id


def test_points_stay_within_the_vocabulary() -> None:
    """Every metric has points, with the attributes and the closed values of the vocabulary."""
    before, now = draw(8, 2_000), draw(9, used=0.5)
    scores = Detector(KINDS).detect(before, now).scores
    points = list(of_relations(Analyst(KINDS, Formula).study(before, now, scores)))
    assert {metric for metric, _, _ in points} == set(OF_RELATIONS)
    for metric, value, attributes in points:
        assert {*attributes, names.MODEL_VERSION} == {*metric.attributes}
        assert np.isfinite(value)
        closed = dict(metric.values)
        assert all(attributes[attribute] in allowed for attribute, allowed in closed.items())


def test_job_studies_at_its_interval(
    tmp_path: Path,
    log: Any,  # noqa: ANN401 - a fake of conftest
    clock: Any,  # noqa: ANN401 - the same
    columns_of: Callable[..., Columns],
) -> None:
    """The record has the study; before the interval has passed the last one stands."""
    kinds: dict[str, ColumnKind] = {"size": "numeric", "colour": "category"}
    settings = DriftSettings(
        log_url="sqlite://",
        artefact=tmp_path,
        output=tmp_path,
        window=60,
        html="never",
        relations_interval=100,
    )
    reader = WindowReader("rf-1", kinds, 200, 5000)
    store = ReportStore(tmp_path)
    analyst, deaf = Analyst(kinds), NoPublisher()
    source = LogWindows(settings, reader, log)
    job = DriftJob(settings, source, Detector(kinds), store, deaf, clock, analyst=analyst)
    studies = []
    for number, seconds in enumerate([0, 99, 1]):
        clock.now += seconds
        log.current = columns_of(300 + number)
        result = job.run_once()
        assert result.finding, result.message
        studies.append(result.finding.relations)
    assert studies[0] is studies[1]
    assert studies[1] is not studies[2]
    record = json.loads((tmp_path / RUNS_FILE).read_text().splitlines()[0])
    assert record["relations"]["domain"]["state"] == "tested"
    assert record["relations"]["label"]["state"] == "few_labels"
    assert "contributions" in record

"""Several model versions: each evaluated by its own reference, published, alone in its failure."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from testbed_domain.artefact import Artefact
from testbed_domain.features import Feature, FeatureSchema
from testbed_domain.logstore import PredictionRow, open_log
from testbed_drift.evaluation.results import RunResult
from testbed_drift.jobs.multiversion import MultiVersionJob
from testbed_drift.jobs.versionjobs import VersionTask, folder, job_of
from testbed_drift.jobs.versionpublishing import VersionPublishers
from testbed_drift.settings import DriftSettings
from testbed_drift.workers import Workers
from testbed_otel import names

from tests.support import artefacts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = 1_000_000.0
SCHEMA = FeatureSchema(
    (Feature("size", "number", "A size."), Feature("age", "number", "An age.")), "y", (0, 1), 1
)


def _rows(count: int, seed: int, shift: float = 0.0) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    return [
        {
            "features": {"size": float(rng.normal(shift)), "age": float(rng.normal())},
            "prediction": (answer := str(int(rng.random() < 0.4))),
            "probability": 0.8,
            "probabilities": {answer: 0.8, str(1 - int(answer)): 0.2},
        }
        for _ in range(count)
    ]


def _artefact(path: Path, name: str, seed: int) -> Artefact:
    """An artefact that holds together; nobody looks into its model."""
    lines = [json.dumps(row | {"label": row["prediction"]}) for row in _rows(600, seed)]
    files = {"model.onnx": b"no model", "reference.jsonl": "\n".join(lines).encode()}
    return artefacts.written(path, SCHEMA, files, name, splits={"reference": 600})


@dataclass
class Place:
    """A champion, a challenger of the same model, another model, and their log."""

    champion: Artefact
    challenger: Artefact
    other: Artefact
    settings: DriftSettings
    said: list[RunResult] = field(default_factory=list)

    def predict(self, artefact: Artefact, count: int, shift: float = 0.0) -> None:
        """Log predictions of the last ten seconds."""
        with open_log(self.settings.log_url) as log:
            log.register_reference(artefact)
            log.append(
                [
                    PredictionRow(
                        f"{artefact.version}-{place}",
                        NOW - 10 + place / count,
                        None,
                        "one",
                        artefact.name,
                        artefact.version,
                        **row,
                    )
                    for place, row in enumerate(_rows(count, 9, shift))
                ]
            )

    def multi_version_job(
        self,
        publisher: Any,  # noqa: ANN401 - a fake
        workers: Workers | None = None,
        **changes: Any,  # noqa: ANN401 - settings
    ) -> MultiVersionJob:
        """The jobs of all versions."""
        settings = self.settings.model_copy(update={"versions": 9} | changes)
        own = job_of(VersionTask(settings, self.champion.name, self.champion.version))
        own.clock = lambda: NOW
        return MultiVersionJob(
            own,
            settings,
            lambda: open_log(settings.log_url, create=False),
            publisher,
            lambda: NOW,
            self.said.append,
            workers,
        )


@dataclass
class FakePublisher:
    """Remembers what it was given."""

    published: dict[str, Any] = field(default_factory=dict)
    forgotten: list[set[str]] = field(default_factory=list)

    def publish(self, version: str, found: Any) -> None:  # noqa: ANN401 - one of two
        """Remember it."""
        self.published[version] = found

    def forget(self, versions: set[str]) -> None:
        """Remember it."""
        self.forgotten.append(versions)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Three artefacts and a log in which the champion's traffic is as its reference."""
    champion = _artefact(tmp_path / "champion", "model", 1)
    challenger = _artefact(tmp_path / "more" / "challenger", "model", 2)
    other = _artefact(tmp_path / "elsewhere" / "other", "other", 3)
    settings = DriftSettings(
        log_url=f"sqlite:///{tmp_path / 'log.db'}",
        artefact=champion.path,
        output=tmp_path / "drift",
        current_window=f"{_iso(NOW - 60)}/{_iso(NOW)}",
        html="never",
    )
    made = Place(champion, challenger, other, settings)
    made.predict(champion, 400)
    return made


def _iso(time: float) -> str:
    return str(np.datetime64(int(time), "s")) + "Z"


@pytest.mark.parametrize("count", [None, 2])
@pytest.mark.slow
def test_versions_are_evaluated_each_against_its_own_reference(
    place: Place, count: int | None
) -> None:
    """The challenger drifted and the champion did not; the other model breaks alone."""
    place.predict(place.challenger, 400, shift=1.0)
    place.predict(place.other, 400)
    publisher = FakePublisher()
    with Workers(count or 1) as workers:
        multi_version_job = place.multi_version_job(publisher, workers if count else None)
        result = multi_version_job.run_once()
    assert result.finding
    assert result.finding.scores.drifted_columns == ()
    found = multi_version_job.others[place.challenger.version]
    assert found.finding
    assert found.finding.scores.drifted_columns == ("size",)
    assert found.finding.assessment
    assert found.finding.assessment.estimate.state == "estimated"
    home = place.settings.output / folder(place.challenger.version)
    assert found.finding.json
    assert found.finding.json.parent == home
    assert json.loads((home / "runs.jsonl").read_text())["model_version"] == found.model_version
    broken = multi_version_job.others[place.other.version]
    assert (broken.outcome, broken.finding) == ("error", None)
    assert "TESTBED_DRIFT_ARTEFACTS" in broken.message
    assert {one.model_version for one in place.said} == set(multi_version_job.others)
    assert set(publisher.published) == publisher.forgotten[-1] == set(multi_version_job.others)


def test_artefacts_of_further_models_are_found(place: Place) -> None:
    """A model of another name is evaluated by its own artefact's schema where that is at hand."""
    place.predict(place.other, 400)
    root = place.other.path.parent
    (root / "broken").mkdir()
    (root / "broken" / "artefact.json").write_text("{")
    multi_version_job = place.multi_version_job(FakePublisher(), artefacts=root)
    multi_version_job.run_once()
    assert multi_version_job.others[place.other.version].outcome == "success"


def test_only_so_many_versions_are_evaluated(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """Of more versions than are wanted, those with most rows are evaluated, and the log says so."""
    place.predict(place.challenger, 300)
    place.predict(place.other, 250)
    multi_version_job = place.multi_version_job(FakePublisher(), versions=2)
    multi_version_job.run_once()
    assert list(multi_version_job.others) == [place.challenger.version]
    assert "3 versions in the window, 2 evaluated" in caplog.text


def test_few_rows_of_a_version_are_stated(place: Place) -> None:
    """A version with too few rows is insufficient data, with both numbers."""
    place.predict(place.challenger, 20)
    multi_version_job = place.multi_version_job(FakePublisher())
    multi_version_job.run_once()
    found = multi_version_job.others[place.challenger.version]
    assert found.outcome == "insufficient_data"
    assert "20 rows" in found.message
    assert "200 needed" in found.message


def test_a_log_that_is_away_leaves_the_own_version_its_say(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the versions can't be read, the job of the own version runs and reports."""
    multi_version_job = place.multi_version_job(FakePublisher())

    def away() -> Any:  # noqa: ANN401 - never returns
        raise OSError("no such disk")

    with caplog.at_level(logging.ERROR):
        broken = replace(multi_version_job, open_log=away)
        assert broken.run_once().outcome == "success"
    assert broken.others == {}
    assert "cannot read the versions: no such disk" in caplog.text


class Collected:
    """Publishers of versions with the reader that collects from them."""

    def __init__(self, output: Path) -> None:
        self._reader = InMemoryMetricReader()
        self._provider = MeterProvider([self._reader])
        self.publishers = VersionPublishers(self._provider.get_meter, output)

    def close(self) -> None:
        """End the provider."""
        self._provider.shutdown()

    def points(self) -> dict[str, list[tuple[dict[str, Any], float]]]:
        """Metric name to attributes and values, of all scopes."""
        found: dict[str, list[tuple[dict[str, Any], float]]] = {}
        data = self._reader.get_metrics_data()
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name.startswith("otel."):  # the SDK about itself, where that is on
                        continue
                    for point in metric.data.data_points:
                        value: Any = getattr(point, "value", None)
                        found.setdefault(metric.name, []).append(
                            (dict(point.attributes or {}), value)
                        )
        return found


@pytest.fixture
def collected(tmp_path: Path) -> Iterator[Collected]:
    """Publishers with an in-memory reader."""
    made = Collected(tmp_path / "drift")
    yield made
    made.close()


def _ratios(collected: Collected) -> dict[str, float]:
    points = collected.points().get(names.DRIFT_RATIO.name, [])
    return {attributes[names.MODEL_VERSION]: value for attributes, value in points}


def test_versions_are_published_beside_each_other(place: Place, collected: Collected) -> None:
    """Each version has its own series, and nothing is said twice of the job as a whole."""
    place.predict(place.challenger, 400, shift=1.0)
    place.predict(place.other, 20)
    multi_version_job = place.multi_version_job(
        collected.publishers, artefacts=place.other.path.parent
    )
    multi_version_job.run_once()
    assert _ratios(collected) == {place.challenger.version: 0.5}
    found = collected.points()
    for name in found:
        [metric] = [metric for metric in names.METRICS if metric.name == name]
        assert names.MODEL_VERSION in metric.attributes
    states = {
        (attributes[names.MODEL_VERSION], attributes[names.OUTCOME]): value
        for attributes, value in found[names.DRIFT_VERSION_STATE.name]
    }
    assert states[place.challenger.version, "success"] == 1
    assert states[place.other.version, "insufficient_data"] == 1
    assert sum(states.values()) == 2


def test_values_of_a_version_end_with_its_rows(place: Place, collected: Collected) -> None:
    """A version that the window no longer holds has no series, until it is back."""
    place.predict(place.challenger, 400)
    multi_version_job = place.multi_version_job(collected.publishers)
    multi_version_job.run_once()
    [kept] = _ratios(collected)
    collected.publishers.forget(set())
    assert names.DRIFT_RATIO.name not in collected.points()
    assert names.DRIFT_VERSION_STATE.name not in collected.points()
    multi_version_job.run_once()
    assert list(_ratios(collected)) == [kept]

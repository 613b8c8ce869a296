"""RETRAIN with the real API: a challenger is trained, compared, and promoted or not."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from testbed_domain.artefact import load_artefact
from testbed_domain.training import TrainingOptions, train
from testbed_domain.use_cases import get_use_case

from .drift_place import DriftPlace, traffic
from .test_tracking import _client, _runs
from .test_tracking import server as server  # noqa: PLC0414 - a fixture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from testbed_domain.artefact import Artefact
    from testbed_domain.features import Row

SHIFTED = ("Glucose", "BloodPressure", "SkinThickness", "BMI", "Age")
ROWS = 700


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    """A forest with a reference that is large enough to evaluate by."""
    options = TrainingOptions(20, 6, train_rows=1500, test_rows=300, reference_rows=1000)
    out = tmp_path_factory.mktemp("champion") / "model"
    return train(get_use_case("diabetes"), None, 1, out, options)


class Service:
    """The running API, asked as callers and operators do."""

    def __init__(self, api: Any) -> None:  # noqa: ANN401 - the fixture's own
        self._public = httpx.Client(base_url=f"http://127.0.0.1:{api.port}", timeout=60)
        self._management = httpx.Client(
            base_url=f"http://127.0.0.1:{api.management_port}", timeout=60
        )
        self.management = f"http://127.0.0.1:{api.management_port}"
        self.token_file = api.token_file

    def close(self) -> None:
        """Close the connections."""
        self._public.close()
        self._management.close()

    def roles(self) -> dict[str, str]:
        """Role to version."""
        found = self._management.get("/models").raise_for_status().json()
        return {model["role"]: model["version"] for model in found["versions"]}

    def predict(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Answers to rows."""
        return [self._public.post("/predict", json=row).raise_for_status().json() for row in rows]

    def label(self, answers: Sequence[dict[str, Any]], labels: Sequence[object]) -> None:
        """Labels of predictions."""
        items = [
            {"prediction_id": answer["prediction_id"], "label": label}
            for answer, label in zip(answers, labels, strict=True)
        ]
        self._public.post("/labels", json={"labels": items}).raise_for_status()


@pytest.fixture
def service(champion: Artefact, start_api: Callable[..., Any], tmp_path: Path) -> Iterator[Service]:
    """The API with the champion and a log."""
    made = Service(start_api(champion.path, log_url=f"sqlite:///{tmp_path / 'log.db'}"))
    yield made
    made.close()


@pytest.fixture
def place(champion: Artefact, service: Service, tmp_path: Path) -> Iterator[DriftPlace]:
    """The drift job beside it."""
    options = (
        *("--html=never", "--otlp-endpoint=none", "--on-retrain=builtin"),
        f"--management-urls={service.management}",
        f"--management-token-file={service.token_file}",
        *("--retrain-min-rows=500", "--retrain-cooldown=3600", "--max-rows=2000"),
    )
    url = f"sqlite:///{tmp_path / 'log.db'}"
    made = DriftPlace(champion, url, tmp_path / "drift", options)
    yield made
    made.close()


def _shifted(rows: Sequence[Row]) -> list[Row]:
    """Rows of another population, all within what the API takes."""
    return [
        row
        | {name: round(float(row[name] or 0) * 1.25 + 5, 1) for name in SHIFTED if name != "Age"}
        | {"Age": min(100, int(float(row["Age"] or 0)) + 15)}
        for row in rows
    ]


def _accuracy(answers: Sequence[dict[str, Any]], labels: Sequence[object]) -> float:
    right = [bool(a["prediction"] == label) for a, label in zip(answers, labels, strict=True)]
    return sum(right) / len(right)


def test_better_challenger_is_promoted_and_accuracy_recovers(
    champion: Artefact, service: Service, place: DriftPlace
) -> None:
    """Drift with other labels: RETRAIN, a better model, its promotion, a job that follows it."""
    rows, texts = traffic(2 * ROWS, 5)
    rows, labels = _shifted(rows), [1 - int(text) for text in texts]
    before = service.predict(rows[:ROWS])
    service.label(before, labels[:ROWS])
    process = place.start("watch", "--interval=0.5")
    place.wait(lambda: "champion" in _last(place), process)
    kept = _last(place)
    assert kept["outcome"] == "promoted", kept
    assert service.roles() == {"champion": kept["challenger"], "previous": champion.version}
    assert kept["trial"]["challenger"]["accuracy"] > kept["trial"]["champion"]["accuracy"]
    after = service.predict(rows[ROWS:])
    service.label(after, labels[ROWS:])
    assert {answer["model_version"] for answer in after} == {kept["challenger"]}
    old, new = _accuracy(before, labels[:ROWS]), _accuracy(after, labels[ROWS:])
    assert new > old + 0.2

    def follows() -> bool:
        last = place.records[-1]
        if (last["model_version"], last["outcome"]) != (kept["challenger"], "success"):
            return False
        return bool(last["performance"]["realised"]["labels"] == ROWS)

    place.wait(follows, process)
    found = place.records[-1]
    assert found["performance"]["realised"]["accuracy"] == pytest.approx(new)
    assert found["decision"] != "RETRAIN", found["reasons"]
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert "retraining: promoted: better: accuracy" in err
    assert len((place.output / "retraining.jsonl").read_text().splitlines()) == 1


def test_challenger_of_the_job_stands_on_a_tracking_server(
    service: Service,
    place: DriftPlace,
    server: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The run that asked for it, and the model that the API now has, beside its hold-out scores."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "retraining")
    rows, texts = traffic(ROWS, 8)
    answers = service.predict(_shifted(rows))
    service.label(answers, [1 - int(text) for text in texts])
    done = place.run()
    assert done.returncode == 1, done.stderr
    assert "tracking" not in done.stderr
    runs = {run.data.tags["kind"]: run for run in _runs(server, "retraining")}
    assert runs["drift"].data.tags["decision"] == "RETRAIN"
    logged, kept = runs["challenger"], _last(place)
    assert logged.data.tags["verdict"] == kept["outcome"] == "promoted"
    assert logged.data.tags["model_version"] == service.roles()["champion"]
    for role in ("champion", "challenger"):
        accuracy = logged.data.metrics[f"{role}.accuracy"]
        assert accuracy == kept["trial"][role]["accuracy"]
    copy = _client(server).download_artifacts(logged.info.run_id, "", str(tmp_path / "copy"))
    assert load_artefact(Path(copy)).version == kept["challenger"]


def test_champion_stays_where_nothing_is_better(
    champion: Artefact, service: Service, place: DriftPlace
) -> None:
    """Drift that costs no accuracy: RETRAIN tries, the champion stays, no challenger is left."""
    rows = _shifted(traffic(ROWS, 6)[0])
    answers = service.predict(rows)
    service.label(answers, [answer["prediction"] for answer in answers])
    done = place.run()
    assert done.returncode == 1, done.stderr
    assert "retraining: kept: not better: accuracy 1.000 of the champion" in done.stderr
    assert service.roles() == {"champion": champion.version}
    assert place.run().returncode == 1
    assert len((place.output / "retraining.jsonl").read_text().splitlines()) == 1, "no cool-down"


def test_api_that_refuses_is_an_outcome(
    champion: Artefact, service: Service, place: DriftPlace
) -> None:
    """Where the challenger can't be registered the run's own result stands, and says so."""
    rows = _shifted(traffic(ROWS, 7)[0])
    answers = service.predict(rows)
    service.label(answers, [1 - answer["prediction"] for answer in answers])
    done = place.run("--management-urls=http://127.0.0.1:9", "--json")
    assert done.returncode == 1, done.stderr
    assert "retraining: failed: GET http://127.0.0.1:9/models" in done.stderr
    assert '"outcome": "failed"' in done.stdout
    assert service.roles() == {"champion": champion.version}


def _last(place: DriftPlace) -> dict[str, Any]:
    path = place.output / "retraining.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    last: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    return last

"""Runs of the drift job on a real MLflow tracking server, and with one that is down."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.metrics import NoOpMeter
from testbed_domain.artefact import load_artefact
from testbed_domain.logstore import open_log
from testbed_drift.settings import DriftSettings
from testbed_drift.storage.tracking import Tracker
from testbed_drift.storage.trackingclient import connect

from tests.bench.peers.environments import EnvironmentMissingError, environment
from tests.conftest import missing
from tests.support.ports import free_port

from .test_drift_job import Place, _artefact

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.stack

DEADLINE = 240.0
# It has background jobs of its own, which nobody needs here.
SERVER = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An MLflow server on SQLite that stores artifacts itself, in an environment of its own."""
    try:
        program = environment("mlflow") / "mlflow"
    except EnvironmentMissingError as error:
        missing(f"a server of MLflow: {error}")
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    options = (
        f"--backend-store-uri=sqlite:///{folder}/mlflow.db",
        f"--artifacts-destination={folder}/artifacts",
        "--host=127.0.0.1",
        f"--port={port}",
        "--workers=1",
    )
    with (folder / "log").open("wb") as output:
        process = subprocess.Popen(
            [program, "server", *options],
            env=os.environ | SERVER,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _until_healthy(process, url, folder / "log")
        yield url
    finally:
        # The server's own children are in its group.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _until_healthy(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + DEADLINE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):  # noqa: S310 - our own address
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    pytest.fail(log.read_text())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A registered model whose log holds 300 rows that drifted."""
    artefact = _artefact(tmp_path / "model")
    found = Place(artefact, f"sqlite:///{tmp_path}/log.db", tmp_path / "drift")
    with open_log(found.url) as log:
        log.register_reference(artefact)
    found.predict(300, seed=2, shift=1.0)
    return found


def _client(server: str) -> Any:  # noqa: ANN401 - MLflow has no types
    from mlflow import MlflowClient  # noqa: PLC0415 - an extra, and slow

    return MlflowClient(server)


def _runs(server: str, experiment: str) -> list[Any]:
    client = _client(server)
    found = client.get_experiment_by_name(experiment)
    return list(client.search_runs([found.experiment_id]))


def test_run_stands_on_the_server(
    place: Place, server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Decision, scores, thresholds and both reports, which come back as they were written."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "runs")
    done = place.run("--relations-rows=0")  # the model here can't be asked
    assert (done.returncode, done.stderr) == (1, "")
    [run] = _runs(server, "runs")
    [record] = place.records
    assert (run.info.status, run.data.tags["decision"]) == ("FINISHED", record["decision"])
    assert run.data.tags["model_version"] == place.artefact.version
    assert run.data.metrics["drift_share"] == record["drift_share"]
    size = record["columns"]["size"]
    assert run.data.metrics[f"score/size/{size['method']}"] == size["score"]
    assert float(run.data.params[f"threshold/size/{size['method']}"]) == size["threshold"]
    assert run.data.params["current/rows"] == "300"
    for name in (record["json"], record["html"]):
        copy = _client(server).download_artifacts(run.info.run_id, name, str(tmp_path))
        assert Path(copy).read_bytes() == (place.output / name).read_bytes()


def test_challenger_stands_on_the_server(
    place: Place, server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its files come back as a whole artefact."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "challengers")
    settings = DriftSettings(log_url=place.url, artefact=place.artefact.path)
    tracker = Tracker(connect, settings, NoOpMeter("test"), time.time)
    scores = {"holdout/champion/accuracy": 0.8, "holdout/challenger/accuracy": 0.9}
    assert tracker.log_challenger(place.artefact, scores, "promoted") == "logged"
    [run] = _runs(server, "challengers")
    assert run.data.metrics == scores
    assert (run.data.tags["kind"], run.data.tags["verdict"]) == ("challenger", "promoted")
    copy = _client(server).download_artifacts(run.info.run_id, "", str(tmp_path))
    assert load_artefact(Path(copy)).version == place.artefact.version


def test_server_that_is_down_stops_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The decision, the reports and the exit code are as ever; one line says what is missing."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    done = place.run()
    assert done.returncode == 1
    assert "decision=RETRAIN" in done.stdout
    [line] = [line for line in done.stderr.splitlines() if "tracking" in line]
    assert "is not logged to the tracking server, which is left alone for 300 s" in line
    assert "Traceback" not in done.stderr
    assert place.records[0]["outcome"] == "success"

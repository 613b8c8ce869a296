"""Runs of the drift job on a real MLflow tracking server, and with one that is down."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from opentelemetry.metrics import NoOpMeter
from testbed_domain.artefact import load_artefact
from testbed_drift.storage.tracking import Tracker
from testbed_drift.storage.trackingclient import connect

from tests.support.polling import PATIENCE
from tests.support.ports import free_port
from tests.support.typedpage import DOCS, typed_in, variables_in

from .drift_place import traffic
from .retraining_service import last_retraining, shifted
from .tracking_server import client, runs, tracking_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .drift_place import DriftPlace
    from .made_up_place import MadeUpPlace
    from .retraining_service import Service

ROWS = 700
PAGE = "how-to/track-with-mlflow.md"
# Settings of the job that trains.
OPTIONS = (
    *("--html=never", "--otlp-endpoint=none", "--retrain-min-rows=500"),
    *("--retrain-cooldown=3600", "--max-rows=2000"),
)


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a tracking server."""
    with tracking_server(tmp_path_factory.mktemp("mlflow")) as url:
        yield url


@pytest.fixture
def drifted(place: MadeUpPlace) -> MadeUpPlace:
    """A model whose log holds 300 rows that drifted."""
    place.predict(300, seed=2, shift=1.0)
    return place


def _typed(place: MadeUpPlace, server: str, *options: str) -> subprocess.CompletedProcess[str]:
    """The page's command, with the address of another server, on the log of a place."""
    (variable,) = variables_in(PAGE, "testbed drift run")
    own = {"log-url": place.url, "artefact": place.artefact.path, "output": place.output}
    given = [f"--{name}={value}" for name, value in own.items()]
    return subprocess.run(
        [
            Path(sys.executable).with_name("testbed"),
            *typed_in(PAGE, "testbed drift run"),
            *given,
            *options,
        ],
        cwd=place.output.parent,
        env=os.environ | {variable: server},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def _shown_names() -> dict[str, list[str]]:
    """What the page's table says of a run without relations and segments: kind to names."""
    text = (DOCS / PAGE).read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \| (tags|parameters|metrics) \|$", text, re.MULTILINE)
    assert len(rows) == 2
    found = {kind: re.findall(r"`([^`]+)`", names) for names, kind in rows}
    (parameters,) = re.findall(r"both windows; (`.*?) \| parameters", text)
    return found | {"parameters": re.findall(r"`([^`]+)`", parameters)}


def test_run_stands_on_the_server(
    drifted: MadeUpPlace, tracking: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Decision, scores, thresholds and both reports, which come back as they were written.

    The command is the page's, and every name of its table is there.
    """
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "runs")
    done = _typed(drifted, tracking, "--relations-rows=0")  # the model here can't be asked
    assert (done.returncode, done.stderr) == (1, "")
    [run] = runs(tracking, "runs")
    stored = {"tags": run.data.tags, "parameters": run.data.params, "metrics": run.data.metrics}
    for kind, shown in _shown_names().items():
        for name in shown:
            pattern = re.sub(r"[A-Z]+", "[^/]+", name)
            if name not in {"drift", "challenger"}:  # values of the tag before
                assert any(re.fullmatch(pattern, each) for each in stored[kind]), (kind, name)
    assert run.data.tags["kind"] == "drift"
    [record] = drifted.records
    assert (run.info.status, run.data.tags["decision"]) == ("FINISHED", record["decision"])
    assert run.data.tags["model_version"] == drifted.artefact.version
    assert run.data.metrics["drift_share"] == record["drift_share"]
    size = record["columns"]["size"]
    assert run.data.metrics[f"score/size/{size['method']}"] == size["score"]
    assert float(run.data.params[f"threshold/size/{size['method']}"]) == size["threshold"]
    assert run.data.params["current/rows"] == "300"
    for name in (record["json"], record["html"]):
        copy = client(tracking).download_artifacts(run.info.run_id, name, str(tmp_path))
        assert Path(copy).read_bytes() == (drifted.output / name).read_bytes()


def test_challenger_stands_on_the_server(
    drifted: MadeUpPlace, tracking: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its files come back as a whole artefact."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "challengers")
    tracker = Tracker(connect, NoOpMeter("test"), time.time)
    scores = {"holdout/champion/accuracy": 0.8, "holdout/challenger/accuracy": 0.9}
    assert tracker.log_challenger(drifted.artefact, scores, "promoted") == "logged"
    [run] = runs(tracking, "challengers")
    assert run.data.metrics == scores
    assert (run.data.tags["kind"], run.data.tags["verdict"]) == ("challenger", "promoted")
    copy = client(tracking).download_artifacts(run.info.run_id, "", str(tmp_path))
    assert load_artefact(Path(copy)).version == drifted.artefact.version


def test_server_that_is_down_stops_nothing(
    drifted: MadeUpPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decision, the reports and the exit code are as ever; one line says what is missing."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    done = drifted.run()
    assert done.returncode == 1
    assert "decision=RETRAIN" in done.stdout
    [line] = [line for line in done.stderr.splitlines() if "tracking" in line]
    assert "is not logged to the tracking server, which is left alone for 300 s" in line
    assert "Traceback" not in done.stderr
    assert drifted.records[0]["outcome"] == "success"


def test_challenger_of_the_job_stands_on_a_tracking_server(
    service: Service,
    job: DriftPlace,
    tracking: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The run that asked for it, and the model that the API now has, beside its hold-out scores."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "retraining")
    rows, texts = traffic(ROWS, 8)
    answers = service.predict(shifted(rows))
    service.label(answers, [1 - int(text) for text in texts])
    done = job.run()
    assert done.returncode == 1, done.stderr
    assert "tracking" not in done.stderr
    found = {run.data.tags["kind"]: run for run in runs(tracking, "retraining")}
    assert found["drift"].data.tags["decision"] == "RETRAIN"
    logged, kept = found["challenger"], last_retraining(job.output)
    assert logged.data.tags["verdict"] == kept["outcome"] == "promoted"
    assert logged.data.tags["model_version"] == service.roles()["champion"]
    for role in ("champion", "challenger"):
        accuracy = logged.data.metrics[f"{role}.accuracy"]
        assert accuracy == kept["trial"][role]["accuracy"]
    copy = client(tracking).download_artifacts(logged.info.run_id, "", str(tmp_path / "copy"))
    assert load_artefact(Path(copy)).version == kept["challenger"]

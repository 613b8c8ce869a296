"""The drift job as a real process on a real SQLite log."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from prometheus_client.parser import text_string_to_metric_families
from testbed_domain.artefact import Artefact, content_version, load_artefact
from testbed_domain.features import Feature, FeatureSchema
from testbed_domain.logstore import PredictionRow, open_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.stack

DEADLINE = 60.0
SCHEMA = FeatureSchema(
    features=(
        Feature("size", "number", "A size."),
        Feature("count", "integer", "A count."),
        Feature("colour", "category", "A colour.", categories=("red", "blue")),
        Feature("weight", "number", "Missing here and there.", nullable=True),
    ),
    target="good",
    classes=(0, 1),
    positive_class=1,
)


def _rows(count: int, seed: int, shift: float = 0.0) -> list[dict[str, Any]]:
    """Rows as in ``reference_rows``; ``shift`` moves the numbers and the share of colours."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        weight = round(float(rng.normal(70 + 10 * shift, 10)), 2)
        features = {
            "size": float(rng.normal(shift, 1)),
            "count": int(rng.poisson(4 + 2 * shift)),
            "colour": "red" if rng.random() < 0.5 + 0.2 * shift else "blue",
            "weight": None if rng.random() < 0.1 else weight,
        }
        truth = str(int(rng.random() < 0.35))
        probabilities = {"0": 0.8, "1": 0.2} if truth == "0" else {"0": 0.2, "1": 0.8}
        rows.append(
            {
                "features": features,
                "prediction": truth,
                "probability": 0.8,
                "probabilities": probabilities,
                "label": truth,
            }
        )
    return rows


def _artefact(path: Path) -> Artefact:
    """An artefact that holds together; the drift job never looks into its model."""
    path.mkdir()
    reference = _rows(600, seed=1)
    files = {
        "model.onnx": b"no model",
        "reference.jsonl": "".join(json.dumps(row) + "\n" for row in reference).encode(),
    }
    for name, content in files.items():
        (path / name).write_bytes(content)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    artefact = Artefact(
        path=path,
        name="made-up",
        version=content_version("made-up", SCHEMA, hashes),
        use_case="made-up",
        created="2026-11-21T00:00:00Z",
        seed=1,
        synthetic=True,
        source={"kind": "test"},
        sampling="independent draws",
        schema=SCHEMA,
        metrics={},
        splits={"reference": len(reference)},
        libraries={},
        files=hashes,
    )
    (path / "artefact.json").write_text(json.dumps(artefact.manifest()))
    return load_artefact(path)


@dataclass
class Place:
    """A model, its log and the job's output directory."""

    artefact: Artefact
    url: str
    output: Path

    def predict(self, count: int, *, seed: int, shift: float = 0.0) -> None:
        """Log predictions of the last minute, half of them labelled."""
        now = time.time()
        rows = [
            PredictionRow(
                id=str(uuid.uuid4()),
                time=now - 60 * (count - index) / count,
                request_id=None,
                instance="test",
                model_name=self.artefact.name,
                model_version=self.artefact.version,
                features=row["features"],
                prediction=row["prediction"],
                probability=row["probability"],
                probabilities=row["probabilities"],
            )
            for index, row in enumerate(_rows(count, seed, shift))
        ]
        with open_log(self.url) as log:
            log.append(rows)
            log.append_labels([(row.id, row.prediction, now) for row in rows[::2]])

    def command(self, name: str, *options: str) -> list[str]:
        """The command line of the job."""
        settings = {"log-url": self.url, "artefact": self.artefact.path, "output": self.output}
        common = [f"--{option}={value}" for option, value in settings.items()]
        return [sys.executable, "-m", "testbed_drift", name, *common, *options]

    def run(self, *options: str, endpoint: str = "none") -> subprocess.CompletedProcess[str]:
        """Run the job once."""
        command = self.command("run", f"--otlp-endpoint={endpoint}", *options)
        return subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=DEADLINE
        )

    @property
    def records(self) -> list[dict[str, Any]]:
        """Lines of the runs file."""
        path = self.output / "runs.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A registered model with an empty log."""
    artefact = _artefact(tmp_path / "model")
    url = f"sqlite:///{tmp_path / 'log.db'}"
    with open_log(url) as log:
        log.register_reference(artefact)
    return Place(artefact, url, tmp_path / "drift")


@dataclass
class Collector:
    """An OTLP endpoint that keeps what it is sent."""

    server: http.server.HTTPServer
    requests: list[ExportMetricsServiceRequest] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Base URL of the endpoint."""
        return f"http://127.0.0.1:{self.server.server_port}"

    def values(self, name: str) -> list[float]:
        """Values of a gauge in the last request."""
        return [
            point.as_double or point.as_int
            for resource in self.requests[-1].resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.gauge.data_points
        ]


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A real HTTP server on a free port of the loopback."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/metrics":
                made.requests.append(ExportMetricsServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return None

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Collector(server)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield made
        server.shutdown()
        thread.join()


def _wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the condition did not come in time"
        time.sleep(0.02)


@pytest.fixture
def start() -> Iterator[Callable[[list[str]], subprocess.Popen[str]]]:
    """Starts processes and ends those that the test left running."""
    started: list[subprocess.Popen[str]] = []

    def begin(command: list[str]) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_the_log_is_walked_window_by_window(place: Place) -> None:
    """A line per window of a real log, by rows or by time, and the exit code of them all."""
    place.predict(800, seed=3, shift=1.0)
    elsewhere = place.output.with_name("elsewhere")
    alone = ("--html=never", "--relations-rows=0")  # the model here can't be asked
    done = place.run("--window-rows=400", "--every=400", *alone, f"--report={elsewhere}")
    assert (done.returncode, done.stderr) == (1, "")
    assert len(done.stdout.splitlines()) == 2
    assert len((elsewhere / "runs.jsonl").read_text().splitlines()) == 2
    assert not place.output.exists()
    done = place.run("--window=1m", "--every=30s", "--min-rows=100", *alone, "--json")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, len(found) >= 2) == (1, True)
    assert len({one["windows"]["current"]["name"] for one in found if "windows" in one}) >= 2


def test_groups_of_the_walked_log_are_published(place: Place, tmp_path: Path) -> None:
    """As segments of one run, the last window of each; nobody decides on the whole."""
    place.predict(800, seed=3, shift=1.0)
    file = tmp_path / "walk.prom"
    done = place.run(
        "--html=never",
        "--relations-rows=0",
        "--segment=colour",
        "--window-rows=100",
        "--every=100",
        "--min-rows=100",
        f"--textfile={file}",
    )
    assert (done.returncode, done.stderr) == (1, "")
    values = {
        (sample.name, sample.labels.get("segment"), sample.labels.get("decision")): sample.value
        for family in text_string_to_metric_families(file.read_text())
        for sample in family.samples
    }
    for segment in ("colour=red", "colour=blue"):
        assert values["ml_drift_segment_decision", segment, "RETRAIN"] == 1
        assert values["ml_data_drift_segment_share", segment, None] >= 2 / 3
    assert not {name for name, *_ in values} & {"ml_drift_decision", "ml_data_drift_share"}
    runs = [line for line in file.read_text().splitlines() if line.startswith("ml_drift_job_runs")]
    assert [line.rpartition(" ")[2] for line in sorted(runs)] == ["0.0", "0.0", "1.0"]


def test_traffic_like_the_reference_needs_no_action(place: Place) -> None:
    """Exit 0, both reports, and the decision in one line."""
    place.predict(500, seed=2)
    done = place.run()
    assert done.returncode == 0, done.stderr
    found = re.fullmatch(
        r"report=(\S+) json=(\S+) drift_share=0\.00 decision=NO_ACTION \(< 0\.30\) "
        r"target_drift=0\.\d+ prediction_drift=0\.\d+\n",
        done.stdout,
    )
    assert found, done.stdout
    names = [os.path.basename(path) for path in found.groups()]  # noqa: PTH119 - as printed
    version = place.artefact.version
    assert re.fullmatch(rf"drift_reference-{version}_vs_\d{{8}}T\d{{6}}Z-\S+\.html", names[0])
    assert sorted(path.name for path in place.output.iterdir()) == sorted(
        [*names, "published.json", "runs.jsonl"]
    )


def test_drifted_traffic_asks_for_action(place: Place, collector: Collector) -> None:
    """Exit 1, the drifted columns named, and the scores sent before the process ends."""
    place.predict(500, seed=3, shift=1.0)
    done = place.run("--json", endpoint=collector.url)
    assert done.returncode == 1, done.stderr
    record = json.loads(done.stdout)
    assert (record["decision"], record["drift_share"]) == ("RETRAIN", 1.0)
    assert record["rows"] == {"reference": 600, "current": 500}
    assert place.records == [record]
    for name in (record["html"], record["json"]):
        assert (place.output / name).stat().st_size > 1000
    assert collector.values("ml.data_drift.share") == [1.0]
    assert collector.values("ml.data_drift.column_detected") == [1.0] * 4
    assert len(collector.values("ml.drift.job.last_completed.timestamp")) == 1
    performance = record["performance"]
    assert performance["realised"]["accuracy"] == 1.0
    assert performance["estimated"]["accuracy"] == 1.0
    assert performance["labels"]["coverage"] == 0.5
    assert collector.values("ml.labels.coverage") == [0.5]
    assert 1.0 in collector.values("ml.performance.score")
    page = (place.output / record["html"]).read_text()
    assert "Performance on the 250 of 500 rows" in page
    assert "Data quality" in page


def test_run_without_a_decision_repeats_the_last_values(place: Place, collector: Collector) -> None:
    """A job that runs once and finds too few rows sends what the run before it found."""
    place.predict(500, seed=3, shift=1.0)
    assert place.run(endpoint=collector.url).returncode == 1
    sent = {name: collector.values(name) for name in ("ml.data_drift.share", "ml.labels.coverage")}
    done = place.run("--current-window=2020-01-01/2020-01-02", endpoint=collector.url)
    assert done.returncode == 2, done.stderr
    assert {name: collector.values(name) for name in sent} == sent
    assert sent["ml.data_drift.share"] == [1.0]


def test_missing_log_is_one_line_and_2(place: Place, tmp_path: Path) -> None:
    """Where nothing can be compared the exit code is 2, and no log is made by looking for it."""
    missing = tmp_path / "none.db"
    done = place.run(f"--log-url=sqlite:///{missing}")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert not missing.exists()
    assert [record["outcome"] for record in place.records] == ["error"]


def test_watch_sees_drift_come_and_ends_on_request(
    place: Place,
    collector: Collector,
    start: Callable[[list[str]], subprocess.Popen[str]],
    unused_port: int,
) -> None:
    """Too few rows, then like the reference, then drifted; SIGTERM: the last values and exit 0."""
    options = (f"--otlp-endpoint={collector.url}", f"--metrics-port={unused_port}")
    process = start(place.command("watch", "--interval=0.2", *options))

    def decisions() -> list[str]:
        return [record.get("decision", record["outcome"]) for record in place.records]

    _wait_until(lambda: "insufficient_data" in decisions(), process)
    place.predict(300, seed=4)
    _wait_until(lambda: "NO_ACTION" in decisions(), process)
    place.predict(2000, seed=5, shift=1.5)
    _wait_until(lambda: "RETRAIN" in decisions(), process)
    address = f"http://127.0.0.1:{unused_port}/metrics"

    def scraped() -> bool:
        with urllib.request.urlopen(address, timeout=DEADLINE) as page:
            return b'decision="RETRAIN",model_version=' in page.read()

    _wait_until(scraped, process)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, err
    assert "decision=NO_ACTION" in out
    assert "decision=RETRAIN" in out
    assert collector.values("ml.data_drift.share")[0] >= 0.5
    assert not list(place.output.glob(".*"))


def test_watch_can_be_stopped_while_it_still_starts(
    place: Place, start: Callable[[list[str]], subprocess.Popen[str]]
) -> None:
    """The seconds of importing Evidently don't delay the end, nor turn it into a failure."""
    process = start(place.command("watch", "--otlp-endpoint=none"))

    def catches_sigterm() -> bool:
        with open(f"/proc/{process.pid}/status") as status:  # noqa: PTH123 - not a file to manage
            caught = next(line for line in status if line.startswith("SigCgt:")).split()[1]
        return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)

    _wait_until(catches_sigterm, process)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, err
    assert place.records == []


def test_watch_imports_before_its_first_run(
    place: Place, start: Callable[[list[str]], subprocess.Popen[str]]
) -> None:
    """Afterwards the seconds that Evidently takes would delay the second one."""
    program, *options = place.command("watch", "--otlp-endpoint=none")
    process = start([program, "-X", "importtime", *options])
    lines: list[str] = []
    assert process.stderr
    while "insufficient_data" not in "".join(lines[-1:]):
        lines.append(process.stderr.readline())
        assert lines[-1], "it ended before its first run"
    assert [line for line in lines if line.endswith(" testbed_drift.rendering.library\n")]


def test_calibrated_job_obeys_its_calibration(place: Place) -> None:
    """Thresholds and rows are the calibration's; a foreign one is refused with what to do."""
    options = ["--rows=250", "--budget=0.02", "--draws=300", f"--artefact={place.artefact.path}"]
    command = [sys.executable, "-m", "testbed_drift", "calibrate", *options]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=DEADLINE)
    assert "are not evaluated" in done.stdout
    file = place.artefact.path / "calibration.json"
    calibration = json.loads(file.read_text())
    place.predict(240, seed=2)
    assert place.run().returncode == 2
    assert "needed to find a shift of 0.5 standard deviations" in place.records[0]["message"]
    place.predict(2000, seed=3, shift=1.0)
    assert place.run("--html=never").returncode == 1
    scores = place.records[1]["columns"]["size"]["scores"]
    assert scores[0]["threshold"] == calibration["alphas"]["size"]
    assert place.run("--html=never", "--max-rows=249").returncode == 2
    file.write_text(json.dumps(calibration | {"reference_sha256": "0" * 64}))
    assert place.run().returncode == 2
    assert place.records[-1]["outcome"] == "error"
    assert "run testbed drift calibrate again" in place.records[-1]["message"]

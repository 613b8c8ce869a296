"""The drift job as a real process on a real SQLite log."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from prometheus_client.parser import text_string_to_metric_families

from tests.support.polling import wait_for

from .made_up_place import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import Spawn
    from .made_up_place import MadeUpPlace


TRIES = 5


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


def test_the_log_is_walked_window_by_window(place: MadeUpPlace) -> None:
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


def test_groups_of_the_walked_log_are_published(place: MadeUpPlace, tmp_path: Path) -> None:
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
        assert values["ml_data_drift_segment_ratio", segment, None] >= 2 / 3
    assert not {name for name, *_ in values} & {"ml_drift_decision", "ml_data_drift_ratio"}
    runs = [line for line in file.read_text().splitlines() if line.startswith("ml_drift_job_runs")]
    assert [line.rpartition(" ")[2] for line in sorted(runs)] == ["0.0", "0.0", "1.0"]


def test_traffic_like_the_reference_needs_no_action(place: MadeUpPlace) -> None:
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


def test_drifted_traffic_asks_for_action(place: MadeUpPlace, collector: Collector) -> None:
    """Exit 1, the drifted columns named, and the scores sent before the process ends.

    A later run that finds too few rows sends what this one found.
    """
    place.predict(500, seed=3, shift=1.0)
    done = place.run("--json", endpoint=collector.url)
    assert done.returncode == 1, done.stderr
    record = json.loads(done.stdout)
    assert (record["decision"], record["drift_share"]) == ("RETRAIN", 1.0)
    assert record["rows"] == {"reference": 600, "current": 500}
    assert place.records == [record]
    for name in (record["html"], record["json"]):
        assert (place.output / name).stat().st_size > 1000
    assert collector.values("ml.data_drift.ratio") == [1.0]
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
    sent = {name: collector.values(name) for name in ("ml.data_drift.ratio", "ml.labels.coverage")}
    count = len(collector.requests)
    done = place.run("--current-window=2020-01-01/2020-01-02", endpoint=collector.url)
    assert done.returncode == 2, done.stderr
    assert len(collector.requests) > count
    assert {name: collector.values(name) for name in sent} == sent


def test_missing_log_is_one_line_and_2(place: MadeUpPlace, tmp_path: Path) -> None:
    """Where nothing can be compared the exit code is 2, and no log is made by looking for it."""
    missing = tmp_path / "none.db"
    done = place.run(f"--log-url=sqlite:///{missing}")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert not missing.exists()
    assert [record["outcome"] for record in place.records] == ["error"]


def test_watch_sees_drift_come_and_ends_on_request(
    place: MadeUpPlace,
    collector: Collector,
    spawn: Spawn,
    unused_port: int,
) -> None:
    """Too few rows, then like the reference, then drifted; SIGTERM: the last values and exit 0."""
    options = (f"--otlp-endpoint={collector.url}", f"--metrics-port={unused_port}")
    process = spawn(place.command("watch", "--interval=0.2", *options))

    def decisions() -> list[str]:
        return [record.get("decision", record["outcome"]) for record in place.records]

    wait_for(lambda: "insufficient_data" in decisions(), DEADLINE, "no insufficient_data", process)
    place.predict(300, seed=4)
    wait_for(lambda: "NO_ACTION" in decisions(), DEADLINE, "no NO_ACTION", process)
    place.predict(2000, seed=5, shift=1.5)
    wait_for(lambda: "RETRAIN" in decisions(), DEADLINE, "no RETRAIN", process)
    address = f"http://127.0.0.1:{unused_port}/metrics"

    def scraped() -> bool:
        with urllib.request.urlopen(address, timeout=DEADLINE) as page:
            return b'decision="RETRAIN",model_version=' in page.read()

    wait_for(scraped, DEADLINE, "it did not come about", process)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, err
    assert "decision=NO_ACTION" in out
    assert "decision=RETRAIN" in out
    assert collector.values("ml.data_drift.ratio")[0] >= 0.5
    assert not list(place.output.glob(".*"))


def test_watch_can_be_stopped_while_it_still_starts(place: MadeUpPlace, spawn: Spawn) -> None:
    """The seconds of importing Evidently don't delay the end, nor turn it into a failure."""

    def catches_sigterm(pid: int) -> bool:
        with open(f"/proc/{pid}/status") as status:  # noqa: PTH123 - not a file to manage
            caught = next(line for line in status if line.startswith("SigCgt:")).split()[1]
        return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)

    for _ in range(TRIES):
        process = spawn(place.command("watch", "--otlp-endpoint=none"))
        ready = partial(catches_sigterm, process.pid)
        wait_for(ready, DEADLINE, "it did not come about", process)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=DEADLINE)
        assert process.returncode == 0, err
        if place.records == []:
            break
        shutil.rmtree(place.output)  # this test stood still for longer than the start takes
    else:
        pytest.fail("every stop came after the first run")


def test_watch_imports_before_its_first_run(place: MadeUpPlace, spawn: Spawn) -> None:
    """Afterwards the seconds that Evidently takes would delay the second one."""
    program, *options = place.command("watch", "--otlp-endpoint=none")
    process = spawn([program, "-X", "importtime", *options])
    lines: list[str] = []
    assert process.stderr
    while "insufficient_data" not in "".join(lines[-1:]):
        lines.append(process.stderr.readline())
        assert lines[-1], "it ended before its first run"
    assert [line for line in lines if line.endswith(" testbed_drift.rendering.library\n")]


def test_calibrated_job_obeys_its_calibration(place: MadeUpPlace) -> None:
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

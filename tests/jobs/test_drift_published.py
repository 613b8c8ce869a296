"""One-shot runs of the drift job as Prometheus sees them, by node_exporter and the Collector."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from prometheus_client.parser import text_string_to_metric_families
from testbed.clients.prometheus import PrometheusClient
from testbed.errors import StackError
from testbed.layout import RunLayout
from testbed.stack import build
from testbed.stack.arguments import collector_argv, node_exporter_argv, prometheus_argv
from testbed.stack.configuration import NativeConfiguration, render_native
from testbed_domain.logstore import open_log

from tests.support.polling import PATIENCE, answers, wait_for
from tests.support.ports import free_port
from tests.support.processes import end

from .drift_place import DriftPlace, traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed_domain.artefact import Artefact

FACTOR = 30.0
DEADLINE = 60.0
ADDRESSES = (
    *("collector:4317", "collector:4318", "collector:8888", "collector:13133"),
    *("prometheus:9090", "alertmanager:9093", "node_exporter:9100"),
)


@dataclass
class Stack:
    """Node_exporter, and Prometheus with the Collector where they are wanted, as a run has them."""

    layout: RunLayout
    endpoints: dict[str, str]
    configuration: NativeConfiguration
    tools: build.Tools
    factor: float = FACTOR
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, name: str, argv: Callable[[Stack], list[str]]) -> None:
        """Start a part; ended at the end of the test."""
        with (self.layout.logs / f"{name}.log").open("wb") as log:
            self.started.append(subprocess.Popen(argv(self), stdout=log, stderr=log))

    @property
    def textfile(self) -> Path:
        """The file of one job."""
        return self.layout.textfiles / "shop.prom"

    def scraped(self, name: str, job: str = "shop") -> dict[tuple[str, ...], float]:
        """What node_exporter shows of a job, by the other labels' values in their order."""
        url = f"http://{self.endpoints['node_exporter:9100']}/metrics"
        with urllib.request.urlopen(url, timeout=30) as reply:
            text = reply.read().decode()
        return {
            tuple(v for k, v in sorted(sample.labels.items()) if k != "drift_job"): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and sample.labels.get("drift_job", job) == job
        }

    def answers(self, query: str) -> list[float]:
        """Values that Prometheus has now; none while it can't be asked."""
        with PrometheusClient(f"http://{self.endpoints['prometheus:9090']}") as client:
            try:
                return [sample.value for sample in client.query(query)]
            except StackError:
                return []


@pytest.fixture
def stack(tmp_path: Path, repository: Path, tools: None) -> Iterator[Stack]:  # noqa: ARG001 - needed first
    """With node_exporter, ready."""
    layout = RunLayout(tmp_path / "run").create()
    (layout.data / "collector").mkdir()
    endpoints = {address: f"127.0.0.1:{free_port()}" for address in ADDRESSES}
    configuration = render_native(
        layout, source=repository, endpoints=endpoints, factor=FACTOR, without=frozenset({"api"})
    )
    made = Stack(layout, endpoints, configuration, build.find())
    made.start("node_exporter", node_exporter_argv)

    def ready() -> bool:
        try:
            return bool(made.scraped("node_textfile_scrape_error"))
        except OSError:
            return False

    try:
        wait_for(ready, DEADLINE, "node_exporter does not answer")
        yield made
    finally:
        for process in made.started:
            end(process)


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """A reference, rows like it, and rows whose age has moved."""
    for name, seed, shift in (("a", 1, 0.0), ("same", 2, 0.0), ("moved", 3, 1.0)):
        rng = np.random.default_rng(seed)
        table = pd.DataFrame({"age": rng.normal(shift, 1, 2000), "size": rng.normal(0, 1, 2000)})
        table.to_parquet(tmp_path / f"{name}.parquet")
    return tmp_path


def _command(folder: Path, current: str, *options: str) -> list[str]:
    program = Path(sys.executable).with_name("testbed")
    sides = ("--reference", "a.parquet", "--current", str(folder / f"{current}.parquet"))
    return [str(program), "drift", "run", *sides, *options]


def _environment() -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if "TESTBED" not in name}
    return clean | {"TESTBED_DRIFT_RELATIONS_ROWS": "0"}


def _run(folder: Path, current: str, *options: str) -> int:
    """Compare a table with the reference, to the end; its exit code."""
    done = subprocess.run(
        _command(folder, current, *options),
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode


def _check(stack: Stack) -> None:
    """Promtool finds nothing wrong with the file."""
    promtool = str(stack.tools.path("promtool"))
    with stack.textfile.open("rb") as file:
        done = subprocess.run(
            [promtool, "check", "metrics"],
            stdin=file,
            capture_output=True,
            timeout=300,
            check=False,
        )
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_values_outlive_the_run(stack: Stack, tables: Path) -> None:
    """Scraped after the process has ended; the next run changes them, a killed one does not."""
    textfile = f"--textfile={stack.textfile}"
    decision, runs = "ml_drift_decision", "ml_drift_job_runs_total"
    assert _run(tables, "moved", textfile) == 1
    _check(stack)
    found = stack.scraped(decision)
    assert found == {("NO_ACTION", "a"): 0, ("ALERT", "a"): 0, ("RETRAIN", "a"): 1}
    assert _run(tables, "same", textfile) == 0
    _check(stack)
    assert stack.scraped(decision)["NO_ACTION", "a"] == 1
    assert stack.scraped(runs)[("success",)] == 2
    before = stack.textfile.read_bytes()
    process = subprocess.Popen(
        _command(tables, "moved", textfile, "--window-rows=50", "--every=1", "--min-rows=50"),
        cwd=tables,
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout
    with process.stdout as output:
        assert "decision=" in output.readline()  # of nearly two thousand windows
        process.kill()
        assert process.wait(PATIENCE) < 0
    assert stack.textfile.read_bytes() == before
    assert stack.scraped(decision)["NO_ACTION", "a"] == 1


def test_two_jobs_share_a_folder(stack: Stack, tables: Path) -> None:
    """Each has a file; the same metrics of the same reference don't get into each other's way."""
    other = stack.layout.textfiles / "bank.prom"
    assert _run(tables, "moved", f"--textfile={stack.textfile}") == 1
    assert _run(tables, "same", f"--textfile={other}") == 0
    ratios = [stack.scraped("ml_data_drift_ratio", job)[("a",)] for job in ("shop", "bank")]
    assert ratios == [0.5, 0.0]
    assert stack.scraped("ml_drift_job_runs_total", "bank")[("success",)] == 1
    assert stack.scraped("node_textfile_scrape_error") == {(): 0}


def test_prometheus_forgets_what_is_pushed_once_and_keeps_the_file(
    stack: Stack, tables: Path
) -> None:
    """One run by both doors: the same values, and the alert; later only the file's are there."""
    stack.start("prometheus", prometheus_argv)
    stack.start("collector", collector_argv)
    wait_for(lambda: bool(stack.answers("vector(1)")), DEADLINE, "Prometheus does not answer")
    url = f"http://{stack.endpoints['collector:13133']}/"

    wait_for(lambda: answers(url), DEADLINE, "the Collector is not ready")
    endpoint = f"--otlp-endpoint=http://{stack.endpoints['collector:4318']}"
    assert _run(tables, "moved", f"--textfile={stack.textfile}", endpoint) == 1
    # What is pushed once is looked for in all of its time: it is gone after some seconds.
    pushed = 'ml_data_drift_ratio{job="drift-job",model_version="a"}'
    was_pushed = f"last_over_time({pushed}[1h])"
    kept = 'ml_data_drift_ratio{job="node",drift_job="shop",model_version="a"}'
    reported = 'last_over_time(target_info{job="drift-job",ml_drift_reference="a"}[1h])'
    wait_for(lambda: stack.answers(was_pushed) == [0.5], DEADLINE, "nothing was pushed")
    wait_for(lambda: stack.answers(kept) == [0.5], DEADLINE, "nothing was scraped")
    wait_for(lambda: bool(stack.answers(reported)), DEADLINE, "the reference is not reported")
    rows = 'last_over_time(ml_drift_window_rows{job="%s",window="current"}[1h])'
    assert stack.answers(rows % "drift-job") == stack.answers(rows % "node") == [2000]
    # The lookback, scaled: 10 s.
    wait_for(lambda: stack.answers(pushed) == [], DEADLINE, "what was pushed once is still there")
    assert stack.answers(kept) == [0.5]
    alert = 'ALERTS{alertname="DataDrift",alertstate="firing",job="node",drift_job="shop"}'
    wait_for(lambda: stack.answers(alert) == [1], DEADLINE, "the alert does not fire on the file")


def test_runs_on_the_log_have_a_file_too(
    stack: Stack, small_artefact: Artefact, tmp_path: Path
) -> None:
    """Two processes an age apart: counted together, under the version of the model."""
    url = f"sqlite:///{tmp_path / 'log.db'}"
    with open_log(url) as log:
        log.register_reference(small_artefact)
    place = DriftPlace(small_artefact, url, tmp_path / "drift")
    options = (f"--textfile={stack.textfile}", "--relations-rows=0")
    assert place.run(*options).returncode == 2  # an empty log
    place.log(traffic(400, 2)[0])
    done = place.run(*options)
    assert done.returncode in {0, 1}, done.stderr
    _check(stack)
    assert stack.scraped("ml_drift_job_runs_total") == {
        ("success",): 1,
        ("insufficient_data",): 1,
        ("error",): 0,
    }
    rows = stack.scraped("ml_drift_window_rows")
    assert rows[small_artefact.version, "current"] == 400

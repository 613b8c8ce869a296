"""Where a run keeps its files: the run-directory layout, version 1.

A file under its final name is always whole: writers use
:func:`testbed_domain.files.write_atomic`, or append whole lines (JSON Lines), so a killed run
leaves nothing half-written that looks finished.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

LAYOUT_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class RunLayout:
    """Paths of one run below its directory ``root``."""

    root: Path

    @property
    def run_file(self) -> Path:
        """Identity of the run: id, scenario, use case, seed, scale, versions, machine."""
        return self.root / "run.json"

    @property
    def scenario_file(self) -> Path:
        """The scenario as it was played."""
        return self.root / "scenario.yaml"

    @property
    def config(self) -> Path:
        """Rendered configuration of every component."""
        return self.root / "config"

    @property
    def dashboards(self) -> Path:
        """Grafana's dashboards, whose queries the verdict runs on the run's Prometheus."""
        return self.config / "dashboards"

    @property
    def data(self) -> Path:
        """State of components: Prometheus's TSDB, Alertmanager's data, the Collector's queue."""
        return self.root / "data"

    @property
    def logs(self) -> Path:
        """One ``<component>.log`` per component."""
        return self.root / "logs"

    @property
    def prediction_log(self) -> Path:
        """The SQLite prediction log of the embedded default."""
        return self.data / "prediction-log.db"

    @property
    def model(self) -> Path:
        """The model artefact that the API served."""
        return self.root / "model"

    @property
    def load_plan(self) -> Path:
        """What Locust was asked to do."""
        return self.config / "load-plan.json"

    @property
    def load_exchange(self) -> Path:
        """How Locust's web UI asks a service that is not the bundled API."""
        return self.config / "load-exchange.json"

    @property
    def truth(self) -> Path:
        """Ground truth that Locust wrote: ``requests.jsonl``, ``labels.jsonl``, ``*.json``.

        The requests stand in ``truth.parquet``, too, once the load is over.
        """
        return self.root / "truth"

    @property
    def drift(self) -> Path:
        """Reports of the drift job, ``runs.jsonl``, and ``published.json``: its last values."""
        return self.root / "drift"

    @property
    def workspace(self) -> Path:
        """Evidently workspace with every run of the drift job; of `testbed up` only."""
        return self.root / "workspace"

    @property
    def textfiles(self) -> Path:
        """Metrics that node_exporter shows, `*.prom`: of `testbed drift run --textfile`."""
        return self.root / "textfiles"

    @property
    def notifications(self) -> Path:
        """Every notification that the receiver got, one JSON line each."""
        return self.root / "notifications.jsonl"

    @property
    def messages(self) -> Path:
        """What integrations of a user's Alertmanager configuration got, one JSON line each."""
        return self.root / "messages.jsonl"

    @property
    def redirection(self) -> Path:
        """What became of a user's Alertmanager configuration; missing where there is none."""
        return self.config / "redirection.json"

    @property
    def earlier_notifications(self) -> Path:
        """What came in the run of alerts that were over before it, on a stack of others."""
        return self.root / "earlier-notifications.jsonl"

    @property
    def held_back(self) -> Path:
        """What Alertmanager held back and why, one JSON line whenever that changed."""
        return self.root / "held-back.jsonl"

    @property
    def traces(self) -> Path:
        """Spans that the receiver got from the Collector, one JSON line each."""
        return self.root / "traces.jsonl"

    @property
    def log_records(self) -> Path:
        """Log records that the receiver got from the Collector, one JSON line each."""
        return self.root / "log-records.jsonl"

    @property
    def timeline(self) -> Path:
        """What the runner did and saw, one JSON line each: phases, faults, component events."""
        return self.root / "timeline.jsonl"

    @property
    def pace(self) -> Path:
        """How fast the machine was while the run went on, one JSON line per half second."""
        return self.root / "pace.jsonl"

    @property
    def versions(self) -> Path:
        """Which model version has which role, as the API keeps it over restarts."""
        return self.root / "versions.json"

    @property
    def management_token(self) -> Path:
        """Token that changes on the API's management ports need; its owner's alone."""
        return self.root / "management-token"

    @property
    def console_token(self) -> Path:
        """Token that changes from the console need; its owner's alone."""
        return self.root / "console-token"

    @property
    def api_keys(self) -> Path:
        """Keys that the API takes, where the scenario has it demand one."""
        return self.root / "api-keys.txt"

    @property
    def load_key(self) -> Path:
        """The load's own key then; its owner's alone."""
        return self.root / "load-key"

    @property
    def scrape_keys(self) -> Path:
        """Headers of scrapes that hold keys, a file each, while the stack runs."""
        return self.root / "scrape-keys"

    @property
    def replicas(self) -> Path:
        """What the supervisor of several API replicas did with them, one JSON line each."""
        return self.root / "replicas.jsonl"

    @property
    def series(self) -> Path:
        """Series that the runner read from Prometheus for verdict and report."""
        return self.root / "series.json"

    @property
    def verdict_file(self) -> Path:
        """The verdict, ``verdict.json``."""
        return self.root / "verdict.json"

    @property
    def junit_file(self) -> Path:
        """The verdict as JUnit XML."""
        return self.root / "junit.xml"

    @property
    def report_file(self) -> Path:
        """The HTML report."""
        return self.root / "report.html"

    def create(self) -> RunLayout:
        """Make the directories and return self."""
        folders = (self.config, self.data, self.logs, self.truth, self.drift, self.textfiles)
        for path in folders:
            path.mkdir(parents=True, exist_ok=True)
        return self

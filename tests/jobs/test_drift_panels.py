"""What settings turn on is seen: panels and rules over a real drift job and a real Prometheus."""

from __future__ import annotations

import math
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from testbed.clients.prometheus import PrometheusClient
from testbed.layout import RunLayout
from testbed.stack import build
from testbed.stack.arguments import prometheus_argv
from testbed.stack.configuration import render_native
from testbed_domain.logstore import open_log
from testbed_drift.quality.trial import Retraining, Trial
from testbed_drift.storage.reports import ReportStore
from testbed_otel import names

from tests.support.panels import panel_queries
from tests.support.ports import free_port
from tests.support.processes import running
from tests.support.shown import BY_SETTING
from tests.support.yamltext import load_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.facts.panels import DashboardQuery

    from .made_up_place import MadeUpPlace

# One run each: the first window waits for a second one that agrees, which then starts a training.
OPTIONS = (
    *("--segment=colour", "--versions=3", "--confirm=2", "--confirm-of=2", "--html=never"),
    *("--on-retrain=command false", "--retrain-cooldown=0"),
)
PAGE = "docs/how-to/drift-groups.md"


class Launch:
    """A Prometheus at production times, to be started."""

    factor = 1.0

    def __init__(self, folder: Path, source: Path) -> None:
        self.tools = build.find()
        self.layout = RunLayout(folder).create()
        self.endpoints = {"prometheus:9090": f"127.0.0.1:{free_port()}"}
        left_out = frozenset({"collector", "alertmanager", "node_exporter", "receiver"})
        self.configuration = render_native(
            self.layout, source=source, endpoints=self.endpoints, factor=1.0, without=left_out
        )


@pytest.fixture
def prometheus(tmp_path: Path, repository: Path, tools: None) -> Iterator[PrometheusClient]:  # noqa: ARG001 - needed first
    """A running Prometheus that takes OTLP."""
    launch = Launch(tmp_path / "stack", repository)
    address = f"http://{launch.endpoints['prometheus:9090']}"
    log = launch.layout.logs / "prometheus.log"
    with (
        PrometheusClient(address) as client,
        running(prometheus_argv(launch), log, client.ready),
    ):
        yield client


def expressions(repository: Path) -> dict[str, str]:
    """Expression of each alert of the drift job."""
    content = load_yaml((repository / "prometheus/rules/drift.yml").read_text())
    return {rule["alert"]: rule["expr"] for group in content["groups"] for rule in group["rules"]}


def only_settings() -> list[DashboardQuery]:
    """Queries of panels that a demo leaves empty."""
    return [
        query
        for query in panel_queries(5)
        if any(metric.prometheus in query.expr for metric in BY_SETTING)
        and names.DRIFT_SEGMENT_DECISION.prometheus not in query.expr  # only of tables
    ]


def test_panels_and_rules_see_groups_and_trainings(
    place: MadeUpPlace, prometheus: PrometheusClient, repository: Path
) -> None:
    """Segments, versions, one that fails, a trial and a failed training: all of them are shown."""
    trial = Trial(300, {"accuracy": 0.8, "log_loss": 0.5}, {"accuracy": 0.7, "log_loss": 0.6}, 0.9)
    last = Retraining("kept", "no better", place.artefact.version, 1.0, 2.0, "next", trial)
    place.output.mkdir()
    ReportStore(place.output).write_retraining(last.to_dict())
    challenger = replace(place, artefact=replace(place.artefact, version="challenger"))
    stranger = replace(place, artefact=replace(place.artefact, name="other", version="stranger"))
    with open_log(place.url) as log:
        log.register_reference(challenger.artefact)
    rules, start = expressions(repository), time.time()

    def firing(alert: str, label: str = "model_version") -> set[str]:
        return {sample.labels[label] for sample in prometheus.query(rules[alert])}

    def run() -> None:
        place.predict(800, seed=2, shift=1.0)
        challenger.predict(800, seed=3)
        stranger.predict(300, seed=4)
        done = place.run(*OPTIONS, endpoint=f"{prometheus.base_url}/api/v1/otlp")
        assert "decision=" in done.stdout, done.stderr

    run()
    assert firing("SegmentDrift", "segment") == {"colour=red", "colour=blue"}
    assert firing("SegmentDrift") == {place.artefact.version}
    assert firing("VersionUnwatched") == {"stranger"}
    assert firing("RetrainingFailed") == set()
    assert firing("DataDrift") == set()
    run()
    assert firing("RetrainingFailed") == {place.artefact.version}
    assert firing("DataDrift") == {place.artefact.version}

    def empty(expr: str) -> bool:
        found = prometheus.query_range(expr, start, time.time(), 1.0)
        return not any(math.isfinite(value) for series in found for _, value in series.points)

    assert [query for query in only_settings() if empty(query.expr)] == []
    documented = re.findall(r"```promql\n(.*?)```", (repository / PAGE).read_text(), re.DOTALL)
    assert [empty(expr) for expr in documented] == [False, False]

"""The clients against the real Prometheus and Alertmanager."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
import yaml
from testbed.clients.alertmanager import AlertmanagerClient
from testbed.clients.prometheus import PrometheusClient
from testbed.errors import StackError
from testbed.facts.alertspans import alert_spans
from testbed.stack import build

from tests.support.polling import wait_for
from tests.support.ports import free_port
from tests.support.processes import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

DEADLINE = 30.0
LONG = 600.0


def tool(
    folder: Path, name: str, arguments: Sequence[str], ready: Callable[[], bool]
) -> AbstractContextManager[object]:
    """A running tool of the cache."""
    command = [str(build.find().path(name)), *arguments]
    return running(command, folder / f"{name}.log", ready, seconds=DEADLINE, kill=True, cwd=folder)


@pytest.fixture
def pair(
    tmp_path: Path,
    tools: None,  # noqa: ARG001 - needed first
) -> Iterator[tuple[PrometheusClient, AlertmanagerClient]]:
    """A Prometheus that scrapes itself and always fires one alert, and its Alertmanager."""
    port, manager_port = free_port(), free_port()
    address, manager = f"127.0.0.1:{port}", f"127.0.0.1:{manager_port}"
    rules = [
        {"alert": "Always", "expr": "vector(7) > 1", "labels": {"severity": "info"}},
        {"alert": "Never", "expr": "vector(7) < 1", "for": "90s"},
    ]
    config = {
        "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms",
                   "evaluation_interval": "500ms"},
        "rule_files": ["rules.yml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [manager]}]}]},
        "scrape_configs": [
            {"job_name": "prometheus", "static_configs": [{"targets": [address]}]},
        ],
    }  # fmt: skip
    routes = {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}
    (tmp_path / "rules.yml").write_text(
        yaml.safe_dump({"groups": [{"name": "test", "rules": rules}]})
    )
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump(routes))
    listen = [f"--web.listen-address={manager}", "--cluster.listen-address="]
    routed = ["--config.file=alertmanager.yml", "--storage.path=am", *listen]
    # Prometheus knows its Alertmanagers some seconds after its first evaluation only.
    options = ["--storage.tsdb.path=tsdb", "--rules.alert.resend-delay=1s"]
    options += ["--config.file=prometheus.yml", f"--web.listen-address={address}"]
    with (
        PrometheusClient(f"http://{address}") as prometheus,
        AlertmanagerClient(f"http://{manager}") as alertmanager,
        tool(tmp_path, "alertmanager", routed, alertmanager.ready),
        tool(tmp_path, "prometheus", options, prometheus.ready),
    ):
        yield prometheus, alertmanager


def test_the_clients_read_what_the_real_programs_answer(
    pair: tuple[PrometheusClient, AlertmanagerClient],
) -> None:
    """Queries, raw samples, rules, alerts and targets, in the shape that they have today."""
    prometheus, alertmanager = pair
    began = time.time()
    wait_for(
        lambda: (
            len(prometheus.query('ALERTS{alertname="Always"}')) == 1
            and len(prometheus.query("prometheus_build_info")) == 1
        ),
        DEADLINE,
        "nothing was evaluated or scraped",
    )
    (target,) = prometheus.targets()
    assert (target.job, target.health) == ("prometheus", "up")
    rules = {rule.name: rule for rule in prometheus.rules()}
    assert (rules["Always"].state, rules["Never"].for_) == ("firing", 90.0)
    (alert,) = prometheus.alerts()
    assert (alert.labels["alertname"], alert.state) == ("Always", "firing")

    selector = "prometheus_tsdb_head_samples_appended_total"
    window = {"at": time.time(), "window": LONG}

    def agree() -> bool:
        raw = prometheus.raw(selector, **window)
        last = prometheus.last_values(selector, **window)
        return [sample.value for sample in last] == [series.points[-1][1] for series in raw] != []

    # A scrape that had begun by then may be stored between both.
    wait_for(agree, DEADLINE, "the last raw samples are not the last values")
    # On a machine that stands still evaluations are missed: whatever the gap, it is one span.
    (span,) = alert_spans(prometheus.raw("ALERTS", **window), lambda _: LONG)
    assert (span.alert, span.state, span.labels["severity"]) == ("Always", "firing", "info")
    assert began - LONG <= span.start <= span.end <= time.time()
    (series,) = prometheus.query_range("vector(3)", began, began + 2, 0.5)
    assert [value for _, value in series.points] == [3.0] * 5

    wait_for(lambda: bool(alertmanager.alerts()), DEADLINE, "Alertmanager got no alert")
    (managed,) = alertmanager.alerts()
    assert (managed.labels["alertname"], managed.receivers) == ("Always", ("nobody",))
    assert alertmanager.status().cluster == "disabled"


def test_a_wrong_query_is_refused_in_prometheuss_own_words(
    pair: tuple[PrometheusClient, AlertmanagerClient],
) -> None:
    """One line that names the server and the fault."""
    with pytest.raises(StackError, match="parse error") as caught:
        pair[0].query("sum(")
    assert "\n" not in str(caught.value)

"""Prometheus's configuration and rules, read by promtool."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from testbed.facts.ruletests import read_ruletests
from testbed.heartbeat import heartbeat_names
from testbed.stack.scrapekeys import ScrapeKeys
from testbed_otel import names
from testbed_rules.rulefiles import read_rules
from testbed_rules.scaling import scaled_rules
from testbed_rules.timescale import parse_duration

from tests.support.yamltext import load_yaml


@pytest.fixture(scope="module")
def folder(repository: Path) -> Path:
    """``prometheus/``."""
    return repository / "prometheus"


@pytest.fixture(scope="module")
def config(folder: Path) -> dict[str, Any]:
    """``prometheus.yml``."""
    loaded: dict[str, Any] = load_yaml((folder / "prometheus.yml").read_text())
    return loaded


def rule_tests(folder: Path) -> list[dict[str, Any]]:
    """Every promtool test."""
    files = sorted((folder / "rules_test").glob("*.yml"))
    return [test for file in files for test in load_yaml(file.read_text())["tests"]]


def test_configuration_is_valid(run_tool: Callable[..., str], folder: Path) -> None:
    """Promtool accepts the file with its rules and targets."""
    output = run_tool("promtool", "check", "config", "--lint=all", folder / "prometheus.yml")
    assert "5 rule files found" in output


def test_rules_pass_their_tests(run_tool: Callable[..., str], folder: Path) -> None:
    """Every promtool test passes."""
    run_tool("promtool", "test", "rules", *sorted((folder / "rules_test").glob("*.yml")))


def test_every_alert_is_tested_firing_and_silent(folder: Path) -> None:
    """Each alert (and each cause of one) has a test that fires; each alert one that never does.

    A heartbeat has no such test, for it is never silent.
    """
    rules = [
        rule
        for document in read_rules(folder / "rules").values()
        for group in document["groups"]
        for rule in group["rules"]
    ]
    wanted = {(rule["alert"], rule["labels"].get("cause")) for rule in rules}
    beating = heartbeat_names((rule["alert"], rule["expr"]) for rule in rules)
    assert beating == {"Watchdog"}
    fired, silent = set(), set()
    for test in rule_tests(folder):
        checks = test["alert_rule_test"]
        expected = [(c["alertname"], a) for c in checks for a in c.get("exp_alerts", ())]
        fired |= {(name, alert["exp_labels"].get("cause")) for name, alert in expected}
        assert all(set(alert) == {"exp_labels", "exp_annotations"} for _, alert in expected)
        if not expected:
            silent |= {check["alertname"] for check in checks}
    assert fired == wanted
    assert silent == {alert for alert, _ in wanted} - beating
    assert silent == {
        *("APIDown", "ModelNotLoaded", "HighErrorRate", "HighLatency", "SlowInference"),
        *("HighConcurrentRequests", "DataDrift", "DriftJobStale", "TelemetryPipelineDown"),
        *(
            "ConceptDrift",
            "EstimatedErrorHigh",
            "SegmentDrift",
            "VersionUnwatched",
            "RetrainingFailed",
        ),
        *("PredictionLogFailing", "PredictionLogSpooling", "PredictionLogDropping"),
        *("PrometheusBadConfig", "PrometheusRuleFailures", "PrometheusMissingRuleEvaluations"),
        *("PrometheusSamplesRejected", "PrometheusTSDBFailing"),
        "PrometheusErrorSendingAlertsToAnyAlertmanager",
        "PrometheusNotConnectedToAlertmanagers",
    }


@pytest.mark.parametrize("factor", [1, 30, 60])
def test_scaled_rules_are_valid(
    run_tool: Callable[..., str], folder: Path, tmp_path: Path, factor: float
) -> None:
    """Promtool accepts the rules at the scales that runs use."""
    files = read_rules(folder / "rules")
    for name, scaled in scaled_rules(files, factor).items():
        (tmp_path / name).write_text(yaml.safe_dump(scaled))
    run_tool("promtool", "check", "rules", "--lint=all", *(tmp_path / name for name in files))


def test_jobs_are_those_of_the_vocabulary(config: dict[str, Any]) -> None:
    """Rules and dashboards select by these job names."""
    jobs = {job["job_name"] for job in config["scrape_configs"]}
    assert jobs == {
        names.JOB_API,
        names.JOB_COLLECTOR,
        names.JOB_NODE,
        names.JOB_ALERTMANAGER,
        names.JOB_PROMETHEUS,
        "cadvisor",
    }


def test_out_of_order_window_outlasts_outages(config: dict[str, Any]) -> None:
    """With the default of none, what waits in the Collector's queue would be lost."""
    window = config["storage"]["tsdb"]["out_of_order_time_window"]
    assert parse_duration(window) >= 600


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("> 0.1", "> 1", "HighErrorRate does not fire"),
        ("HighErrorRate.md", "HighLatency.md", "runbook_url is 'docs/runbooks/HighLatency.md'"),
        ("the limit is 0.1.", "the limit is 1.", "description is"),
    ],
)
def test_the_verdict_sees_a_mistake_in_the_rule_files(
    run_tool: Callable[..., str], folder: Path, tmp_path: Path, old: str, new: str, says: str
) -> None:
    """Though a run's rules are as their files say: the tests of the rules are a second witness."""
    run_tool("promtool", "--version")  # is skipped where there is none
    shutil.copytree(folder, tmp_path / "prometheus")
    rules = tmp_path / "prometheus/rules"
    sound = read_ruletests(tmp_path)
    assert (sound.failed, sound.skipped) == ((), "")
    assert sound.tests > 0
    text = (rules / "api.yml").read_text()
    (rules / "api.yml").write_text(text.replace(old, new))
    assert says in read_ruletests(tmp_path).failed[0].says


@pytest.mark.parametrize("value", ["Bearer ${KEY}", "Basic bWU6cGFzcw==", "Digest a b"])
def test_headers_of_scrapes_are_settings_of_prometheus(
    run_tool: Callable[..., str], tmp_path: Path, value: str
) -> None:
    """And none of them stands in its configuration."""
    headers = {"shop": {"authorization": value, "x-key": "${KEY}", "X-Other": "a"}}
    keys = ScrapeKeys(headers, {"KEY": "s3cret"}, tmp_path / "keys")
    file = tmp_path / "prometheus.yml"
    file.write_text(yaml.safe_dump({"scrape_configs": [*keys.in_jobs([{"job_name": "shop"}])]}))
    assert "s3cret" not in file.read_text()
    with keys.written():
        assert "is valid" in run_tool("promtool", "check", "config", file)

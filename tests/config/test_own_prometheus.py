"""A Prometheus configuration of one's own, read by promtool and joined with the run's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from testbed.errors import UsageError
from testbed.stack import build
from testbed.stack.configuration import prometheus_tree
from testbed.stack.ownprometheus import OwnPrometheus, own_rules, read_own_prometheus
from testbed_rules.timescale import TimeScale

from tests.support.yamltext import load_yaml

OWN = """\
global:
  scrape_interval: 30s
  evaluation_interval: 1m
  external_labels: {region: eu}
  query_log_file: /tmp/queries
rule_files: [rules/*.yml, more.rules]
remote_write: [{url: https://example.com/write}]
scrape_configs:
  - job_name: my-api
    scrape_interval: 2m
    static_configs: [{targets: ['localhost:9464'], labels: {team: ml}}]
  - job_name: elsewhere
    basic_auth: {username: me, password: s3cr3t}
    static_configs: [{targets: ['db.example.com:9187', 'node_exporter:9100']}]
  - job_name: pods
    kubernetes_sd_configs: [{role: pod}]
  - job_name: node
    static_configs: [{targets: ['localhost:9100']}]
"""
RULES = "groups: [{name: own, rules: [{alert: %s, expr: vector(1)}]}]\n"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A configuration with two rule files."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.yml").write_text(RULES % "A")
    (tmp_path / "more.rules").write_text(RULES % "B")
    path = tmp_path / "own.yml"
    path.write_text(OWN)
    return path


@pytest.fixture
def shipped(repository: Path) -> dict[str, Any]:
    """The project's configuration."""
    found: dict[str, Any] = load_yaml((repository / "prometheus/prometheus.yml").read_text())
    return found


def test_intervals_labels_and_static_jobs_are_joined(
    own: Path, shipped: dict[str, Any], tmp_path: Path, run_tool: Callable[..., str]
) -> None:
    """Scaled, at local addresses, and without what is secret; Prometheus takes the result."""
    joined = OwnPrometheus(own, load_yaml(OWN)).joined(shipped)
    endpoints = {"api:9464": "127.0.0.1:1", "node_exporter:9100": "127.0.0.1:2"}
    tree = TimeScale(60).prometheus(prometheus_tree(joined, endpoints))
    assert tree["global"] == {
        "scrape_interval": "500ms",
        "evaluation_interval": "1s",
        "external_labels": {"region": "eu"},
    }
    jobs = {job["job_name"]: job for job in tree["scrape_configs"]}
    assert jobs["my-api"] == {
        "job_name": "my-api",
        "scrape_interval": "2s",
        "static_configs": [{"targets": ["127.0.0.1:1"], "labels": {"team": "ml"}}],
    }
    assert jobs["elsewhere"] == {
        "job_name": "elsewhere",
        "static_configs": [{"targets": ["db.example.com:9187", "127.0.0.1:2"]}],
    }
    assert set(jobs) == {job["job_name"] for job in shipped["scrape_configs"]} | {
        "my-api",
        "elsewhere",
    }
    (tmp_path / "joined.yml").write_text(yaml.safe_dump(tree))
    run_tool("promtool", "check", "config", "--syntax-only", tmp_path / "joined.yml")


def test_what_is_not_used_is_named(own: Path, shipped: dict[str, Any]) -> None:
    """Nothing is dropped silently, and no secret is said."""
    notes = OwnPrometheus(own, load_yaml(OWN)).notes(shipped)
    assert notes == [
        "`remote_write` is not used",
        "`global.query_log_file` is not used",
        "`basic_auth` of the job elsewhere is not used",
        "`kubernetes_sd_configs` of the job pods is not used",
        "the job pods is not scraped: it has no static_configs",
        "the job node is that of the run, which scrapes its own component",
    ]


def test_rule_files_are_found_by_the_file_and_given_as_a_folder(own: Path, tmp_path: Path) -> None:
    """A folder of rules that is named besides wins; without rule files the project's are used."""
    with own_rules(own, None) as folder:
        assert folder is not None
        assert sorted(path.name for path in folder.iterdir()) == ["a.yml", "more.rules.yml"]
    assert not folder.exists()
    with own_rules(own, tmp_path) as folder:
        assert folder == tmp_path
    own.write_text("global: {}\n")
    with own_rules(own, None) as folder:
        assert folder is None


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [("absent/*.yml", "matches no file"), ("b/a.yml, rules/a.yml", "have one name")],
)
def test_rule_files_that_cannot_be_told_apart_or_are_not_there(
    own: Path, pattern: str, complaint: str
) -> None:
    """Prometheus would go on without them; here nothing would be shown of them."""
    (own.parent / "b").mkdir()
    (own.parent / "b" / "a.yml").write_text(RULES % "C")
    own.write_text(f"rule_files: [{pattern}]\n")
    with pytest.raises(UsageError, match=complaint), own_rules(own, None):
        pass


def test_what_prometheus_refuses_is_said_with_its_line(
    own: Path, run_tool: Callable[..., str]
) -> None:
    """One line."""
    del run_tool  # promtool is there
    assert read_own_prometheus(own, build.find()).document["rule_files"]
    own.write_text(OWN.replace("job_name: pods", "jobname: pods"))
    with pytest.raises(UsageError, match=r"own.yml:15: .*field jobname not found") as caught:
        read_own_prometheus(own, build.find())
    assert "\n" not in str(caught.value)

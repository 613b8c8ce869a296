"""The configuration that a Compose stack renders for itself."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING, Any

import pytest
from testbed.stack.composeconfiguration import main, profiles_of, render_compose

from tests.support.yamltext import load_yaml

if TYPE_CHECKING:
    from pathlib import Path

EVERYTHING = profiles_of("load,ui,host,traces")


def _read(path: Path) -> Any:  # noqa: ANN401 - YAML
    return load_yaml(path.read_text("utf-8"))


def _render(repository: Path, folder: Path, factor: float, profiles: frozenset[str]) -> None:
    render_compose(folder, source=repository, factor=factor, profiles=profiles)


def test_at_scale_1_it_is_the_checkouts_own(repository: Path, tmp_path: Path) -> None:
    """With every profile, only where the API's targets lie and the queue's folder are Compose's."""
    _render(repository, tmp_path, 1.0, EVERYTHING)
    prometheus = _read(repository / "prometheus/prometheus.yml")
    for job in prometheus["scrape_configs"]:
        if job["job_name"] == "ml-api":
            job["file_sd_configs"][0]["files"] = ["/var/lib/testbed/targets/api-*.json"]
    assert _read(tmp_path / "prometheus.yml") == prometheus
    assert _read(tmp_path / "alertmanager.yml") == _read(
        repository / "alertmanager/alertmanager.yml"
    )
    assert _read(tmp_path / "collector.yaml") == _read(repository / "otel/collector.yaml")
    for rules in (repository / "prometheus/rules").glob("*.yml"):
        assert _read(tmp_path / "rules" / rules.name) == _read(rules)
    for board in (repository / "grafana/dashboards").glob("*.json"):
        assert (tmp_path / "dashboards" / board.name).read_bytes() == board.read_bytes()
    assert _read(tmp_path / "grafana/provisioning/datasources/datasources.yaml") == _read(
        repository / "grafana/provisioning/datasources/datasources.yaml"
    )


def test_every_duration_is_scaled(repository: Path, tmp_path: Path) -> None:
    """Rules, intervals, waits, batches, and what Grafana takes for the interval."""
    _render(repository, tmp_path, 30.0, EVERYTHING)
    assert _read(tmp_path / "prometheus.yml")["global"]["evaluation_interval"] == "500ms"
    assert _read(tmp_path / "alertmanager.yml")["route"]["group_wait"] == "1s"
    exporter = _read(tmp_path / "collector.yaml")["exporters"]["otlp_http/prometheus"]
    assert exporter["sending_queue"]["batch"]["flush_timeout"] == "167ms"
    sources = _read(tmp_path / "grafana/provisioning/datasources/datasources.yaml")["datasources"]
    assert sources[0]["jsonData"]["timeInterval"] == "500ms"
    held = {
        rule["alert"]: rule.get("for")
        for path in (tmp_path / "rules").glob("*.yml")
        for group in _read(path)["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    assert held["HighErrorRate"] == "10s"


def test_what_no_profile_brings_is_not_spoken_of(repository: Path, tmp_path: Path) -> None:
    """No target that is not there, no exporter to nowhere: spans and logs go to the receiver."""
    _render(repository, tmp_path, 1.0, frozenset())
    jobs = {job["job_name"] for job in _read(tmp_path / "prometheus.yml")["scrape_configs"]}
    assert jobs == {"ml-api", "otel-collector", "alertmanager", "prometheus"}
    collector = _read(tmp_path / "collector.yaml")
    pipelines = collector["service"]["pipelines"]
    assert pipelines["traces"]["exporters"] == pipelines["logs"]["exporters"]
    assert pipelines["traces"]["exporters"] == ["otlp_http/receiver"]
    assert "jaeger" not in (tmp_path / "collector.yaml").read_text()
    assert {"grpc", "http"} <= set(collector["receivers"]["otlp"]["protocols"])
    provisioning = tmp_path / "grafana/provisioning"
    assert "jaeger" not in (provisioning / "datasources/datasources.yaml").read_text()
    assert {path.name for path in provisioning.iterdir()} == {
        *("alerting", "dashboards", "datasources", "plugins"),
    }


def test_jobs_have_the_names_of_another_system(repository: Path, tmp_path: Path) -> None:
    """Where .env asks for them; natively the same, see tests/config."""
    for name, expected in (("", False), ("fastapi-instrumentator", True)):
        profiles = frozenset({"host"})
        render_compose(tmp_path, source=repository, factor=1.0, profiles=profiles, job_names=name)
        rendered = load_yaml((tmp_path / "prometheus.yml").read_text())
        jobs = {job["job_name"]: job for job in rendered["scrape_configs"]}
        assert ({"fastapi", "node-exporter"} <= set(jobs)) is expected
    files = jobs["fastapi"]["file_sd_configs"][0]["files"]
    assert files == jobs["ml-api"]["file_sd_configs"][0]["files"]
    assert jobs["node-exporter"]["static_configs"] == jobs["node"]["static_configs"]


def test_an_exemplar_leads_to_its_trace(repository: Path, tmp_path: Path) -> None:
    """The data source names Jaeger's for the label that the Collector's exemplars carry."""
    _render(repository, tmp_path, 1.0, profiles_of("*"))
    sources = _read(tmp_path / "grafana/provisioning/datasources/datasources.yaml")["datasources"]
    uids = {each["type"]: each["uid"] for each in sources}
    assert sources[0]["jsonData"]["exemplarTraceIdDestinations"] == [
        {"name": "trace_id", "datasourceUid": uids["jaeger"]}
    ]


def test_the_command_renders_anew_for_everybody_to_read(tmp_path: Path) -> None:
    """What was there before is gone; beside the files it leaves what the stack was started with."""
    folder = tmp_path / "configuration"
    (folder / "rules").mkdir(parents=True)
    (folder / "rules/old.yml").write_text("")
    (folder / "targets").mkdir()
    watched = (folder / "targets").stat().st_ino
    environment = {
        "TESTBED_TIME_SCALE": "30",
        "COMPOSE_PROFILES": "host",
        "TESTBED_PORT_NODE_EXPORTER": "9101",
        "HOME": "/root",
    }
    assert main([str(folder)], environment) == 0
    assert not (folder / "rules/old.yml").exists()
    assert main([str(folder)], environment) == 0
    assert (folder / "targets").stat().st_ino == watched  # by Prometheus, which may run already
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert all(path.stat().st_mode & stat.S_IROTH for path in files)
    jobs = _read(folder / "prometheus.yml")["scrape_configs"]
    (node,) = (job for job in jobs if job["job_name"] == "node")
    assert node["static_configs"] == [{"targets": ["node_exporter:9101"]}]
    stack = json.loads((folder / "stack.json").read_text())
    assert stack["environment"]["TESTBED_TIME_SCALE"] == "30"
    assert "HOME" not in stack["environment"]


@pytest.mark.parametrize("scale", ["fast", "0.5", "nan"])
def test_a_wrong_scale_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], scale: str
) -> None:
    """And ends with 2, so that nothing starts after it."""
    assert main([str(tmp_path / "out")], {"TESTBED_TIME_SCALE": scale}) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1

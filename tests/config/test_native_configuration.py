"""Native configuration and the files that Compose mounts are one source."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from testbed.errors import UsageError
from testbed.layout import RunLayout
from testbed.stack.arguments import (
    ALERTMANAGER_DURATIONS,
    PROMETHEUS_DURATIONS,
    alertmanager_argv,
    collector_argv,
    node_exporter_argv,
    prometheus_argv,
)
from testbed.stack.build import Tools, find
from testbed.stack.configuration import (
    NativeConfiguration,
    SmtpSettings,
    render_native,
    write_api_targets,
)
from testbed.stack.jobnames import NOTHING_BUT_UP
from testbed_rules.rulefiles import read_rules
from testbed_rules.timescale import MINIMUM_INTERVAL, RuleDurationError, parse_duration

from tests.support.polling import wait_for
from tests.support.ports import free_port
from tests.support.processes import running
from tests.support.yamltext import load_yaml

ADDRESSES = (
    "api:9464",
    "collector:4317",
    "collector:4318",
    "collector:8888",
    "collector:13133",
    "prometheus:9090",
    "alertmanager:9093",
    "node_exporter:9100",
    "receiver:9080",
    "jaeger:4318",
)
LOCAL = {address: f"127.0.0.1:{20000 + number}" for number, address in enumerate(ADDRESSES)}


@pytest.fixture
def layout(tmp_path: Path) -> RunLayout:
    """An empty run."""
    return RunLayout(tmp_path / "run").create()


@pytest.fixture
def render(layout: RunLayout, repository: Path) -> Callable[..., NativeConfiguration]:
    """Renders into the run."""

    def run(**options: Any) -> NativeConfiguration:  # noqa: ANN401 - options of render_native
        settings = {"source": repository, "endpoints": LOCAL, "factor": 30.0, **options}
        return render_native(layout, **settings)

    return run


def read(path: Path) -> Any:  # noqa: ANN401 - YAML
    """A YAML file."""
    return load_yaml(path.read_text())


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - YAML
    """Every value in a YAML tree with its path."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        if isinstance(value, dict | list) and value:
            yield from leaves(value, f"{path}/{key}")
        else:
            yield f"{path}/{key}", value


def is_address(compose: str, native: str) -> bool:
    """Whether a value changed in nothing but addresses."""
    for address, local in LOCAL.items():
        anywhere = address.replace("collector", "0.0.0.0", 1)  # noqa: S104 - as in the file
        compose = compose.replace(address, local).replace(anywhere, local)
    return compose == native


def is_scaled(compose: str, native: str, factor: float) -> bool:
    """Whether a value changed in nothing but being divided, or raised to the smallest interval."""
    try:
        before, after = parse_duration(compose), parse_duration(native)
    except RuleDurationError:
        return False
    return after in {round(before / factor, 3), MINIMUM_INTERVAL}


@pytest.mark.parametrize("factor", [1.0, 30.0, 60.0])
def test_native_differs_in_hosts_ports_and_durations_only(
    render: Callable[..., NativeConfiguration], repository: Path, factor: float
) -> None:
    """Leaf by leaf, all three files say the same as those that Compose mounts."""
    native = render(factor=factor)
    expected_else = {"/extensions/file_storage/directory", "/service/telemetry/metrics/readers/0"}
    pairs = {
        native.prometheus: repository / "prometheus/prometheus.yml",
        native.alertmanager: repository / "alertmanager/alertmanager.yml",
        native.collector: repository / "otel/collector.yaml",
    }
    for rendered, source in pairs.items():
        before, after = dict(leaves(read(source))), dict(leaves(read(rendered)))
        assert before.keys() == after.keys()
        for path, value in before.items():
            other = after[path]
            if value == other or path.startswith(tuple(expected_else)):
                continue
            assert is_address(value, other) or is_scaled(value, other, factor), (path, value, other)
    reader = read(native.collector)["service"]["telemetry"]["metrics"]["readers"][0]
    exporter = reader["pull"]["exporter"]["prometheus"]
    assert f"{exporter['host']}:{exporter['port']}" == LOCAL["collector:8888"]


def test_a_gate_and_a_queue_change_nothing_else(
    render: Callable[..., NativeConfiguration],
) -> None:
    """The Collector exports metrics to the gate, from a queue of that size."""
    before = dict(leaves(read(render().collector)))
    after = dict(leaves(read(render(gate="127.0.0.1:1", queue_size=7).collector)))
    exporter = "/exporters/otlp_http/prometheus"
    assert {path: after[path] for path in after if after[path] != before[path]} == {
        f"{exporter}/endpoint": "http://127.0.0.1:1/api/v1/otlp",
        f"{exporter}/sending_queue/queue_size": 7,
    }


def test_no_compose_address_is_left(
    render: Callable[..., NativeConfiguration], layout: RunLayout
) -> None:
    """Nothing native looks for a Compose host, or listens on all interfaces."""
    render()
    hosts = "|".join({address.partition(":")[0] for address in ADDRESSES})
    for file in ("prometheus.yml", "alertmanager.yml", "collector.yaml"):
        text = (layout.config / file).read_text()
        assert "0.0.0.0" not in text  # noqa: S104 - must not be there
        assert re.findall(rf"\b(?:{hosts}):\d+", text) == [], file


def test_every_duration_that_should_scale_does(
    render: Callable[..., NativeConfiguration],
) -> None:
    """The values that a run at 30 depends on, spelled out."""
    native = render()
    prometheus, alertmanager = read(native.prometheus), read(native.alertmanager)
    collector = read(native.collector)
    assert prometheus["global"] == {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
    assert (native.scrape_interval, native.evaluation_interval) == (0.5, 0.5)
    assert prometheus["storage"]["tsdb"]["out_of_order_time_window"] == "30m"
    route = alertmanager["route"]
    times = (route["group_wait"], route["group_interval"], route["repeat_interval"])
    assert times == ("1s", "10s", "8m")
    queue = collector["exporters"]["otlp_http/prometheus"]["sending_queue"]
    assert queue["batch"]["flush_timeout"] == "167ms"
    rules = read_rules(native.rules)
    (rule,) = (
        rule
        for group in rules["api.yml"]["groups"]
        for rule in group["rules"]
        if rule["alert"] == "HighErrorRate"
    )
    assert rule["for"] == "10s"
    assert "[10s]" in rule["expr"]


def test_components_left_out_leave_no_trace(render: Callable[..., NativeConfiguration]) -> None:
    """Their scrape jobs, Alertmanager and the receiver go; what finds targets by file stays."""
    native = render(
        without=frozenset({"collector", "node_exporter", "alertmanager", "receiver", "drift"}),
    )
    prometheus = read(native.prometheus)
    assert [job["job_name"] for job in prometheus["scrape_configs"]] == [
        "ml-api",
        "prometheus",
        "cadvisor",
    ]
    assert "alerting" not in prometheus
    assert LOCAL["receiver:9080"] not in native.alertmanager.read_text()


def test_spans_and_log_records_go_to_the_receiver(
    render: Callable[..., NativeConfiguration],
) -> None:
    """Native mode has no trace viewer, unless an endpoint of one is given."""
    without = {address: local for address, local in LOCAL.items() if "jaeger" not in address}
    collector = read(render(endpoints=without).collector)
    sink = collector["exporters"]["otlp_http/receiver"]
    assert sink["endpoint"] == f"http://{LOCAL['receiver:9080']}"
    assert (sink["encoding"], sink["compression"]) == ("json", "none")
    assert parse_duration(sink["retry_on_failure"]["initial_interval"]) < 5
    for signal in ("traces", "logs"):
        assert collector["service"]["pipelines"][signal]["exporters"] == ["otlp_http/receiver"]
    assert set(collector["exporters"]) == {"otlp_http/prometheus", "otlp_http/receiver"}
    collector = read(render().collector)
    assert collector["exporters"]["otlp_http/traces"]["endpoint"] == "http://127.0.0.1:20009"


def test_traces_without_a_viewer_and_a_receiver_end_in_the_debug_exporter(
    render: Callable[..., NativeConfiguration],
) -> None:
    """Nobody looks at them then; log records stand in the Collector's output."""
    endpoints = {address: local for address, local in LOCAL.items() if "jaeger" not in address}
    collector = read(render(endpoints=endpoints, without=frozenset({"receiver"})).collector)
    assert collector["service"]["pipelines"]["traces"]["exporters"] == ["debug"]
    assert set(collector["exporters"]) == {"otlp_http/prometheus", "debug", "debug/logs"}


def test_every_signal_has_a_bounded_pipeline(render: Callable[..., NativeConfiguration]) -> None:
    """What the processes may send finds a receiver, and memory is limited before all else."""
    collector = read(render().collector)
    pipelines = collector["service"]["pipelines"]
    assert set(pipelines) == {"metrics", "traces", "logs"}
    for pipeline in pipelines.values():
        assert pipeline["receivers"] == ["otlp"]
        assert pipeline["processors"] == ["memory_limiter"]
        assert set(pipeline["exporters"]) <= set(collector["exporters"])
    # The Collector's own level mutes what its logger prints, and these are no words of its own.
    assert collector["exporters"]["debug/logs"]["use_internal_logger"] is False


def test_a_run_has_the_dashboards(
    render: Callable[..., NativeConfiguration], layout: RunLayout, repository: Path
) -> None:
    """As Grafana reads them: what the verdict runs is what people look at."""
    render()
    for path in (repository / "grafana/dashboards").glob("*.json"):
        assert (layout.dashboards / path.name).read_bytes() == path.read_bytes()


def test_own_rules_replace_the_projects(
    render: Callable[..., NativeConfiguration], tmp_path: Path
) -> None:
    """A user's folder is scaled in the same way, and a second rendering leaves no old rule."""
    render()
    own = tmp_path / "own"
    own.mkdir()
    (own / "mine.yaml").write_text(
        "groups: [{name: g, rules: [{alert: A, expr: 'rate(up[5m]) > 0', for: 1h}]}]"
    )
    native = render(rules=own)
    assert [path.name for path in native.rules.iterdir()] == ["mine.yml"]
    (rule,) = read(native.rules / "mine.yml")["groups"][0]["rules"]
    assert rule == {"alert": "A", "expr": "rate(up[10s]) > 0", "for": "2m"}


def test_targets_carry_the_instance(
    render: Callable[..., NativeConfiguration], layout: RunLayout
) -> None:
    """A replica's scrape target bears its service.instance.id, also after a restart."""
    native = render(api_targets=[("127.0.0.1:9464", "api-1")])
    assert json.loads(native.targets.read_text()) == [
        {"targets": ["127.0.0.1:9464"], "labels": {"instance": "api-1"}}
    ]
    write_api_targets(native.targets, [("127.0.0.1:1", "a"), ("127.0.0.1:2", "b")])
    assert [group["labels"]["instance"] for group in json.loads(native.targets.read_text())] == [
        "a",
        "b",
    ]
    (job,) = (j for j in read(native.prometheus)["scrape_configs"] if j["job_name"] == "ml-api")
    (files,) = (each["files"] for each in job["file_sd_configs"])
    assert layout.config / files[0] == native.targets


def test_password_stays_out_of_the_configuration(
    render: Callable[..., NativeConfiguration], layout: RunLayout
) -> None:
    """It is in a file of its own that only the user can read."""
    smtp = SmtpSettings("127.0.0.1:2525", "a@example.com", "b@example.com", "me", "secret-word")
    native = render(smtp=smtp)
    assert "secret-word" not in native.alertmanager.read_text()
    password = layout.config / "smtp-password"
    assert password.read_text() == "secret-word"
    assert password.stat().st_mode & 0o077 == 0


def test_smtp_server_needs_a_port() -> None:
    """The error says how to write it."""
    with pytest.raises(UsageError, match="host:port"):
        SmtpSettings("mail.example.com", "a@example.com", "b@example.com")


@dataclass(frozen=True)
class Launched:
    """What a command line is made of."""

    tools: Tools
    layout: RunLayout
    endpoints: dict[str, str]
    configuration: NativeConfiguration
    factor: float = 30.0


def test_flags_scale_too(
    render: Callable[..., NativeConfiguration], layout: RunLayout, run_tool: Callable[..., str]
) -> None:
    """Lookback, resend delay and the like are divided, and the programs know those flags."""
    run_tool("prometheus", "--version")
    launch = Launched(find(), layout, LOCAL, render())
    flags = prometheus_argv(launch)
    assert "--query.lookback-delta=10s" in flags
    assert "--rules.alert.resend-delay=2s" in flags
    assert "--scrape.discovery-reload-interval=167ms" in flags
    run_tool("prometheus", *flags[1:], "--version")
    # Of `up`; a run, whose paths begin with an id, stays as it is.
    assert "--web.enable-lifecycle" in flags
    of_run = replace(launch, configuration=replace(launch.configuration, intake="run-1"))
    assert "--web.enable-lifecycle" not in prometheus_argv(of_run)
    own = f"--web.external-url=http://{LOCAL['prometheus:9090']}/run-1"
    assert own in prometheus_argv(of_run), "else `/` leads to a page that is not below its prefix"
    assert not [flag for flag in flags if "external-url" in flag], "there is no console"
    shown = replace(launch, endpoints=LOCAL | {"console:9070": "127.0.0.1:9070"})
    assert "--web.external-url=http://127.0.0.1:9070/" in prometheus_argv(shown)
    assert "--web.route-prefix=/" in prometheus_argv(shown), "not that of the external URL"
    of_run = replace(of_run, endpoints=shown.endpoints)
    assert "--web.external-url=http://127.0.0.1:9070/run-1" in prometheus_argv(of_run)
    assert "--dispatch.maintenance-interval=1s" in alertmanager_argv(launch)
    run_tool("alertmanager", *alertmanager_argv(launch)[1:], "--version")
    run_tool("node_exporter", *node_exporter_argv(launch)[1:], "--version")


def test_production_flags_are_the_programs_defaults(run_tool: Callable[..., str]) -> None:
    """Compose gives none of these flags, so their production values must be the defaults."""
    text = {
        "prometheus": " ".join(run_tool("prometheus", "--help").split()),
        "alertmanager": " ".join(run_tool("alertmanager", "--help").split()),
    }
    hidden = {"scrape.discovery-reload-interval"}
    for flag in PROMETHEUS_DURATIONS.keys() - hidden:
        assert f"--{flag}={PROMETHEUS_DURATIONS[flag]} " in text["prometheus"]
    for flag, value in ALERTMANAGER_DURATIONS.items():
        assert f"--{flag}={value} " in text["alertmanager"]


@pytest.mark.parametrize("factor", [1.0, 30.0, 60.0])
def test_rendered_files_are_valid(
    render: Callable[..., NativeConfiguration],
    layout: RunLayout,
    run_tool: Callable[..., str],
    factor: float,
) -> None:
    """Each program accepts what is rendered for it, e-mail included."""
    smtp = SmtpSettings("127.0.0.1:2525", "a@example.com", "b@example.com", "me", "secret")
    native = render(factor=factor, smtp=smtp, api_targets=[("127.0.0.1:1", "api-1")])
    (layout.data / "collector").mkdir()
    run_tool("promtool", "check", "config", "--lint=all", native.prometheus)
    run_tool("amtool", "check-config", native.alertmanager)
    run_tool("otelcol", "validate", f"--config=file:{native.collector}")


def test_a_run_takes_in_only_what_bears_its_id(
    render: Callable[..., NativeConfiguration], repository: Path
) -> None:
    """At the Collector, and at Prometheus, whose paths all begin with it; gRPC has no port."""
    endpoints = {address: local for address, local in LOCAL.items() if address != "collector:4317"}
    native = render(endpoints=endpoints, intake="run-1-abc")
    collector = read(native.collector)
    assert collector["receivers"]["otlp"]["protocols"] == {
        "http": {
            "endpoint": LOCAL["collector:4318"],
            "metrics_url_path": "/run-1-abc/v1/metrics",
            "traces_url_path": "/run-1-abc/v1/traces",
            "logs_url_path": "/run-1-abc/v1/logs",
        }
    }
    exported = collector["exporters"]["otlp_http/prometheus"]["endpoint"]
    assert exported == f"http://{LOCAL['prometheus:9090']}/run-1-abc/api/v1/otlp"
    paths = {
        job["job_name"]: job.get("metrics_path")
        for job in read(native.prometheus)["scrape_configs"]
    }
    assert {job for job, path in paths.items() if path} == {"prometheus"}
    assert paths["prometheus"] == "/run-1-abc/metrics"
    source = read(repository / "otel/collector.yaml")["receivers"]["otlp"]["protocols"]
    assert "metrics_url_path" not in source["http"], "Compose stays open to anybody"


@pytest.mark.parametrize("intake", ["", "run-1-abc"])
def test_collector_series_are_those_of_the_vocabulary(
    render: Callable[..., NativeConfiguration],
    layout: RunLayout,
    run_tool: Callable[..., str],
    intake: str,
) -> None:
    """A real Collector exposes the names that rules select, and forwards nothing before it can.

    Where a run demands its id, what comes without is not found.
    """
    run_tool("otelcol", "--version")
    endpoints = {address: f"127.0.0.1:{free_port()}" for address in ADDRESSES}
    launch = Launched(find(), layout, endpoints, render(endpoints=endpoints, intake=intake))
    point = {"asDouble": 1, "timeUnixNano": str(time.time_ns())}
    metric = {"name": "x", "gauge": {"dataPoints": [point]}}
    body = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}
    wanted = {
        "otelcol_receiver_accepted_metric_points_total",
        "otelcol_receiver_refused_metric_points_total",
        "otelcol_exporter_queue_size",
        "otelcol_exporter_queue_capacity",
    }
    health = f"http://{endpoints['collector:13133']}/"
    with running(collector_argv(launch), layout.logs / "collector.log", health) as process:
        url = f"http://{endpoints['collector:4318']}"
        if intake:
            stranger = httpx.post(f"{url}/v1/metrics", json=body, timeout=30)
            assert stranger.status_code == httpx.codes.NOT_FOUND
            url = f"{url}/{intake}"
        assert httpx.post(f"{url}/v1/metrics", json=body, timeout=30).is_success

        def exposed() -> bool:
            page = httpx.get(f"http://{endpoints['collector:8888']}/metrics", timeout=30).text
            return all(f"\n{name}{{" in page for name in wanted)

        wait_for(exposed, process=process)


def test_a_disturbed_link_goes_through_its_proxy(
    render: Callable[..., NativeConfiguration],
) -> None:
    """Only what one asks the other does; scrapes of the same address go there directly."""
    links = {
        "collector-prometheus:0": "127.0.0.1:31001",
        "prometheus-alertmanager:0": "127.0.0.1:31002",
        "alertmanager-receiver:0": "127.0.0.1:31003",
    }
    native = render(endpoints=LOCAL | links)
    exporter = read(native.collector)["exporters"]["otlp_http/prometheus"]
    assert "127.0.0.1:31001" in exporter["endpoint"]
    prometheus = read(native.prometheus)
    assert "127.0.0.1:31002" in str(prometheus["alerting"])
    assert LOCAL["alertmanager:9093"] in str(prometheus["scrape_configs"])
    assert "3100" not in str(prometheus["scrape_configs"])
    receivers = str(read(native.alertmanager)["receivers"])
    assert "127.0.0.1:31003" in receivers
    assert LOCAL["receiver:9080"] not in receivers


def test_jobs_have_the_names_of_another_system(render: Callable[..., NativeConfiguration]) -> None:
    """What is scraped is stored once, under the other name, and ``up`` under both."""
    native = render(job_names="fastapi-instrumentator")
    jobs = {job["job_name"]: job for job in read(native.prometheus)["scrape_configs"]}
    assert len(jobs) == len(read(native.prometheus)["scrape_configs"])
    for name, other in (("ml-api", "fastapi"), ("node", "node-exporter")):
        assert jobs[name]["metric_relabel_configs"] == [NOTHING_BUT_UP]
        where = {"static_configs", "file_sd_configs"} & set(jobs[name])
        assert all(jobs[name][key] == jobs[other][key] for key in where)
    assert "metric_relabel_configs" not in jobs["node-exporter"]
    assert jobs["fastapi"]["metric_relabel_configs"] == [NOTHING_BUT_UP]  # the rest is pushed


def test_a_job_of_the_users_own_keeps_its_name(
    render: Callable[..., NativeConfiguration],
) -> None:
    """A service that is scraped as ``fastapi`` already is the only job of that name."""
    service = {"job_name": "fastapi", "static_configs": [{"targets": ["target:8000"]}]}
    native = render(job_names="fastapi-instrumentator", scrapes=[service])
    jobs = [job["job_name"] for job in read(native.prometheus)["scrape_configs"]]
    assert sorted(set(jobs)) == sorted(jobs)
    assert "node-exporter" in jobs

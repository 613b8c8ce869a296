"""The parts of the stack: how each is started, and how one sees that it is ready."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import httpx
from testbed_load.command import web_command
from testbed_otel import names
from testbed_otel.otlplogs import VARIABLE as LOGS_EXPORTER
from testbed_otel.settings import ALIASES

from testbed import driftplan
from testbed.driftplan import DriftPlan
from testbed.errors import TestbedError, UsageError
from testbed.layout import RunLayout
from testbed.partsettings import PartSettings
from testbed.settings import Settings, otel_environment
from testbed.stack import driftchoices
from testbed.stack.build import Tools
from testbed.stack.configuration import (
    NativeConfiguration,
    alertmanager_argv,
    collector_argv,
    node_exporter_argv,
    prometheus_argv,
)
from testbed.stack.gate import Gate
from testbed.stack.ports import PortClaims
from testbed.stack.process import ProcessRequest
from testbed.timescale import TimeScale

# Compose address to the usual port of native mode.
USUAL_PORTS: Final = {
    "api:8000": 8000,
    "api:9464": 9464,
    "collector:4317": 4317,
    "collector:4318": 4318,
    "collector:8888": 8888,
    "collector:13133": 13133,
    "prometheus:9090": 9090,
    "alertmanager:9093": 9093,
    "node_exporter:9100": 9100,
    "receiver:9080": 9080,
    "locust:8089": 8089,
    "evidently:8085": 8085,
}
MANAGEMENT: Final = "api:9464"
PROMETHEUS: Final = "prometheus:9090"
COLLECTOR_HTTP: Final = "collector:4318"
COLLECTOR_GRPC: Final = "collector:4317"
# What other programs of a machine send to unasked: OTLP by an SDK's or a Collector's defaults, and
# alerts by another Prometheus.
SENT_TO: Final = (COLLECTOR_HTTP, PROMETHEUS, "alertmanager:9093", "receiver:9080")
# Parts without which a run can still end in a (failed) verdict.
RELATIONS_ROWS: Final = "TESTBED_DRIFT_RELATIONS_ROWS"
OPTIONAL_PARTS: Final = (
    *("collector", "alertmanager", "node_exporter", "receiver", "drift"),
    "evidently",  # of `testbed up`
)

# Production durations, in seconds; a run divides them by its time scale.
EXPORT_INTERVAL: Final = 15.0
BATCH_DELAY: Final = 5.0
# Real seconds: an export of spans costs what it costs, whatever the time scale.
SHORTEST_DELAY: Final = 0.5
DRIFT_INTERVAL: Final = driftplan.INTERVAL
DRIFT_WINDOW: Final = driftplan.WINDOW
# Real seconds from one run of the drift job to the next in which a study of relations has room.
STUDIED_INTERVAL: Final = 4.0
RETRAIN_COOLDOWN: Final = 3600.0
PROBE_TIMEOUT: Final = 2.0


@dataclass(slots=True)
class StackContext:
    """All that a part needs to know to be started.

    Attributes:
        layout: files of the run.
        settings: effective settings.
        tools: compiled tools.
        endpoints: Compose address to ``127.0.0.1:port``.
        claims: hold those ports against other testbeds, for as long as this process lives.
        configuration: rendered configuration files.
        factor: time scale.
        log_url: SQLAlchemy URL of the prediction log.
        use_case: name of the use case.
        faults: whether the API offers its fault control.
        without: parts that are left out.
        instances: part to the ``service.instance.id`` of its latest start.
        api_instances: every instance id that the API was started with, oldest first.
        replicas: processes of the API.
        trace_ratio: share of requests that the parts sample.
        logs: whether the API sends its log records.
        serving: management address to the instance id of the latest replica there.
        played: settings of parts that the scenario needs.
        gates: receiver of OTLP to the gate before it, where the scenario shuts one.
        drift_plan: windows of the drift job in a run; None evaluates by time.
        token_file: of the management port's token; None is that of the run.
        born: Unix time before the first sample of any part, where that is before the run.
    """

    layout: RunLayout
    settings: Settings
    tools: Tools
    endpoints: Mapping[str, str]
    claims: PortClaims
    configuration: NativeConfiguration
    factor: float
    log_url: str
    use_case: str
    faults: bool = True
    without: frozenset[str] = frozenset()
    instances: dict[str, str] = field(default_factory=dict)
    api_instances: list[str] = field(default_factory=list)
    replicas: int = 1
    trace_ratio: float = 0.01
    logs: bool = False
    serving: dict[str, str] = field(default_factory=dict)
    played: PartSettings = field(default_factory=PartSettings)
    gates: Mapping[str, Gate] = field(default_factory=dict)
    drift_plan: DriftPlan | None = None
    token_file: Path | None = None
    born: float | None = None

    @property
    def management_token(self) -> Path:
        """File of the token that changes on a management port need."""
        return self.token_file or self.layout.management_token

    @property
    def management(self) -> list[str]:
        """Local management address of each replica of the API."""
        return [self.endpoints[address] for address in management_addresses(self.replicas)]

    def url(self, address: str) -> str:
        """Base URL of a Compose address; with the id where one is demanded."""
        guarded = address in {COLLECTOR_HTTP, PROMETHEUS} and self.configuration.intake
        return f"http://{self.endpoints[address]}{f'/{guarded}' if guarded else ''}"

    def port(self, address: str) -> str:
        """Local port of a Compose address, as text."""
        return self.endpoints[address].rpartition(":")[2]

    def new_instance(self, part: str) -> str:
        """Give a part a fresh ``service.instance.id``: two starts never share a counter."""
        instance = f"{part}-{uuid.uuid4().hex[:8]}"
        self.instances[part] = instance
        # Of several replicas the journal reports, whose ids only begin with this one.
        if part == "api" and self.replicas == 1:
            self.api_instances.append(instance)
        return instance


def management_addresses(replicas: int) -> list[str]:
    """Management address of each replica of the API, as the Compose file would name it."""
    first = USUAL_PORTS[MANAGEMENT]
    return [f"api:{first + number}" for number in range(replicas)]


class Part(Protocol):
    """One part of the stack."""

    @property
    def name(self) -> str:
        """Its name, as in the architecture page."""

    def request(self, context: StackContext) -> ProcessRequest:
        """The process to start."""

    def not_ready(self, context: StackContext) -> str | None:
        """Why it is not ready yet, or None when it is."""


@dataclass(frozen=True, slots=True)
class Program:
    """A part that is one process and one probe."""

    name: str
    argv: Callable[[StackContext], list[str]]
    probe: Callable[[StackContext], str | None]
    env: Callable[[StackContext], dict[str, str]] = lambda _: {}

    def request(self, context: StackContext) -> ProcessRequest:
        """The process to start, with the caller's environment and the part's own."""
        return ProcessRequest(
            name=self.name,
            argv=tuple(self.argv(context)),
            log=context.layout.logs / f"{self.name}.log",
            env=base_environment() | self.env(context),
            cwd=context.layout.root,
        )

    def not_ready(self, context: StackContext) -> str | None:
        """Ask the probe."""
        try:
            return self.probe(context)
        except (httpx.HTTPError, TestbedError) as error:
            return f"{type(error).__name__}: {error}".rstrip(": ")


def base_environment() -> dict[str, str]:
    """The caller's environment without other parts' settings."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TESTBED_", "OTEL_", "LOCUST_"))
    }
    return kept | {"DO_NOT_TRACK": "1", "PYTHONUNBUFFERED": "1"}


def get_ok(address: str, path: str) -> Callable[[StackContext], str | None]:
    """A probe that wants 200 from a path."""

    def probe(context: StackContext) -> str | None:
        reply = httpx.get(f"{context.url(address)}{path}", timeout=PROBE_TIMEOUT)
        if reply.status_code == httpx.codes.OK:
            return None
        return f"{path} answers {reply.status_code}: {reply.text[:200].strip()}"

    return probe


def instant_query(context: StackContext, expression: str) -> list[dict[str, dict[str, str]]]:
    """Result vector of an instant query."""
    reply = httpx.get(
        f"{context.url('prometheus:9090')}/api/v1/query",
        params={"query": expression},
        timeout=PROBE_TIMEOUT,
    )
    reply.raise_for_status()
    result: list[dict[str, dict[str, str]]] = reply.json()["data"]["result"]
    return result


def api_not_ready(context: StackContext) -> str | None:
    """The API is ready when each of its replicas is."""
    probes = (get_ok(name, "/health/ready") for name in management_addresses(context.replicas))
    return next((reason for probe in probes if (reason := probe(context)) is not None), None)


def drift_not_ready(context: StackContext) -> str | None:
    """The drift job is ready when its first run has ended: imports are behind it then."""
    done = (context.layout.drift / "runs.jsonl").exists()
    return None if done else "its first run has not ended yet"


def telemetry_environment(context: StackContext, part: str, service: str) -> dict[str, str]:
    """Standard OpenTelemetry variables of a Python part; the caller's own win, but for where to."""
    interval = round(TimeScale(context.factor).interval_seconds(EXPORT_INTERVAL) * 1000)
    identity = f"service.instance.id={context.new_instance(part)}"
    mine = {
        "OTEL_SERVICE_NAME": service,
        "OTEL_RESOURCE_ATTRIBUTES": identity,
        "OTEL_EXPORTER_OTLP_ENDPOINT": _collector(context, part),
        "OTEL_METRIC_EXPORT_INTERVAL": str(interval),
        "OTEL_BSP_SCHEDULE_DELAY": batch_delay(context.factor),
        "OTEL_BLRP_SCHEDULE_DELAY": batch_delay(context.factor),
        "OTEL_TRACES_SAMPLER_ARG": str(context.trace_ratio),
        ALIASES: context.settings.metric_aliases,
    }
    callers = otel_environment()
    # Identity joins what the caller says of the resource: the checks need it.
    if extra := callers.pop("OTEL_RESOURCE_ATTRIBUTES", ""):
        mine["OTEL_RESOURCE_ATTRIBUTES"] = f"{extra},{identity}"
    callers.pop("OTEL_SERVICE_NAME", None)
    if "collector" not in context.without:  # a shell often names another one than is tested here
        callers.pop("OTEL_EXPORTER_OTLP_ENDPOINT", None)
    return mine | callers


def _collector(context: StackContext, part: str) -> str:
    """Where a part exports to: the Collector, or the gate that the scenario has before it."""
    gate = context.gates.get("collector") if part == "api" else None
    url = context.url("collector:4318")
    return url if gate is None else url.replace(context.endpoints["collector:4318"], gate.address)


def batch_delay(factor: float) -> str:
    """Milliseconds in which spans and log records gather: the SDK's own delay, scaled."""
    return str(round(max(BATCH_DELAY / factor, SHORTEST_DELAY) * 1000))


def export_interval(factor: float) -> float:
    """Real seconds between two exports of metrics, with what the caller's environment says."""
    callers = otel_environment().get("OTEL_METRIC_EXPORT_INTERVAL", "")
    try:
        return float(callers) / 1000
    except ValueError:
        return TimeScale(factor).interval_seconds(EXPORT_INTERVAL)


def _api_environment(context: StackContext) -> dict[str, str]:
    logs = {LOGS_EXPORTER: "otlp"} if context.logs else {}
    return (
        logs
        | telemetry_environment(context, "api", names.SERVICE_API)
        | {
            "TESTBED_API_ARTEFACT": str(context.layout.model.resolve()),
            "TESTBED_API_PORT": context.port("api:8000"),
            "TESTBED_API_MANAGEMENT_PORT": context.port(MANAGEMENT),
            "TESTBED_API_MANAGEMENT_TOKEN_FILE": str(context.layout.management_token.resolve()),
            "TESTBED_API_LOG_URL": context.log_url,
            "TESTBED_API_LOG_SPOOL": str((context.layout.data / "spool").resolve()),
            "TESTBED_API_FAULTS_ENABLED": str(context.faults).lower(),
            "TESTBED_API_REPLICAS": str(context.replicas),
            "TESTBED_API_VERSIONS_FILE": str(context.layout.versions.resolve()),
            "TESTBED_API_REPLICAS_FILE": str(context.layout.replicas.resolve()),
            **context.played.api_environment,
        }
    )


def _drift_environment(context: StackContext) -> dict[str, str]:
    return telemetry_environment(context, "drift", names.SERVICE_DRIFT) | {
        "TESTBED_DRIFT_ARTEFACT": str(context.layout.model.resolve()),
        "TESTBED_DRIFT_LOG_URL": context.log_url,
        "TESTBED_DRIFT_OUTPUT": str(context.layout.drift.resolve()),
        "TESTBED_DRIFT_INTERVAL": f"{DRIFT_INTERVAL / context.factor:g}",
        "TESTBED_DRIFT_WINDOW": f"{DRIFT_WINDOW / context.factor:g}",
        "TESTBED_DRIFT_MIN_ROWS": str(context.settings.drift_min_rows),
        **planned_windows(context.drift_plan),
        **_retraining(context),
        **driftchoices.chosen(os.environ),
        **relations_environment(context.factor, os.environ),
        **context.played.drift_environment,
    }


def planned_windows(plan: DriftPlan | None) -> dict[str, str]:
    """Windows and level of a run; without a plan the job's own."""
    if plan is None:
        return {}
    found = {"TESTBED_DRIFT_LEVEL": repr(plan.level)}
    if plan.every is not None:
        found["TESTBED_DRIFT_WINDOW_ROWS"] = str(plan.rows)
        found["TESTBED_DRIFT_WINDOW_EVERY"] = str(plan.every)
        found["TESTBED_DRIFT_WINDOW_LAG"] = f"{plan.lag:g}"
    return found


def _retraining(context: StackContext) -> dict[str, str]:
    """What RETRAIN starts, and where a challenger is registered; empty where nothing is to be."""
    wanted = context.played.drift.on_retrain or context.settings.drift_on_retrain
    if wanted == "off":
        return {}
    return {
        "TESTBED_DRIFT_ON_RETRAIN": wanted,
        "TESTBED_DRIFT_RETRAIN_COOLDOWN": f"{RETRAIN_COOLDOWN / context.factor:g}",
        "TESTBED_DRIFT_MANAGEMENT_URLS": ",".join(f"http://{each}" for each in context.management),
        "TESTBED_DRIFT_MANAGEMENT_TOKEN_FILE": str(context.layout.management_token.resolve()),
    }


def _shown_drift_environment(context: StackContext) -> dict[str, str]:
    """The drift job where Evidently's UI shows its runs."""
    workspace = str(context.layout.workspace.resolve())
    return _drift_environment(context) | {"TESTBED_DRIFT_WORKSPACE": workspace}


def evidently_ui() -> Part:
    """Evidently's UI on the runs of the drift job, as ``testbed up`` starts it."""
    return Program(
        "evidently",
        lambda c: [
            *(sys.executable, "-m", "testbed_drift", "ui"),
            *("--workspace", str(c.layout.workspace.resolve())),
            *("--port", c.port("evidently:8085")),
        ],
        get_ok("evidently:8085", "/api/version"),
    )


def relations_environment(factor: float, callers: Mapping[str, str]) -> dict[str, str]:
    """Whether the drift job studies relations: only if the caller asks, where runs are too close.

    A study costs about half a second of the processor, whatever the time scale.
    """
    if DRIFT_INTERVAL / factor < STUDIED_INTERVAL and RELATIONS_ROWS not in callers:
        return {RELATIONS_ROWS: "0"}
    return {name: callers[name] for name in (RELATIONS_ROWS,) if name in callers}


def locust_web_ui() -> Part:
    """Locust with its web UI, as ``testbed up`` starts it."""
    return Program(
        "locust",
        lambda c: web_command(
            c.url("api:8000"),
            port=int(c.port("locust:8089")),
            use_case=c.use_case,
            artefact=c.layout.model,
        ),
        get_ok("locust:8089", "/"),
    )


def stack_parts(without: frozenset[str] = frozenset(), *, web_ui: bool = False) -> list[Part]:
    """The parts in their order of start, with the web UIs of Locust and Evidently where wanted.

    Raises:
        UsageError: a part that is unknown, or that no run can do without.
    """
    if wrong := sorted(without - set(OPTIONAL_PARTS)):
        raise UsageError(
            f"cannot run without {', '.join(wrong)}; may be left out: {', '.join(OPTIONAL_PARTS)}"
        )
    shown = web_ui and not without & {"drift", "evidently"}
    parts: list[Part] = [
        Program("collector", collector_argv, get_ok("collector:13133", "/")),
        Program("prometheus", prometheus_argv, get_ok("prometheus:9090", "/-/ready")),
        Program("alertmanager", alertmanager_argv, get_ok("alertmanager:9093", "/-/ready")),
        Program("node_exporter", node_exporter_argv, get_ok("node_exporter:9100", "/metrics")),
        Program(
            "receiver",
            lambda c: [
                *(sys.executable, "-m", "testbed.receiver"),
                *("--host", "127.0.0.1", "--port", c.port("receiver:9080")),
                *("--out", str(c.layout.notifications.resolve())),
                *("--traces", str(c.layout.traces.resolve())),
                *("--log-records", str(c.layout.log_records.resolve())),
            ],
            get_ok("receiver:9080", "/health/ready"),
        ),
        Program(
            "api",
            lambda _: [sys.executable, "-m", "testbed_api"],
            api_not_ready,
            _api_environment,
        ),
        Program(
            "drift",
            lambda _: [sys.executable, "-m", "testbed_drift", "watch"],
            drift_not_ready,
            _shown_drift_environment if shown else _drift_environment,
        ),
    ]
    if shown:
        parts.append(evidently_ui())
    if web_ui:
        parts.append(locust_web_ui())
    return [part for part in parts if part.name not in without]

"""The environments of the components: their settings, as variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from testbed_load.command import KEY_VARIABLE
from testbed_otel import names
from testbed_otel.settings import ALIASES, JOB_NAMES, LOGS_EXPORTER
from testbed_rules.timescale import TimeScale

from testbed import driftplan
from testbed.componentnames import API
from testbed.driftplan import DriftPlan
from testbed.stack import driftchoices, shell
from testbed.stack.addresses import COLLECTOR_HTTP, MANAGEMENT, PUBLIC
from testbed.stack.context import StackContext
from testbed.stack.driftchoices import RELATIONS_ROWS
from testbed.stack.links import ways

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


def base_environment() -> dict[str, str]:
    """The caller's environment without other components' settings."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(shell.PREFIXES)
    }
    return kept | {"DO_NOT_TRACK": "1", "PYTHONUNBUFFERED": "1"}


def asking_environment(context: StackContext) -> dict[str, str]:
    """The caller's variables that the load needs to ask the target, however they are called."""
    return {name: os.environ[name] for name in context.target.variables if name in os.environ}


def load_environment(context: StackContext) -> dict[str, str]:
    """Variables of the load of a run."""
    keys = {KEY_VARIABLE: str(context.layout.load_key.resolve())} if context.played.api.keys else {}
    own = context.settings.load_environment() | keys
    return base_environment() | asking_environment(context) | own


def telemetry_environment(context: StackContext, component: str, service: str) -> dict[str, str]:
    """Standard OpenTelemetry variables of a Python component.

    Of the shell's only those of :func:`testbed.stack.shell.passed_on` reach it.
    """
    interval = round(export_interval(context.factor) * 1000)
    identity = f"service.instance.id={context.new_instance(component)}"
    mine = {
        "OTEL_SERVICE_NAME": service,
        "OTEL_RESOURCE_ATTRIBUTES": identity,
        "OTEL_EXPORTER_OTLP_ENDPOINT": _collector(context, component),
        "OTEL_METRIC_EXPORT_INTERVAL": str(interval),
        "OTEL_BSP_SCHEDULE_DELAY": batch_delay(context.factor),
        "OTEL_BLRP_SCHEDULE_DELAY": batch_delay(context.factor),
        "OTEL_TRACES_SAMPLER_ARG": str(context.trace_ratio),
        ALIASES: context.settings.metric_aliases,
        JOB_NAMES: context.settings.job_names,
    }
    callers = shell.passed_on(os.environ, own_collector="collector" not in context.without)
    # Identity joins what the caller says of the resource: the checks need it.
    if extra := callers.pop(shell.RESOURCE, ""):
        mine[shell.RESOURCE] = f"{extra},{identity}"
    callers.pop(LOGS_EXPORTER, None)  # the run knows whether it exports log records
    return mine | callers


def _collector(context: StackContext, component: str) -> str:
    """Where a component exports to: the Collector, or the gate that the scenario has before it."""
    gate = context.gates.get("collector") if component == context.target.name else None
    address = context.endpoints[COLLECTOR_HTTP]
    way = ways(component, context.endpoints)[COLLECTOR_HTTP] if gate is None else gate.address
    return context.url(COLLECTOR_HTTP).replace(address, way)


def batch_delay(factor: float) -> str:
    """Milliseconds in which spans and log records gather: the SDK's own delay, scaled."""
    return str(round(max(BATCH_DELAY / factor, SHORTEST_DELAY) * 1000))


def export_interval(factor: float) -> float:
    """Real seconds between two exports of metrics."""
    return TimeScale(factor).interval_seconds(EXPORT_INTERVAL)


def api_environment(context: StackContext) -> dict[str, str]:
    """Variables of the API."""
    logs = {LOGS_EXPORTER: "otlp"} if context.logs else {}
    return (
        logs
        | telemetry_environment(context, API, names.SERVICE_API)
        | {
            "TESTBED_API_ARTEFACT": str(context.layout.model.resolve()),
            "TESTBED_API_PORT": context.port(PUBLIC),
            "TESTBED_API_MANAGEMENT_PORT": context.port(MANAGEMENT),
            "TESTBED_API_MANAGEMENT_TOKEN_FILE": str(context.layout.management_token.resolve()),
            "TESTBED_API_LOG_URL": context.api_log_url,
            "TESTBED_API_LOG_SPOOL": str((context.layout.data / "spool").resolve()),
            "TESTBED_API_FAULTS_ENABLED": str(context.faults).lower(),
            "TESTBED_API_REPLICAS": str(context.replicas),
            "TESTBED_API_VERSIONS_FILE": str(context.layout.versions.resolve()),
            "TESTBED_API_REPLICAS_FILE": str(context.layout.replicas.resolve()),
            **context.played.api_environment,
            **_keys(context),
        }
    )


def _keys(context: StackContext) -> dict[str, str]:
    if not context.played.api.keys:
        return {}
    return {"TESTBED_API_KEYS_FILE": str(context.layout.api_keys.resolve())}


def drift_environment(context: StackContext) -> dict[str, str]:
    """Variables of the drift job."""
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


def shown_drift_environment(context: StackContext) -> dict[str, str]:
    """The drift job where Evidently's UI shows its runs."""
    workspace = str(context.layout.workspace.resolve())
    return drift_environment(context) | {"TESTBED_DRIFT_WORKSPACE": workspace}


def relations_environment(factor: float, callers: Mapping[str, str]) -> dict[str, str]:
    """Whether the drift job studies relations: only if the caller asks, where runs are too close.

    A study costs about half a second of the processor, whatever the time scale.
    """
    if DRIFT_INTERVAL / factor < STUDIED_INTERVAL and RELATIONS_ROWS not in callers:
        return {RELATIONS_ROWS: "0"}
    return {name: callers[name] for name in (RELATIONS_ROWS,) if name in callers}

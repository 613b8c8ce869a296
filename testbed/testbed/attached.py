"""A run on a stack that others have started, such as that of Docker Compose.

``stack.json``, which the stack leaves beside its configuration, says what it was started with and
where its evidence lies. What such a run can't do is refused before anything starts, by name.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import func, select
from testbed_domain.artefact import load_artefact
from testbed_domain.files import read_regular
from testbed_domain.logengine import create_log_engine, one_line
from testbed_domain.predictionlog import predictions
from testbed_otel import names

from testbed.clients.prometheus import PrometheusClient
from testbed.driftplan import drift_plan
from testbed.errors import UsageError
from testbed.facts.configured import evaluation_interval
from testbed.facts.finalcounts import compared, parse_counters
from testbed.heartbeat import heartbeat_names
from testbed.preparation import (
    Prepared,
    RunOptions,
    Say,
    make_layout,
    new_run_id,
    require_fit,
    write_identity,
)
from testbed.scenarioenv import scenario_environment
from testbed.stack.attached import NOTIFICATIONS, AttachedStack
from testbed.stack.build import Tools
from testbed.stack.composeconfiguration import STACK_FILE, absent, profiles_of, traced
from testbed.stack.configuration import NativeConfiguration
from testbed.stack.parts import PROMETHEUS, StackContext
from testbed.stack.ports import PortClaims
from testbed.stack.process import Supervisor
from testbed.tail import JsonLinesTail

if TYPE_CHECKING:
    from testbed.layout import RunLayout
    from testbed.scenario import Scenario
    from testbed.settings import Settings
    from testbed.stack.stack import Stack
    from testbed.timeline import Timeline

LOWEST: Final = "prometheus_tsdb_lowest_timestamp_seconds"
ANEW: Final = (
    "begin with a new one: docker compose down --volumes, which removes its data, or another "
    "project by --project-name"
)
EARLIER: Final = 600.0
TIMEOUT: Final = 5.0
PATIENCE: Final = 60.0
LOOK: Final = 0.5
REPLICA_STARTS: Final = names.REPLICA_STARTS.prometheus


class Attachment(BaseModel):
    """A running stack, as it describes itself; paths are those of the container that plays.

    Attributes:
        environment: variables that it was started with.
        addresses: Compose address of each part to where it is.
        log_url: of the prediction log.
        token: file of the management port's token.
        model: artefact that the API serves.
        received: folder of what the receiver got.
        drift: output of the drift job.
        targets: folder in which the API leaves its scrape targets.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    environment: dict[str, str]
    addresses: dict[str, str]
    log_url: str
    token: Path
    model: Path
    received: Path
    drift: Path
    targets: Path

    @property
    def profiles(self) -> frozenset[str]:
        """What runs beside the parts of every stack."""
        return profiles_of(self.environment.get("COMPOSE_PROFILES", ""))


def read_attachment(path: Path) -> Attachment:
    """Read a stack's description of itself.

    Raises:
        UsageError: there is none, or it is broken.
    """
    try:
        return Attachment.model_validate_json(read_regular(path))
    except OSError as error:
        raise UsageError(
            f"no description of a running stack at {path} ({error.strerror}): start it first, with "
            "docker compose up --detach --wait"
        ) from None
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "the file"
        raise UsageError(f"{path} is no description of a running stack: {where} is wrong") from None


def refuse_what_needs_processes(scenario: Scenario, options: RunOptions) -> None:
    """What only a runner can do that has started the parts itself.

    Raises:
        UsageError: the scenario or an option wants it.
    """
    wanted = {
        "--data and --target": options.own.data or options.own.target,
        "--rules": options.rules,
        "--without": options.without,
        "--replicas": options.replicas != 1,
    }
    if asked := [name for name, given in wanted.items() if given]:
        raise UsageError(
            f"{', '.join(asked)}: a running stack has its own; leave it out, or start the stack so"
        )
    faults = [
        f"{phase.name}: {fault.description}"
        for phase in scenario.phases
        for fault in phase.faults
        if not fault.by_http
    ]
    if scenario.settings.collector.queue_size is not None:
        faults.append("another queue of the Collector")
    if faults:
        raise UsageError(
            f"the scenario {scenario.name} can't be played on a running stack, whose parts others "
            f"have started ({'; '.join(faults)}): play it natively, testbed run {scenario.name}"
        )


def refuse_other_start(scenario: Scenario, needed: dict[str, str], started: dict[str, str]) -> None:
    """A stack whose time scale or settings are others than the scenario needs.

    Raises:
        UsageError: the stack was started with others; says how to start it.
    """
    other = [
        f"{name} is {started.get(name) or 'not set'}, must be {value}"
        for name, value in needed.items()
        if started.get(name, "") != value
    ]
    if not other:
        return
    more = f", and {len(other) - 2} more" if len(other) > 2 else ""  # noqa: PLR2004 - two are shown
    raise UsageError(
        f"the stack was not started for the scenario {scenario.name} "
        f"({'; '.join(other[:2])}{more}): "
        f"write its variables into a file (docker compose run --rm --no-deps --entrypoint python "
        f"scenario -m testbed.scenarioenv {scenario.name}) and give it to docker compose by "
        "--env-file, beside .env"
    )


def prepare_attached(
    scenario: Scenario,
    options: RunOptions,
    settings: Settings,
    file: Path,
    *,
    say: Say,
    clock: Callable[[], float] = time.time,
) -> Prepared:
    """Do all that can be done before the load starts.

    Args:
        scenario: what to play.
        options: what the caller chose.
        settings: effective settings.
        file: the stack's description of itself.
        say: is told what goes on.
        clock: Unix seconds.

    Raises:
        TestbedError: one line that says what to change.
        DomainError: the model or the prediction log can't be read.
    """
    refuse_what_needs_processes(scenario, options)
    stack = read_attachment(file)
    factor = options.time_scale or scenario.time_scale
    refuse_other_start(
        scenario, scenario_environment(scenario, factor, settings), stack.environment
    )
    if stack.environment.get("TESTBED_API_REPLICAS", "1") != "1":
        raise UsageError("scenarios are played on one replica: set TESTBED_API_REPLICAS=1")
    if stack.environment.get("TESTBED_API_KEYS_FILE"):
        raise UsageError("the load has no API key: leave TESTBED_API_KEYS_FILE out")
    artefact = load_artefact(stack.model)
    if options.use_case not in {None, artefact.use_case}:
        raise UsageError(f"the stack serves {artefact.use_case}, not {options.use_case}")
    require_fit(scenario, artefact)
    serving = read_targets(stack.targets)
    refuse_history(stack.log_url, serving)
    prometheus = PrometheusClient(f"http://{stack.addresses[PROMETHEUS]}")
    refuse_alerts(prometheus, stack.received / NOTIFICATIONS)
    now = datetime.fromtimestamp(clock(), UTC)
    run_id = new_run_id(scenario.name, options.seed, now)
    layout = make_layout(settings, run_id, options.out)
    shutil.copytree(stack.model, layout.model)
    without = absent(stack.profiles)
    configuration = copy_configuration(file.parent, layout)
    context = StackContext(
        layout=layout,
        settings=settings,
        tools=Tools({}),
        endpoints=stack.addresses,
        claims=PortClaims(),
        configuration=configuration,
        factor=factor,
        log_url=stack.log_url,
        use_case=artefact.use_case,
        without=without,
        api_instances=list(serving.values()),
        serving=serving,
        trace_ratio=float(stack.environment["OTEL_TRACES_SAMPLER_ARG"]),
        logs=stack.environment["OTEL_LOGS_EXPORTER"] == "otlp",
        played=scenario.settings,
        drift_plan=drift_plan(scenario, factor, settings.drift_min_rows),
        token_file=stack.token,
        born=born(prometheus),
    )
    played = scenario.model_copy(update={"use_case": artefact.use_case, "time_scale": factor})
    options = replace(options, use_case=artefact.use_case)
    prepared = Prepared(
        run_id, layout, played, factor, artefact.use_case, artefact, context, options
    )
    write_identity(prepared, now, sink=not traced(stack.profiles))
    say("stack: running, not started for this run; nothing of it is stopped at the end")
    return prepared


def read_targets(folder: Path) -> dict[str, str]:
    """Management address to instance id, as the API has left them.

    Raises:
        UsageError: there is none.
    """
    found: dict[str, str] = {}
    try:
        for path in sorted(folder.glob("api-*.json")):
            for group in json.loads(read_regular(path)):
                found[str(group["targets"][0])] = str(group["labels"]["instance"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UsageError(f"the API's scrape targets in {folder} can't be read: {error}") from None
    if not found:
        raise UsageError(f"the API has left no scrape target in {folder}: is it running?")
    return found


def refuse_history(log_url: str, serving: dict[str, str]) -> None:
    """Counts and windows of a run begin with the stack's own: it must not have answered before.

    Raises:
        UsageError: it has.
        DomainError: the prediction log can't be read.
    """
    engine = create_log_engine(log_url, create=False)
    try:
        with one_line(engine.url), engine.connect() as connection:
            rows = connection.scalar(select(func.count()).select_from(predictions)) or 0
    finally:
        engine.dispose()
    counted = 0
    for address in serving:
        try:
            reply = httpx.get(f"http://{address}/metrics", timeout=TIMEOUT)
            page = reply.raise_for_status().text
        except httpx.HTTPError as error:
            raise UsageError(
                f"the API's management port {address} fails ({error}): is the stack up?"
            ) from None
        served = (c for c in compared(parse_counters(page)) if c.metric != REPLICA_STARTS)
        counted += sum(count.value for count in served)
    if rows or counted:
        raise UsageError(
            f"this stack has a history ({rows} predictions in its log): counts and drift windows "
            f"of a scenario begin at 0, so {ANEW}"
        )


def refuse_alerts(
    prometheus: PrometheusClient, notifications: Path, patience: float = PATIENCE
) -> None:
    """A run starts from silence: alerts of the stack's start have some time to go away.

    Heartbeats never do.

    Args:
        prometheus: knows the active ones.
        notifications: what the receiver got: what fired there must have resolved there, too.
        patience: seconds.

    Raises:
        UsageError: some are not over.
        StackError: Prometheus doesn't answer.
    """
    deadline = time.monotonic() + patience
    beating = heartbeat_names((rule.name, rule.query) for rule in prometheus.rules())
    while active := sorted((_active(prometheus) | unresolved(notifications)) - beating):
        if time.monotonic() >= deadline:
            raise UsageError(
                f"a scenario starts from silence, and alerts are not over on this stack: "
                f"{', '.join(active)}"
            )
        time.sleep(LOOK)


def _active(prometheus: PrometheusClient) -> set[str]:
    return {str(alert.labels.get("alertname")) for alert in prometheus.alerts()}


def unresolved(notifications: Path) -> set[str]:
    """Alerts that were notified as firing last."""
    last = {
        str(line["fingerprint"]): (line["status"], str(line["alertname"]))
        for line in JsonLinesTail(notifications).read()
    }
    return {name for status, name in last.values() if status == "firing"}


def born(prometheus: PrometheusClient) -> float | None:
    """Unix time before the first sample of any part.

    What waited for Prometheus is older than its oldest sample, but not by more than its
    out-of-order window lets in.

    Raises:
        StackError: Prometheus doesn't answer.
    """
    oldest = min((sample.value for sample in prometheus.query(LOWEST)), default=None)
    return None if oldest is None else oldest - EARLIER


def copy_configuration(source: Path, layout: RunLayout) -> NativeConfiguration:
    """Keep the configuration of the stack in the run.

    Raises:
        UsageError: it is not there.
    """
    ignored = shutil.ignore_patterns(STACK_FILE, "grafana")
    shutil.copytree(source, layout.config, ignore=ignored, dirs_exist_ok=True)
    interval = evaluation_interval(layout)
    return NativeConfiguration(
        prometheus=layout.config / "prometheus.yml",
        rules=layout.config / "rules",
        alertmanager=layout.config / "alertmanager.yml",
        collector=layout.config / "collector.yaml",
        targets=layout.config / "targets/api.json",
        scrape_interval=interval,
        evaluation_interval=interval,
    )


@contextmanager
def attached_stack(
    file: Path, prepared: Prepared, timeline: Timeline
) -> Iterator[tuple[Stack, Supervisor]]:
    """The running stack; nothing of it is stopped at the end."""
    description = read_attachment(file)
    with Supervisor() as supervisor:
        yield (
            AttachedStack(
                prepared.context,
                supervisor,
                timeline,
                received=description.received,
                drift=description.drift,
                since=time.time(),
                targets=lambda: read_targets(description.targets),
            ),
            supervisor,
        )

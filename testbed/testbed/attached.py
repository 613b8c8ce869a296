"""A run on a stack that others have started, such as that of Docker Compose.

``stack.json``, which the stack leaves beside its configuration, says what it was started with and
where its evidence lies. What such a run can't do is refused before anything starts, by name.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, ConfigDict, ValidationError
from testbed_domain.artefact import load_artefact
from testbed_domain.files import read_regular
from testbed_domain.problems import problem

from testbed.alertneeds import alert_labels, refuse_unknown_alerts
from testbed.assertedneeds import refuse_unmet
from testbed.attachedhistory import (
    begin_anew,
    read_history,
    refuse_other_champion,
    wait_for_empty_window,
)
from testbed.attachedrefusals import (
    ALERTS_TIMEOUT,
    refuse_alerts,
    refuse_other_replicas,
    refuse_other_service,
    refuse_other_start,
    refuse_what_needs_processes,
    require_key,
)
from testbed.clients.prometheus import PrometheusClient
from testbed.driftplan import drift_plan
from testbed.errors import UsageError
from testbed.facts.configured import evaluation_interval, read_groups
from testbed.preparation import Prepared, make_layout, new_run_id
from testbed.runidentity import write_identity
from testbed.runoptions import RunOptions
from testbed.scenarioenv import scenario_environment
from testbed.stack.addresses import PROMETHEUS, management_addresses
from testbed.stack.attached import JOURNAL, NOTIFICATIONS, AttachedStack
from testbed.stack.build import Tools
from testbed.stack.composeconfiguration import STACK_FILE, absent, profiles_of, traced
from testbed.stack.configuration import NativeConfiguration
from testbed.stack.context import StackContext
from testbed.stack.environments import DRIFT_WINDOW
from testbed.stack.ports import PortClaims
from testbed.stack.process import Supervisor
from testbed.targets import BundledApi, Service, TargetModel
from testbed.usecasechoice import Say, require_fit

if TYPE_CHECKING:
    from testbed.layout import RunLayout
    from testbed.scenario import Scenario
    from testbed.settings import Settings
    from testbed.stack.stack import Stack
    from testbed.timeline import Timeline

LOWEST: Final = "prometheus_tsdb_lowest_timestamp_seconds"
EARLIER: Final = 600.0
LAST_ALERT: Final = 1800.0
"""Production seconds that alerts of an earlier run may take to be over and notified as such."""


class Attachment(BaseModel):
    """A running stack, as it describes itself; paths are those of the container that plays.

    Attributes:
        environment: variables that it was started with.
        addresses: Compose address of each component to where it is.
        log_url: of the prediction log.
        token: file of the management port's token.
        model: artefact that the API serves.
        received: folder of what the receiver got.
        drift: output of the drift job.
        targets: folder in which the API leaves its scrape targets.
        rules: folder of its rule files, where they are not those of the project.
        service: the system under test, where it is not the bundled API.
        without: components that it was started without.
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
    rules: Path | None = None
    service: Service | None = None
    without: frozenset[str] = frozenset()

    @property
    def target(self) -> TargetModel:
        """The system under test."""
        return self.service or BundledApi()

    @property
    def profiles(self) -> frozenset[str]:
        """What runs beside the components of every stack."""
        return profiles_of(self.environment.get("COMPOSE_PROFILES", ""))

    def serving(self) -> dict[str, str]:
        """Management address to instance id of the API's replicas; of a service none is known.

        Raises:
            UsageError: the API has left none.
        """
        return read_targets(self.targets) if self.target.instrumented else {}

    @property
    def replicas(self) -> int:
        """Processes of the API."""
        return int(self.environment.get("TESTBED_API_REPLICAS") or 1)


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
        raise UsageError(
            f"{path} is not the description of a running stack: {problem(error.errors())}"
        ) from None


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
        say: is notified of what goes on.
        clock: Unix seconds.

    Raises:
        DomainError: one line that says what to change, or why the model or the prediction log
            can't be read.
    """
    refuse_what_needs_processes(scenario, options)
    stack = read_attachment(file)
    target = stack.target
    refuse_other_service(scenario, stack.service)
    target.refuse(scenario)
    target.require_variables(os.environ)
    without = absent(stack.profiles) | stack.without
    refuse_unmet(scenario, file.parent / "rules", without, log_files=False)
    known = alert_labels(read_groups(file.parent / "rules"))
    refuse_unknown_alerts(scenario, known, own_rules=stack.rules is not None)
    factor = options.time_scale or scenario.time_scale
    refuse_other_start(
        scenario, scenario_environment(scenario, factor, settings), stack.environment
    )
    require_key(scenario, stack.environment.get("TESTBED_API_KEYS_FILE"), settings)
    artefact = load_artefact(stack.model)
    if options.use_case not in {None, artefact.use_case}:
        raise UsageError(f"the stack serves {artefact.use_case}, not {options.use_case}")
    require_fit(scenario, artefact, target)
    serving, replicas = stack.serving(), stack.replicas
    if target.instrumented:
        refuse_other_replicas(replicas, len(serving), stack.targets / JOURNAL)
    plan = drift_plan(scenario, factor, settings.drift_min_rows)
    drift_since = None
    if history := read_history(stack.log_url, serving):
        if target.instrumented:
            refuse_other_champion(serving, artefact.version)
        say(
            "stack: it has answered before; what it counted is taken off, the drift job begins anew"
        )
        if plan.rows is None:
            wait_for_empty_window(history.newest, DRIFT_WINDOW / factor)
        drift_since = None if "drift" in without else begin_anew(stack.drift)
    with PrometheusClient(f"http://{stack.addresses[PROMETHEUS]}") as prometheus:
        patience = ALERTS_TIMEOUT + LAST_ALERT / factor
        refuse_alerts(prometheus, stack.received / NOTIFICATIONS, patience)
        began = born(prometheus)
    now = datetime.fromtimestamp(clock(), UTC)
    run_id = new_run_id(scenario.name, options.seed, now)
    layout = make_layout(settings, run_id, options.out)
    shutil.copytree(stack.model, layout.model)
    row = management_addresses(replicas)
    configuration = copy_configuration(file.parent, layout)
    context = StackContext(
        layout=layout,
        settings=settings,
        tools=Tools({}),
        endpoints={address: address for address in row} | stack.addresses,
        claims=PortClaims(),
        configuration=configuration,
        factor=factor,
        log_url=stack.log_url,
        use_case=artefact.use_case,
        target=target,
        without=without,
        replicas=replicas,
        # Of several the journal reports.
        api_instances=list(serving.values()) if replicas == 1 else [],
        serving=serving if replicas == 1 else {},
        trace_ratio=float(stack.environment["OTEL_TRACES_SAMPLER_ARG"]),
        logs=stack.environment["OTEL_LOGS_EXPORTER"] == "otlp",
        played=scenario.settings,
        drift_plan=plan,
        token_file=stack.token,
        born=began,
        drift_since=drift_since,
    )
    played = scenario.model_copy(update={"use_case": artefact.use_case, "time_scale": factor})
    options = replace(options, use_case=artefact.use_case, replicas=replicas, rules=stack.rules)
    prepared = Prepared(
        run_id, layout, played, factor, artefact.use_case, artefact, context, options
    )
    write_identity(prepared, now, sink=not traced(stack.profiles), attached=True)
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
        raise UsageError(f"the API has written no scrape target to {folder}: start it first")
    return found


def born(prometheus: PrometheusClient) -> float | None:
    """Unix time before the first sample of any component.

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
                targets=description.serving,
                journal=description.targets / JOURNAL,
            ),
            supervisor,
        )

"""Everything before the first process: run folder, tools, model, configuration, prediction log."""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import yaml
from testbed_domain.artefact import Artefact, load_artefact
from testbed_domain.features import Task
from testbed_domain.files import write_atomic
from testbed_domain.logstore import open_log
from testbed_domain.tables.reading import ReadOptions
from testbed_domain.use_cases import ANY, UseCase, get_use_case
from testbed_otel.otlplogs import wanted

from testbed import __version__
from testbed.driftplan import drift_plan
from testbed.errors import UsageError
from testbed.layout import LAYOUT_VERSION, RunLayout
from testbed.machine import describe_machine, package_versions
from testbed.planting import NOTHING, Planting
from testbed.resources import root
from testbed.rulelint import require_scale
from testbed.scenario import Scenario
from testbed.settings import Settings, trace_ratio
from testbed.stack import build
from testbed.stack.configuration import SmtpSettings, render_native
from testbed.stack.gate import Gate
from testbed.stack.parts import (
    COLLECTOR_GRPC,
    DRIFT_INTERVAL,
    EXPORT_INTERVAL,
    MANAGEMENT,
    SENT_TO,
    USUAL_PORTS,
    StackContext,
    export_interval,
    management_addresses,
    stack_parts,
)
from testbed.stack.ports import PortClaims, allocate, allocate_row
from testbed.stack.recipe import Progress

Say = Callable[[str], None]

# Receiver of OTLP over HTTP to its Compose address.
RECEIVERS: Final = {"collector": "collector:4318", "prometheus": "prometheus:9090"}


@dataclass(frozen=True, slots=True)
class OwnData:
    """A table of the user's.

    Attributes:
        data: its file, or None for the use case's own data.
        target: its target column, for the use case ``any``.
        task: what that use case learns; None infers it.
        reading: what the caller says of how to read it.
    """

    data: Path | None = None
    target: str | None = None
    task: Task | None = None
    reading: ReadOptions = field(default_factory=ReadOptions)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the caller of a run may choose.

    Attributes:
        use_case: in place of the scenario's.
        own: the user's own table.
        seed: seed of the traffic.
        time_scale: in place of the scenario's.
        rules: folder of rule files in place of ``prometheus/rules``.
        without: parts to leave out.
        out: folder of the run, in place of ``.testbed/runs/<id>``.
        replicas: processes of the API.
        guarded: whether only telemetry of this very run is taken in: at ports that nothing else
            knows, and with an id. Else the ports are the usual ones, for anyone to send to.
    """

    use_case: str | None = None
    own: OwnData = field(default_factory=OwnData)
    seed: int = 1
    time_scale: float | None = None
    rules: Path | None = None
    without: frozenset[str] = frozenset()
    out: Path | None = None
    replicas: int = 1
    guarded: bool = True


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run that is ready to be started."""

    run_id: str
    layout: RunLayout
    scenario: Scenario
    factor: float
    use_case: str
    artefact: Artefact
    context: StackContext
    options: RunOptions
    planting: Planting = NOTHING
    source: Path = field(default_factory=root)


def new_run_id(name: str, seed: int, now: datetime) -> str:
    """Id of a run: sorts by time and says what was played."""
    return f"{now:%Y%m%dT%H%M%S}-{name}-seed{seed}"


def make_layout(settings: Settings, run_id: str, out: Path | None) -> RunLayout:
    """Make the run's folder.

    Raises:
        UsageError: ``out`` exists and is not empty.
    """
    folder = out if out is not None else settings.runs / run_id
    number = 1
    while out is None and folder.exists():
        number += 1
        folder = settings.runs / f"{run_id}-{number}"
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty; give --out a new folder")
    return RunLayout(folder.resolve()).create()


def name_use_case(given: str | None, target: str | None, settings: Settings, default: str) -> str:
    """The use case that was named; else ``any`` where a target was, else that of the settings."""
    return given or (ANY if target is not None else settings.use_case) or default


def choose_use_case(name: str, given: OwnData, say: Say) -> UseCase:
    """The use case called ``name``; ``any`` is inferred from the data.

    Args:
        name: as in ``--use-case``.
        given: the user's own table.
        say: is notified of what is learnt and which columns are left out.

    Raises:
        UsageError: table and target don't fit the use case.
        DomainError: the use case is unknown, or nothing can be inferred.
    """
    if given.reading != ReadOptions() and given.data is None:
        raise UsageError("--sep, --decimal, --encoding and --as are of a table: give --data FILE")
    if name != ANY:
        if given.reading.kinds:
            raise UsageError(
                f"--as belongs to --use-case {ANY}; {name} knows the kinds of its columns"
            )
        for option, value in (("target", given.target), ("task", given.task)):
            if value is not None:
                raise UsageError(
                    f"--{option} belongs to --use-case {ANY}; {name} knows its own {option}"
                )
        return get_use_case(name)
    if given.data is None or given.target is None:
        raise UsageError(f"--use-case {ANY} needs a table, --data FILE, and --target COLUMN")
    # Imported late, as in train_model.
    from testbed_domain.inference import infer_use_case  # noqa: PLC0415

    use_case, lines = infer_use_case(given.data, given.target, given.task, given.reading)
    for line in lines:
        say(f"data: {line}")
    return use_case


def train_model(
    settings: Settings,
    use_case: str,
    given: OwnData,
    say: Say,
    out: Path | None = None,
    *,
    skops: bool = False,
) -> Artefact:
    """Train the model of a use case, or take the one that the same data and seed made before.

    Args:
        settings: give the seed and the folder of models.
        use_case: its name.
        given: the user's own table.
        say: is notified of what goes on.
        out: folder of this very model, in place of one below the folder of models.
        skops: whether to keep the scikit-learn model beside its ONNX export.
    """
    data = given.data
    case = choose_use_case(use_case, given, say)
    # Imported late: scikit-learn and pandas take seconds that other commands need not pay.
    from testbed_domain.training import TrainingOptions, train, train_into  # noqa: PLC0415

    say(f"model: training {use_case} on {data.name if data else 'its own data'}")
    options = TrainingOptions(skops=skops, reading=given.reading)
    if out is None:
        return train_into(settings.models, case, data, settings.model_seed, options)
    return train(case, data, settings.model_seed, out, options)


def install_tools(settings: Settings, progress: Progress) -> build.Tools:
    """Compile what is missing."""
    return build.install(progress, prefer_path=settings.prefer_path)


def smtp_settings(settings: Settings) -> SmtpSettings | None:
    """E-mail settings, or None when e-mail is off.

    Raises:
        UsageError: only one of server and receiver is set.
    """
    if settings.smtp_host is None and settings.smtp_to is None:
        return None
    if settings.smtp_host is None or settings.smtp_to is None:
        raise UsageError("e-mail needs both TESTBED_SMTP_HOST and TESTBED_SMTP_TO")
    password = settings.smtp_password
    return SmtpSettings(
        host=settings.smtp_host,
        sender=settings.smtp_from,
        receiver=settings.smtp_to,
        user=settings.smtp_user,
        password=password.get_secret_value() if password else None,
        tls=settings.smtp_tls,
    )


def require_fit(scenario: Scenario, artefact: Artefact) -> None:
    """Refuse a scenario that is about columns which the model lacks, or about smaller noise.

    Raises:
        UsageError: it is; says what is missing.
    """
    known = {feature.name for feature in artefact.schema.features}
    if lacking := [name for name in scenario.columns if name not in known]:
        raise UsageError(
            f"the scenario {scenario.name} is about {', '.join(lacking)}, which the use case "
            f"{artefact.use_case} lacks: play it with {scenario.use_case}"
        )
    task = artefact.schema.task
    if scenario.task is not None and scenario.task != task:
        raise UsageError(
            f"the scenario {scenario.name} needs a {scenario.task}, and the use case "
            f"{artefact.use_case} is a {task}: play it with {scenario.use_case}"
        )
    rows = artefact.splits["reference"]
    if rows < scenario.reference_rows:
        raise UsageError(
            f"the scenario {scenario.name} needs {scenario.reference_rows} reference rows for its "
            f"doses, this model has {rows}: play it with a use case or a table that has more"
        )


def prepare(
    scenario: Scenario,
    options: RunOptions,
    settings: Settings,
    *,
    progress: Progress,
    say: Say,
    clock: Callable[[], float] = time.time,
    planting: Planting = NOTHING,
) -> Prepared:
    """Do all that can be done before the first process starts.

    Args:
        scenario: what to play.
        options: what the caller chose.
        settings: effective settings.
        progress: is notified of how far the tools are.
        say: is notified of what goes on.
        clock: Unix seconds.
        planting: a defect, for the self-test.

    Raises:
        TestbedError: one line that says what to change.
    """
    factor = options.time_scale or scenario.time_scale
    use_case = name_use_case(options.use_case, options.own.target, settings, scenario.use_case)
    stack_parts(options.without)  # refuses what no run can do without, before the long work
    if options.own.data is not None and not options.own.data.is_file():
        raise UsageError(f"the data file {options.own.data} does not exist")
    rules = options.rules or root() / "prometheus" / "rules"
    for problem in require_scale(rules, interval=EXPORT_INTERVAL, factor=factor):
        say(f"rules: {problem}")
    tools = install_tools(settings, progress)
    trained = train_model(settings, use_case, options.own, say)
    require_fit(scenario, trained)
    now = datetime.fromtimestamp(clock(), UTC)
    run_id = new_run_id(scenario.name, options.seed, now)
    layout = make_layout(settings, run_id, options.out)
    shutil.copytree(trained.path, layout.model)
    artefact = load_artefact(layout.model)
    log_url = settings.log_url or f"sqlite:///{layout.prediction_log}"
    with closing(open_log(log_url)) as log:
        log.register_reference(artefact)
    source = planting.source_of(root(), layout.root / "planted")
    claims = PortClaims()
    ports = allocate_row(management_addresses(options.replicas), USUAL_PORTS[MANAGEMENT], claims)
    ports |= allocate(_wanted_ports(options.guarded, ports), claims)
    intake = f"{run_id}-{uuid.uuid4().hex[:8]}" if options.guarded else ""
    endpoints = {address: f"127.0.0.1:{port}" for address, port in ports.items()}
    gates = {name: Gate(endpoints[RECEIVERS[name]]) for name in scenario.gates}
    configuration = render_native(
        layout,
        source=source,
        endpoints=endpoints,
        factor=factor,
        rules=options.rules,
        without=options.without,
        api_targets=[],
        smtp=smtp_settings(settings),
        gate=gates["prometheus"].address if "prometheus" in gates else None,
        queue_size=scenario.settings.collector.queue_size,
        intake=intake,
    )
    planting.edit(layout.config)
    context = StackContext(
        layout=layout,
        settings=settings,
        tools=tools,
        endpoints=endpoints,
        claims=claims,
        configuration=configuration,
        factor=factor,
        log_url=log_url,
        use_case=use_case,
        without=options.without,
        replicas=options.replicas,
        played=scenario.settings,
        gates=gates,
        trace_ratio=_trace_ratio(settings, scenario, factor),
        logs=wanted(os.environ, default=scenario.logs),
    )
    played = scenario.model_copy(update={"use_case": use_case, "time_scale": factor})
    if played.duration:  # the load of `up` is in its user's hands
        context.drift_plan = drift_plan(played, factor, settings.drift_min_rows)
    prepared = Prepared(
        run_id, layout, played, factor, use_case, artefact, context, options, planting, source
    )
    write_identity(prepared, now)
    return prepared


def _trace_ratio(settings: Settings, scenario: Scenario, factor: float) -> float:
    planned = sum(phase.rate * phase.duration / factor for phase in scenario.phases)
    return trace_ratio(settings, planned if scenario.traces else None)


def _wanted_ports(guarded: bool, taken: Collection[str]) -> dict[str, int]:  # noqa: FBT001 - as the option
    """Compose address to the port that is tried first; 0 for one that nobody could guess."""
    wanted = {address: port for address, port in USUAL_PORTS.items() if address not in taken}
    if guarded:
        del wanted[COLLECTOR_GRPC]  # no component of a run speaks it
        wanted |= dict.fromkeys(SENT_TO, 0)
    return wanted


def write_identity(
    prepared: Prepared, now: datetime, *, sink: bool = True, attached: bool = False
) -> None:
    """Write ``run.json`` and the scenario as it is played.

    Args:
        prepared: the run.
        now: its start.
        sink: whether the receiver gets spans and log records.
        attached: whether others have started the stack.
    """
    artefact, options, context = prepared.artefact, prepared.options, prepared.context
    identity = {
        "layout_version": LAYOUT_VERSION,
        "id": prepared.run_id,
        "started": now.isoformat(),
        "scenario": prepared.scenario.name,
        "use_case": prepared.use_case,
        "data": options.own.data.name if options.own.data else None,
        "target": artefact.schema.target,
        "synthetic": artefact.synthetic,
        "model": {"name": artefact.name, "version": artefact.version},
        "seed": options.seed,
        "time_scale": prepared.factor,
        "without": sorted(options.without),
        "replicas": options.replicas,
        "attached": attached,
        "custom_rules": options.rules is not None,
        "trace_ratio": context.trace_ratio,
        "logs": context.logs,
        "sink": sink,
        "export_interval": export_interval(context.factor),
        "drift_interval": DRIFT_INTERVAL / context.factor,
        "endpoints": dict(context.endpoints),
        "intake": context.configuration.intake,
        "version": __version__,
        "packages": package_versions(),
        "tools": {name: item.version for name, item in context.tools.programs.items()},
        "machine": describe_machine(),
    }
    write_atomic(prepared.layout.run_file, json.dumps(identity, indent=2))
    scenario = prepared.scenario.model_dump(mode="json")
    write_atomic(prepared.layout.scenario_file, yaml.safe_dump(scenario, sort_keys=False))

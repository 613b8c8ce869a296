"""Everything before the first process: run folder, tools, model, configuration, prediction log."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from testbed_domain.artefact import Artefact, load_artefact
from testbed_domain.logstore import open_log
from testbed_domain.yamlfile import read_mapping
from testbed_rules.lint import require_scale
from testbed_rules.rulefiles import read_rules
from testbed_rules.timescale import Tree

from testbed import componentnames
from testbed.beforehand import make_ready
from testbed.componentnames import DATABASE
from testbed.driftplan import drift_plan
from testbed.errors import UsageError
from testbed.faultrefusals import refuse_faults
from testbed.layout import RunLayout
from testbed.ownmodel import base_artefact, place_model, require_use_case
from testbed.planting import NOTHING, Planting
from testbed.playedrules import refuse_by_rules, with_rules
from testbed.resources import root, shipped_rules
from testbed.rulecheck import fit_rules, read_own_rules
from testbed.runbooklinks import runbook_links
from testbed.runidentity import say_model, write_identity
from testbed.runoptions import RunOptions
from testbed.scenario import Scenario
from testbed.settings import Settings, trace_ratio
from testbed.stack import build, links, shell
from testbed.stack.addresses import BUNDLED, COLLECTOR_GRPC, CONSOLE, SENT_TO, USUAL_PORTS
from testbed.stack.catalogue import TOXIPROXY
from testbed.stack.components import refuse_needed
from testbed.stack.configuration import SmtpSettings, render_native, with_more_jobs
from testbed.stack.context import StackContext
from testbed.stack.environments import EXPORT_INTERVAL
from testbed.stack.gate import Gate
from testbed.stack.jobnames import with_job_names
from testbed.stack.logplace import log_url, own_database
from testbed.stack.ownalertmanager import (
    SMTP,
    OwnAlertmanager,
    read_own,
    read_redirection,
    require_playable,
)
from testbed.stack.ownprometheus import read_own_prometheus
from testbed.stack.ports import HOST, PortClaims, allocate
from testbed.stack.recipe import Progress
from testbed.stack.scrapekeys import ScrapeKeys
from testbed.stack.stack import Stack
from testbed.targets import BundledApi, TargetModel
from testbed.usecasechoice import Say, name_use_case, require_fit, train_model


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

    def begin_with_target(self, stack: Stack) -> None:
        """Start what the target wants to be there first, and have the model that it gives.

        That model is the run's: ``run.json`` names it, and only its reference rows are in the log.

        Raises:
            StackError: the target can't be started or asked.
            LogError: the prediction log can't be written.
        """
        if self.context.database is not None:
            self.context.database.make()
            stack.start_component(DATABASE)
            timeout = time.monotonic() + self.context.settings.start_timeout
            stack.wait_component(DATABASE, timeout)
        artefact = self.context.target.come_first(stack, self.artefact)
        self.context.target = self.context.target.completed(self.context)
        if artefact.version != self.artefact.version:
            shutil.rmtree(self.layout.model)
            shutil.move(artefact.path, self.layout.model)
            artefact = load_artefact(self.layout.model)
            say_model(self.layout, artefact)
        with closing(open_log(self.context.log_url)) as log:
            log.register_reference(artefact)


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


def install_tools(
    settings: Settings, progress: Progress, scenario: Scenario | None = None
) -> build.Tools:
    """Compile what is missing, with what only this scenario needs."""
    tools = build.install(progress, prefer_path=settings.prefer_path)
    if scenario is None or not scenario.links:
        return tools
    more = build.install(progress, prefer_path=settings.prefer_path, only=[TOXIPROXY.name])
    return build.Tools({**tools.programs, **more.programs})


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


def own_alertmanager(
    options: RunOptions, scenario: Scenario, settings: Settings, tools: build.Tools, say: Say
) -> OwnAlertmanager | None:
    """The user's configuration of Alertmanager, checked; None where the project's is used.

    Raises:
        UsageError: it can't be used, or not with what else was chosen.
    """
    if options.alertmanager is None:
        return None
    own = read_own(options.alertmanager, tools)
    own.require_receivers(scenario.receivers)
    if settings.smtp_host is not None:
        say("alertmanager: TESTBED_SMTP_HOST is not used: every mail goes to the run's receiver")
    return own


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
        DomainError: one line that says what to change.
    """
    factor = options.time_scale or scenario.time_scale
    use_case = name_use_case(options.use_case, options.own.target, settings, scenario.use_case)
    if options.model is not None:
        named, data_target = options.use_case, options.own.target
        use_case = require_use_case(options.model, named, data_target, use_case)
    refuse_needed(options.without)  # before the long work
    target = _target(scenario, options)
    _say_notes("shell", shell.notes(os.environ, options.without, target.variables), say)
    refuse_faults(scenario, target, options.without, factor)
    if options.own.data is not None and not options.own.data.is_file():
        raise UsageError(f"the data file {options.own.data} does not exist")
    if options.alertmanager is not None:
        require_playable(options.alertmanager, options.without)
    require_scale(read_rules(shipped_rules()), interval=EXPORT_INTERVAL, factor=factor)
    own_rules = read_own_rules(options.rules or target.own_rules, prefer_path=settings.prefer_path)
    tools = install_tools(settings, progress, scenario)
    fitting = fit_rules(own_rules, tools, factor, say)
    own = own_alertmanager(options, scenario, settings, tools, say)
    own_prometheus = read_own_prometheus(options.prometheus, tools) if options.prometheus else None
    if own_prometheus:
        _say_notes("prometheus", own_prometheus.notes(_scraping(target, settings)), say)
    trained = _trained(use_case, options, settings, say)
    require_fit(scenario, trained, target)
    now = datetime.fromtimestamp(clock(), UTC)
    run_id = new_run_id(scenario.name, options.seed, now)
    layout = make_layout(settings, run_id, options.out)
    options = with_rules(options, target, layout, fitting, say)
    refuse_by_rules(scenario, options)
    artefact = _placed(trained, options, layout, say)
    source = planting.source_of(root(), layout.root / "planted")
    claims = PortClaims()
    wanted = _wanted_ports(options) | ({SMTP: 0} if own else {})
    endpoints = target.endpoints(claims, options.replicas)
    endpoints |= _allocated(wanted, claims) | _allocated(links.addresses(scenario.links), claims)
    intake = f"{run_id}-{uuid.uuid4().hex[:8]}" if options.guarded else ""
    gates = {
        name: Gate(links.ways(sender, endpoints)[address])
        for name, sender, address in (
            ("collector", target.name, "collector:4318"),
            ("prometheus", "collector", "prometheus:9090"),
        )
        if name in scenario.gates
    }
    database = own_database(scenario, settings, layout, claims, endpoints)
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
        scrapes=scrape_keys(target, layout).in_jobs(target.scrape_configs()),
        own=own,
        own_prometheus=own_prometheus,
        runbook=runbook_links(settings),
        job_names=settings.job_names,
    )
    redirection = read_redirection(layout)
    _say_notes("alertmanager", redirection.notes if redirection else (), say)
    planting.edit(layout.config)
    make_ready(scenario, layout)
    context = StackContext(
        layout=layout,
        settings=settings,
        tools=tools,
        endpoints=endpoints,
        claims=claims,
        configuration=configuration,
        factor=factor,
        log_url=log_url(database, settings, layout, endpoints),
        database=database,
        use_case=use_case,
        target=target,
        without=options.without,
        replicas=options.replicas,
        played=scenario.settings,
        gates=gates,
        trace_ratio=_trace_ratio(settings, scenario, factor),
        logs=scenario.logs or shell.wants_logs(os.environ),
    )
    played = scenario.model_copy(update={"use_case": use_case, "time_scale": factor})
    if played.duration:  # the load of `up` is in its user's hands
        context.drift_plan = drift_plan(played, factor, settings.drift_min_rows)
    prepared = Prepared(
        run_id, layout, played, factor, use_case, artefact, context, options, planting, source
    )
    write_identity(prepared, now)
    return prepared


def scrape_keys(target: TargetModel, layout: RunLayout) -> ScrapeKeys:
    """Headers of the target's pages of metrics, with the variables of this process.

    Raises:
        UsageError: Prometheus can't send one.
    """
    return ScrapeKeys(target.scrape_headers(), os.environ, layout.scrape_keys)


def _scraping(target: TargetModel, settings: Settings) -> Tree:
    """Prometheus's configuration as it ships, with the jobs of the target."""
    shipped, jobs = read_mapping(root() / "prometheus" / "prometheus.yml"), target.scrape_configs()
    return with_more_jobs(with_job_names(shipped, settings.job_names, jobs), jobs)


def _say_notes(source: str, notes: Iterable[str], say: Say) -> None:
    for note in notes:
        say(f"{source}: {note}")


def _trained(use_case: str, options: RunOptions, settings: Settings, say: Say) -> Artefact:
    """The model that is trained for the rows of the run; or one that needs no training."""
    if options.model is not None and (ready := base_artefact(options.model, options.own)):
        return ready
    return train_model(settings, use_case, options.own, say)


def _placed(trained: Artefact, options: RunOptions, layout: RunLayout, say: Say) -> Artefact:
    """The artefact that is served, in the folder of the run."""
    own = options.model
    if own is not None and not (own.is_artefact and trained.path == own.file):
        return place_model(own, trained, layout, say)
    shutil.copytree(trained.path, layout.model)
    return load_artefact(layout.model)


def _target(scenario: Scenario, options: RunOptions) -> TargetModel:
    """The system under test, on which the scenario can be played."""
    target = options.target or scenario.service or BundledApi()
    if options.model is not None:
        if not target.instrumented:
            raise UsageError(f"--model is of the bundled API; {target.name} has its own")
        options.model.refuse(scenario)
        target = BundledApi(serving=options.model.environment())
    target.refuse(scenario)
    target.require_variables(os.environ)
    if not target.instrumented and options.replicas != 1:
        raise UsageError(f"--replicas is of the bundled API; {target.name} starts its own")
    return target


def _trace_ratio(settings: Settings, scenario: Scenario, factor: float) -> float:
    planned = scenario.planned_requests(factor)
    return trace_ratio(settings, planned if scenario.traces else None)


def _allocated(wanted: dict[str, int], claims: PortClaims) -> dict[str, str]:
    """Address to host and port."""
    return {address: f"{HOST}:{port}" for address, port in allocate(wanted, claims).items()}


def _wanted_ports(options: RunOptions) -> dict[str, int]:
    """Compose address to the port that is tried first; 0 for one that nobody could guess."""
    wanted = {address: port for address, port in USUAL_PORTS.items() if address not in BUNDLED}
    if componentnames.CONSOLE in options.without:
        del wanted[CONSOLE]  # no link leads there
    if options.guarded:
        del wanted[COLLECTOR_GRPC]  # no component of a run speaks it
        wanted |= dict.fromkeys(SENT_TO, 0)
    return wanted

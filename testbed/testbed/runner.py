"""Plays a scenario on a prepared stack and gives the verdict."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass

import httpx
from testbed_load.command import locust_command
from testbed_load.plan import LabelPlan, LoadPhase, LoadPlan, PlannedDrift, PlannedOnly, write_plan

from testbed.active import ActiveStack, withdraw
from testbed.board import Board
from testbed.clients.alertmanager import AlertmanagerClient
from testbed.clients.prometheus import PrometheusClient
from testbed.errors import SlowMachineError, StackError
from testbed.evidence import Evidence, collect
from testbed.facts.configured import read_groups
from testbed.facts.finalcounts import behind
from testbed.facts.ruletests import RuleTests, read_ruletests
from testbed.faultcontrol import FaultControl
from testbed.heartbeat import heartbeat_names
from testbed.layout import RunLayout
from testbed.pace import Pacemaker
from testbed.preparation import Prepared
from testbed.prometheusfaults import PrometheusFaults
from testbed.report import write_outcome
from testbed.rig import Rig
from testbed.scenario import Drift
from testbed.schedule import Action, schedule
from testbed.stack.parts import base_environment, stack_parts
from testbed.stack.process import ProcessInstance, ProcessRequest, Supervisor, wait_until
from testbed.stack.stack import Stack
from testbed.timeline import Timeline
from testbed.verdict import Verdict, evaluate
from testbed.watch import Watch, WatchView

TICK = 0.1  # seconds between looks at the processes and at the schedule
LOOK = 0.5  # seconds between looks at alerts and counts
QUIET = 20.0  # seconds in which alerts of the start may go away; the verdict sees those that stay
LOAD_START = 30.0  # seconds in which Locust must begin
LOAD_SLACK = 45.0  # seconds that Locust may need after the last phase: its requests' time-outs
COUNTERS_SETTLE = 15.0  # seconds in which Prometheus must hold the API's final counters
LOAD = "load"


@dataclass(frozen=True, slots=True)
class Clocks:
    """Time sources: wall time for records, monotonic time for waiting, and the wait itself."""

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep


def load_plan(prepared: Prepared) -> LoadPlan:
    """What Locust gets: the scenario's phases in real seconds."""
    scenario, factor = prepared.scenario, prepared.factor
    phases = tuple(
        LoadPhase(
            name=phase.name,
            duration=phase.duration / factor,
            rate=phase.rate,
            drift=_planned(phase.drift) if phase.drift else None,
        )
        for phase in scenario.phases
    )
    return LoadPlan(
        run_id=prepared.run_id,
        seed=prepared.options.seed,
        use_case=prepared.use_case,
        artefact=prepared.layout.model,
        phases=phases,
        labels=LabelPlan(scenario.labels.share, scenario.labels.delay / factor),
        timeout=prepared.context.settings.request_timeout,
    )


def _heartbeats(layout: RunLayout) -> frozenset[str]:
    """Alerts of the run's rules that always fire: nothing waits for their end."""
    groups = read_groups(layout.config / "rules")
    return heartbeat_names((rule.name, rule.expression) for g in groups for rule in g.rules)


def _planned(drift: Drift) -> PlannedDrift:
    rows = drift.only
    only = None if rows is None else PlannedOnly(rows.column, rows.equals, rows.above)
    return PlannedDrift(drift.name, drift.severity, only)


@contextmanager
def running_stack(
    prepared: Prepared, timeline: Timeline, command: str, *, web_ui: bool = False
) -> Iterator[tuple[Stack, Supervisor]]:
    """The started stack, announced to other terminals; stopped at the end, whatever happens."""
    layout = prepared.layout
    parts = prepared.planting.wrap(stack_parts(prepared.context.without, web_ui=web_ui))
    with Supervisor() as supervisor:
        try:
            stack = Stack(prepared.context, parts, supervisor, timeline)
            stack.start()
            announce(stack, layout, prepared.run_id, command)
            yield stack, supervisor
        finally:
            withdraw(layout)
            for gate in prepared.context.gates.values():
                gate.close()


def announce(stack: Stack, layout: RunLayout, run_id: str, command: str) -> None:
    """Announce this stack to other terminals."""
    ActiveStack.of_this_process(run_id, command, stack.urls(), stack.pids()).write(layout)


class Play:
    """One scenario being played.

    Args:
        prepared: the run.
        stack: the running stack.
        supervisor: runs the load.
        timeline: is notified of what happens.
        board: shows it.
        clocks: time sources.
        pacemaker: measures the machine until the evidence is collected.
    """

    def __init__(
        self,
        prepared: Prepared,
        stack: Stack,
        supervisor: Supervisor,
        timeline: Timeline,
        board: Board,
        clocks: Clocks,
        pacemaker: Pacemaker,
    ) -> None:
        self._prepared = prepared
        self._stack = stack
        self._supervisor = supervisor
        self._timeline = timeline
        self._board = board
        self._clocks = clocks
        self._pacemaker = pacemaker
        self._layout = prepared.layout
        context = prepared.context
        self._prometheus = PrometheusClient(context.url("prometheus:9090"))
        self._rig = Rig(
            stack,
            FaultControl(
                [f"http://{each}" for each in context.management], context.management_token
            ),
            PrometheusFaults(
                context.configuration.prometheus,
                context.configuration.rules,
                context.url("prometheus:9090"),
                lambda: stack.pids().get("prometheus"),
                clocks.wall,
            ),
        )
        self._watch = Watch(
            prepared.layout,
            context.url("prometheus:9090"),
            clocks.wall,
            None if "alertmanager" in context.without else context.url("alertmanager:9093"),
            _heartbeats(prepared.layout),
        )
        self._load: ProcessInstance | None = None
        self._began = clocks.wall()

    def run(self) -> Verdict:
        """Play, settle, collect, evaluate, write.

        Raises:
            StackError: the load could not start, or no evidence could be collected.
            SlowMachineError: checks failed because the machine was too slow; all files are written.
        """
        self._board.stage("waiting until no alert is active")
        self._wait_quiet()
        self._board.stage("starting the load")
        start = self._start_load()
        self._board.stage("playing")
        with ThreadPoolExecutor(1) as aside:
            # They need nothing of the run, and give way to it.
            ruletests = aside.submit(
                read_ruletests, self._prepared.source, self._prepared.options.rules
            )
            self._play_actions(start)
            self._wait_for_load(start)
            self._board.stage("settling")
            self._settle()
            self._pacemaker.stop()  # collecting is work of the runner itself
            self._board.stage("collecting evidence and evaluating")
            with no_garbage_collection():
                verdict = self._evaluate(ruletests.result)
        if verdict.too_slow:
            raise SlowMachineError(
                f"{verdict.too_slow}. What was measured stands in {self._layout.report_file}"
            )
        return verdict

    def _evaluate(self, ruletests: Callable[[], RuleTests]) -> Verdict:
        """Collect, evaluate and write; the timeline says how long each took."""
        evidence = self._collect(ruletests)
        self._timeline.add("collected")
        verdict = evaluate(self._prepared.scenario, evidence, self._prepared.factor)
        self._timeline.add("evaluated")
        write_outcome(self._layout, verdict, evidence)
        self._timeline.add("reported")
        return verdict

    def _wait_quiet(self) -> None:
        """Start from silence, where all parts are there: the verdict counts from here."""
        deadline = self._clocks.monotonic() + QUIET
        while not self._prepared.context.without and self._clocks.monotonic() < deadline:
            self._notice()
            if not self._watch.update().alerts:
                break
            self._clocks.pause(TICK)

    def _start_load(self) -> float:
        """Start Locust; returns the Unix time at which the first phase began."""
        planting = self._prepared.planting
        write_plan(self._layout.load_plan, planting.plan(load_plan(self._prepared)))
        host = self._prepared.context.url("api:8000")
        argv = tuple(locust_command(self._layout.load_plan, self._layout.truth, host))
        log = self._layout.logs / f"{LOAD}.log"
        env = base_environment() | self._prepared.context.settings.load_environment()
        request = ProcessRequest(LOAD, argv, log, env=env, cwd=self._layout.root, job=True)
        instance = self._load = self._supervisor.start(planting.start(request))
        start_file = self._layout.truth / "start.json"
        wait_until(
            lambda: None if start_file.exists() else "no first request yet",
            LOAD_START,
            alive=lambda: instance.outcome,
            what="the load",
        )
        start = float(json.loads(start_file.read_text(encoding="utf-8"))["time"])
        self._timeline.add("load_started", at=start)
        return start

    def _play_actions(self, start: float) -> None:
        pending = schedule(self._prepared.scenario, self._prepared.factor)
        planted = sorted(self._prepared.planting.acts, key=lambda act: act.after)
        last_look = 0.0
        while pending:
            elapsed = self._clocks.wall() - start
            while planted and planted[0].after <= elapsed:
                act = planted.pop(0)
                act.do(self._stack.pids()[act.component])
            while pending and pending[0].at <= elapsed:
                self._act(pending.pop(0))
            self._notice()
            if self._clocks.monotonic() - last_look >= LOOK:
                last_look = self._clocks.monotonic()
                self._board.tick(self._watch.update(), elapsed)
            self._clocks.pause(TICK)

    def _act(self, action: Action) -> None:
        match action.kind:
            case "phase_started" | "phase_ended":
                self._timeline.add(action.kind, action.name)
            case "fault_on":
                self._timeline.add(action.kind, action.name)
                if action.fault is not None:
                    action.fault.begin(self._rig)
            case "fault_off":
                if action.fault is not None:
                    action.fault.end(self._rig)
                self._timeline.add(action.kind, action.name)

    def _notice(self) -> None:
        """Look for processes that ended; without the load or Prometheus there is no verdict.

        Raises:
            StackError: one of these two ended; holds the tail of its log.
        """
        for outcome in self._stack.notice_exits():
            if outcome.name in {LOAD, "prometheus"}:
                raise StackError(f"{outcome.describe()}; the end of its log:\n{outcome.tail()}")
        if self._stack.replicas.came_up():
            self._rig.api.set_again()

    def _wait_for_load(self, start: float) -> None:
        total = self._prepared.scenario.duration / self._prepared.factor
        deadline = self._clocks.monotonic() + LOAD_SLACK
        while self._load is not None and self._load.running:
            self._notice()
            if self._clocks.monotonic() > deadline:
                raise StackError(
                    f"the load did not end within {LOAD_SLACK:g} s after its last phase; "
                    f"the end of its log:\n{self._load.tail()}"
                )
            self._board.tick(self._watch.update(), min(self._clocks.wall() - start, total))
            self._clocks.pause(TICK)
        self._timeline.add("load_ended")

    def _settle(self) -> None:
        """Wait for what is still on its way: last exports, and alerts that must resolve."""
        began = self._clocks.monotonic()
        limit = self._prepared.scenario.settle / self._prepared.factor
        while True:
            self._notice()
            snapshot = self._watch.update()
            self._board.tick(snapshot, None)
            waited = self._clocks.monotonic() - began
            counted = waited >= COUNTERS_SETTLE or self._counters_arrived()
            if counted and (waited >= limit or self._alerts_done(snapshot)):
                break
            self._clocks.pause(LOOK)
        self._timeline.add("settled")

    def _alerts_done(self, snapshot: WatchView) -> bool:
        """Whether nothing more is to come: expectations met, and nothing pending."""
        expected = self._prepared.scenario.expected_alerts
        met = all(
            item.alert in snapshot.notified
            and (item.resolves_within is None or item.alert in snapshot.resolved)
            for item in expected
        )
        names = {item.alert for item in expected}
        return met and not set(snapshot.alerts) - names

    def _counters_arrived(self) -> bool:
        """Whether Prometheus holds what the API counts now."""
        if "collector" in self._prepared.context.without:
            return True
        at = self._clocks.wall()
        return behind(self._api_counters(), self._prometheus, at=at, window=at - self._began) == 0

    def _api_counters(self) -> dict[str, str | None]:
        """Instance to the text of its metrics; None where the instance is gone."""
        context = self._prepared.context
        counters: dict[str, str | None] = dict.fromkeys(context.api_instances)
        for address, instance in context.serving.items():
            # The verdict says what a replica that is gone leaves open.
            with suppress(httpx.HTTPError):
                page = httpx.get(f"http://{address}/metrics", timeout=5.0).raise_for_status().text
                if instance in page:  # else another one has just taken its place
                    counters[instance] = page
        return counters

    def _collect(self, ruletests: Callable[[], RuleTests]) -> Evidence:
        self._notice()
        self._stack.gather()
        context = self._prepared.context
        alertmanager = (
            None
            if "alertmanager" in context.without
            else AlertmanagerClient(context.url("alertmanager:9093"))
        )
        return collect(
            self._layout,
            self._prometheus,
            alertmanager,
            scenario=self._prepared.scenario,
            pages=self._api_counters(),
            log_url=self._prepared.context.log_url,
            factor=self._prepared.factor,
            rules=self._prepared.options.rules,
            source=self._prepared.source,
            born=context.born,
            ruletests=ruletests,
        )


Opening = Callable[[Prepared, Timeline], AbstractContextManager[tuple[Stack, Supervisor]]]
"""Gives the running stack of a run, and what runs the load."""


def own_stack(
    prepared: Prepared, timeline: Timeline
) -> AbstractContextManager[tuple[Stack, Supervisor]]:
    """A stack that is started for this run and stopped at its end."""
    return running_stack(prepared, timeline, "run")


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Look for no cycles: evidence has none, and looking takes a quarter of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def play(
    prepared: Prepared,
    board: Board,
    clocks: Clocks | None = None,
    hold: Callable[[Stack, Verdict], None] | None = None,
    opening: Opening = own_stack,
) -> Verdict:
    """Play the scenario on a stack.

    Args:
        prepared: the run.
        board: shows it.
        clocks: time sources.
        hold: called with the living stack and the verdict, to keep it running for a while.
        opening: gives the stack; by default one of its own.

    Raises:
        StackError: a part could not be started, or no verdict could be reached.
    """
    clocks = clocks or Clocks()
    timeline = Timeline(prepared.layout.timeline, clock=clocks.wall, listener=board.event)
    timeline.add("run_started", prepared.scenario.name)
    with opening(prepared, timeline) as (stack, supervisor):
        with Pacemaker(prepared.layout.pace) as pacemaker:
            game = Play(prepared, stack, supervisor, timeline, board, clocks, pacemaker)
            verdict = game.run()
        timeline.add("run_ended")
        if hold is not None:
            hold(stack, verdict)
        return verdict

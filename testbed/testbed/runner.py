"""Plays a scenario on a prepared stack and gives the verdict."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Self, TypeVar

from testbed_load.command import locust_command
from testbed_load.plan import write_plan

from testbed.board import Board
from testbed.clients.alertmanager import AlertmanagerClient
from testbed.clients.base import Client
from testbed.clients.prometheus import PrometheusClient
from testbed.componentnames import LOAD
from testbed.errors import SlowMachineError, StackError
from testbed.evidence import Evidence, collect
from testbed.facts.configured import read_groups
from testbed.facts.ruletests import RuleTests, read_ruletests
from testbed.faults.base import HeldFault
from testbed.faults.rig import Rig
from testbed.faults.rig.brokenprometheus import PrometheusFaults
from testbed.faults.rig.control import FaultControl
from testbed.heartbeat import heartbeat_names
from testbed.layout import RunLayout
from testbed.pace import Pacemaker
from testbed.preparation import Prepared
from testbed.report import write_outcome
from testbed.runstack import Opening, own_stack
from testbed.schedule import ScheduledAction, load_plan, schedule
from testbed.stack.environments import load_environment
from testbed.stack.links import to_target
from testbed.stack.loadtelemetry import telemetry_options
from testbed.stack.process import ProcessInstance, ProcessRequest, Supervisor, wait_until
from testbed.stack.stack import Stack
from testbed.timeline import Timeline
from testbed.verdict import Verdict, evaluate
from testbed.watch import Watch, WatchView

TICK = 0.1  # seconds between looks at the processes and at the schedule
LOOK = 0.5  # seconds between looks at alerts and counts
QUIET = 20.0  # seconds in which alerts of the start may go away; the verdict sees those that stay
LOAD_START = 120.0  # seconds in which Locust must begin: a busy machine takes most of a minute
LOAD_SLACK = 45.0  # seconds that Locust may need after the last phase: its requests' time-outs
COUNTERS_SETTLE = 15.0  # seconds in which Prometheus must hold the API's final counters

AnyClient = TypeVar("AnyClient", bound=Client)


@dataclass(frozen=True, slots=True)
class Clocks:
    """Time sources: wall time for records, monotonic time for waiting, and the wait itself."""

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep


def _heartbeats(layout: RunLayout) -> frozenset[str]:
    """Alerts of the run's rules that always fire: nothing waits for their end."""
    groups = read_groups(layout.config / "rules")
    return heartbeat_names((rule.name, rule.expression) for g in groups for rule in g.rules)


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
        self._clients = ExitStack()
        self._prometheus = self._client(PrometheusClient(context.url("prometheus:9090")))
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
        self._clients.callback(self._watch.close)
        self._clients.callback(self._rig.close)
        self._load: ProcessInstance | None = None
        self._began = clocks.wall()
        self._earlier: dict[str, str | None] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._clients.close()

    def _client(self, client: AnyClient) -> AnyClient:
        self._clients.callback(client.close)
        return client

    def run(self) -> Verdict:
        """Play, settle, collect, evaluate, write.

        Raises:
            StackError: the load could not start, or no evidence could be collected.
            SlowMachineError: checks failed because the machine was too slow; all files are written.
        """
        self._board.stage("waiting until no alert is active")
        self._wait_quiet()
        self._earlier = self._counted_before()
        self._board.stage("starting the load")
        start = self._start_load()
        self._board.stage("playing")
        prepared = self._prepared
        recording = prepared.context.target.recording(
            self._layout,
            prepared.scenario,
            prepared.factor,
            prepared.context.log_url,
            prepared.options.seed,
        )
        with ThreadPoolExecutor(1) as aside:
            # They need nothing of the run, and give way to it.
            ruletests = aside.submit(read_ruletests, prepared.source, prepared.options.rules)
            with recording:
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
        """Start from silence, where all components are there: the verdict counts from here."""
        deadline = self._clocks.monotonic() + QUIET
        while not self._prepared.context.without and self._clocks.monotonic() < deadline:
            self._notice()
            if not self._watch.update().alerts:
                break
            self._clocks.pause(TICK)

    def _counted_before(self) -> dict[str, str | None]:
        """What a target that has answered before counts so far, once Prometheus holds it, too."""
        if self._prepared.context.born is None and self._prepared.context.target.instrumented:
            return {}
        deadline = self._clocks.monotonic() + COUNTERS_SETTLE
        while not self._counters_arrived() and self._clocks.monotonic() < deadline:
            self._clocks.pause(LOOK)
        return self._counters()

    def _start_load(self) -> float:
        """Start Locust; returns the Unix time at which the first phase began."""
        planting, context = self._prepared.planting, self._prepared.context
        write_plan(self._layout.load_plan, planting.plan(load_plan(self._prepared)))
        host = to_target(context.target.load_url(context), context.endpoints)
        plan, truth = self._layout.load_plan, self._layout.truth
        count, further = context.settings.load_processes, telemetry_options(context)
        argv = tuple(locust_command(plan, truth, host, processes=count, further=further))
        log = self._layout.logs / f"{LOAD}.log"
        env, cwd = load_environment(context), self._layout.root
        request = ProcessRequest(LOAD, argv, log, env=env, cwd=cwd, job=True)
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

    def _act(self, action: ScheduledAction) -> None:
        match action.kind:
            case "phase_started" | "phase_ended":
                self._timeline.add(action.kind, action.name)
            case "fault_on":
                self._timeline.add(action.kind, action.name)
                if action.fault is not None:
                    action.fault.begin(self._rig)
            case "fault_off":
                fault = action.fault
                if isinstance(fault, HeldFault) and fault.aside:
                    self._rig.undo_aside(action.name, fault.release(self._rig))
                    return
                seen = fault.end(self._rig) if fault is not None else None
                self._timeline.add(action.kind, action.name, **(seen or {}))

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
        for name, seen in self._rig.undone():
            self._timeline.add("fault_off", name, **seen)

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
        while self._rig.undoing:  # each within the time limits of its fault
            self._notice()
            self._clocks.pause(TICK)

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
        """Whether Prometheus holds what the target counts now."""
        context, at = self._prepared.context, self._clocks.wall()
        return context.target.arrived(context, self._prometheus, at=at, window=at - self._began)

    def _counters(self) -> dict[str, str | None]:
        context = self._prepared.context
        return context.target.counters(context)

    def _collect(self, ruletests: Callable[[], RuleTests]) -> Evidence:
        self._notice()
        self._stack.gather()
        context = self._prepared.context
        alertmanager = (
            None
            if "alertmanager" in context.without
            else self._client(AlertmanagerClient(context.url("alertmanager:9093")))
        )
        return collect(
            self._layout,
            self._prometheus,
            alertmanager,
            scenario=self._prepared.scenario,
            pages=self._counters(),
            target=context.target,
            log_url=self._prepared.context.log_url,
            factor=self._prepared.factor,
            rules=self._prepared.options.rules,
            source=self._prepared.source,
            born=context.born,
            earlier=self._earlier,
            drift_since=context.drift_since,
            ruletests=ruletests,
        )


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
        StackError: a component could not be started, or no verdict could be reached.
    """
    clocks = clocks or Clocks()
    timeline = Timeline(prepared.layout.timeline, clock=clocks.wall, listener=board.event)
    timeline.add("run_started", prepared.scenario.name)
    with opening(prepared, timeline) as (stack, supervisor):
        with (
            Pacemaker(prepared.layout.pace, stack.pids) as pacemaker,
            Play(prepared, stack, supervisor, timeline, board, clocks, pacemaker) as game,
        ):
            verdict = game.run()
        timeline.add("run_ended")
        if hold is not None:
            hold(stack, verdict)
        return verdict

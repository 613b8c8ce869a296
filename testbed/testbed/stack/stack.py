"""The stack as a whole: starts the components, waits until they are ready, notices crashes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from testbed_otel import names

from testbed.clients.prometheus import PrometheusClient
from testbed.componentnames import SCRAPED
from testbed.errors import StackError
from testbed.stack.addresses import PROMETHEUS
from testbed.stack.components import Component
from testbed.stack.context import StackContext
from testbed.stack.environments import base_environment
from testbed.stack.probes import instant_query
from testbed.stack.process import (
    NotReadyError,
    ProcessOutcome,
    ProcessRequest,
    Supervisor,
    wait_until,
)
from testbed.stack.replicas import Replicas
from testbed.timeline import EventKind, Timeline

SHOWN_BY: Final = {
    **dict.fromkeys(("Console", "Query page", "Trace viewer"), "console"),
    "Evidently UI": "evidently",
    "Locust web UI": "locust",
    "Alertmanager": "alertmanager",
    "Collector health": "collector",
    "Machine metrics": "node_exporter",
}
"""What a person may open, and the component that shows it; others are always there."""

GRACE = 0.5
"""Seconds that a process of a fault gets for its own end."""


class Stack:
    """The running components of one run.

    Args:
        context: what the components are started with.
        components: the components, in their order of start.
        supervisor: starts and stops the processes.
        timeline: is notified of every start, stop and crash.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        context: StackContext,
        components: Sequence[Component],
        supervisor: Supervisor,
        timeline: Timeline,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.context = context
        self._components = {component.name: component for component in components}
        self._supervisor = supervisor
        self._timeline = timeline
        self._clock = clock
        self.crashed: list[ProcessOutcome] = []
        self.replicas = Replicas(context, timeline)

    def start(self, first: Callable[[Stack], None] = lambda _: None) -> None:
        """Start all components and wait until each is ready and every target is up.

        Args:
            first: starts what must be there before all else; gets this stack.

        Raises:
            StackError: a component ended or was not ready in time; holds the tail of its log.
        """
        first(self)
        limit = self.context.settings.start_timeout
        try:
            self._start_all(self._clock() + limit)
        except NotReadyError as error:
            raise StackError(
                f"{error.what}: not ready within the {limit:g} s that a stack has to start "
                f"(TESTBED_START_TIMEOUT): {error.reason}"
            ) from None

    def _start_all(self, deadline: float) -> None:
        # Prometheus evaluates its rules from its first second on, so it starts last: no alert
        # about a service that was never up.
        there = self._supervisor.instances()
        early = [name for name in self._components if name not in {"prometheus", *there}]
        for name in early:
            self.start_component(name)
        for name in early:
            self.wait_component(name, deadline)
        self.start_component("prometheus")
        self.wait_component("prometheus", deadline)
        wait_until(
            self._unseen,
            deadline - self._clock(),
            what="what Prometheus must see before the load",
        )

    def start_component(self, name: str) -> None:
        """Start one component, without waiting for it."""
        component = self._components[name]
        request = component.request(self.context)
        if self.context.is_bundled_api(name):
            self.replicas.begin()
        instance = self._supervisor.start(request)
        self._timeline.add("component_started", name, pid=instance.pid)

    def replace_component(self, component: Component) -> None:
        """Start a component otherwise from its next start on; it has the name of the one before."""
        self._components[component.name] = component

    def wait_component(self, name: str, deadline: float) -> None:
        """Wait until a component is ready, until the ``deadline`` of this stack's clock."""
        component = self._components[name]
        instance = self._supervisor.instances()[name]
        wait_until(
            lambda: component.not_ready(self.context),
            max(deadline - self._clock(), 0.1),
            alive=lambda: instance.outcome,
            what=name,
        )
        self._timeline.add("component_ready", name)
        self.replicas.update()

    def stop_component(self, name: str) -> ProcessOutcome:
        """Stop one component on purpose."""
        outcome = self._supervisor.stop(name)
        self._timeline.add("component_stopped", name, outcome=outcome.describe())
        return outcome

    def note(self, event: EventKind, name: str) -> None:
        """Write an event into the timeline."""
        self._timeline.add(event, name)

    def kill_component(self, name: str) -> ProcessOutcome:
        """Kill one component on purpose, as the kernel does where memory runs out."""
        outcome = self._supervisor.stop(name, kill=True)
        self._timeline.add(
            "component_stopped", name, outcome=outcome.describe(), signal=outcome.signal
        )
        if self.context.is_bundled_api(name):
            self.replicas.killed()
        return outcome

    def start_helper(self, name: str, argv: Sequence[str], *, grace: float = GRACE) -> int:
        """Start a process of a fault, which ends with the run as components do.

        Args:
            name: of the process.
            argv: program and arguments.
            grace: seconds that it gets for its own end.

        Returns:
            Its process id.
        """
        return self._supervisor.start(self._helper(name, argv, grace)).pid

    def run_helper(self, name: str, argv: Sequence[str], timeout: float) -> ProcessOutcome | None:
        """Run a program of a fault to its end; None where it takes longer than ``timeout``."""
        self._supervisor.start(self._helper(name, argv))
        outcome = self._supervisor.wait(name, timeout)
        if outcome is None:
            self.stop_helper(name)
        return outcome

    def await_helper(self, name: str, timeout: float) -> ProcessOutcome | None:
        """Wait for the end of a process of a fault; None where it had to be ended."""
        outcome = self._supervisor.wait(name, timeout)
        if outcome is None:
            self.stop_helper(name, kill=False)
        return outcome

    def _helper(self, name: str, argv: Sequence[str], grace: float = GRACE) -> ProcessRequest:
        layout = self.context.layout
        environment = base_environment() | {"TESTBED_RUN": str(layout.root)}
        log = layout.logs / "faults.log"
        return ProcessRequest(name, tuple(argv), log, environment, Path.cwd(), grace, job=True)

    def stop_helper(self, name: str, *, kill: bool = True) -> None:
        """End a process of a fault, at once or in its own time."""
        self._supervisor.stop(name, kill=kill)

    def mark_gone(self, name: str, how: str) -> None:
        """Write down that a component lives and does nothing for others from now on."""
        self._timeline.add("component_gone", name, outcome=how)

    def mark_back(self, name: str) -> None:
        """Write down that it does again."""
        self._timeline.add("component_back", name)

    def notice_exits(self) -> list[ProcessOutcome]:
        """Processes that ended by themselves since the last call; the journal is read on, too.

        Those of components are crashes: kept in ``crashed`` and written to the timeline. What else
        the supervisor runs, as the load, may end by itself.
        """
        self.replicas.update()
        outcomes = self._supervisor.poll()
        for outcome in outcomes:
            if outcome.name in self._components:
                self.crashed.append(outcome)
                self._timeline.add(
                    "component_crashed",
                    outcome.name,
                    outcome=outcome.describe(),
                    log=outcome.tail(),
                )
        return outcomes

    def gather(self) -> None:
        """Bring the evidence into the run's folder after the run: the components write there."""

    def raise_on_crash(self) -> None:
        """For stacks that must live: raise when a component ended by itself.

        Raises:
            StackError: holds the tail of the component's log.
        """
        for outcome in self.notice_exits():
            raise StackError(f"{outcome.describe()}; the end of its log:\n{outcome.tail()}")

    def pids(self) -> dict[str, int]:
        """Component to process id, of the components that run."""
        running = self._supervisor.instances().items()
        return {name: instance.pid for name, instance in running if instance.running}

    def pid(self, name: str) -> int:
        """Process id of a component.

        Raises:
            StackError: it does not run.
        """
        found = self.pids().get(name)
        if found is None:
            raise StackError(f"{name} does not run, so that nothing can be done to it")
        return found

    def urls(self) -> dict[str, str]:
        """What a person may want to open."""
        context = self.context
        console = f"http://{context.endpoints.get('console:9070', '')}"
        urls = {
            "Console": f"{console}/",
            "Query page": f"{console}/query",
            "Trace viewer": f"{console}/traces",
            "Evidently UI": context.url("evidently:8085"),
            "Locust web UI": context.url("locust:8089"),
            **context.target.urls(context),
            "Prometheus API": f"{context.url('prometheus:9090')}/api/v1/alerts",
            "Alertmanager": context.url("alertmanager:9093"),
            "Collector health": context.url("collector:13133"),
            "Machine metrics": f"{context.url('node_exporter:9100')}/metrics",
        }
        return {
            name: url
            for name, url in urls.items()
            if name not in SHOWN_BY or SHOWN_BY[name] in self._components
        }

    def _scrape_errors(self) -> dict[str, str]:
        """Job to why its last scrape failed, for as far as Prometheus says it."""
        try:
            with PrometheusClient(self.context.url(PROMETHEUS)) as prometheus:
                targets = prometheus.targets()
        except StackError:
            return {}
        return {each.job: each.last_error for each in targets if each.last_error}

    def _unseen(self) -> str | None:
        """What Prometheus doesn't see yet: targets, and the first run of the drift job."""
        wanted = {job for job, component in SCRAPED.items() if component in self._components}
        wanted |= set(self.context.target.jobs)
        up = instant_query(self.context, "up == 1")
        missing = sorted(wanted - {sample["metric"]["job"] for sample in up})
        self.replicas.update()
        seen = {sample["metric"].get("instance") for sample in up}
        missing += sorted(set(self.context.serving.values()) - seen)
        if missing:
            failed = self._scrape_errors()
            return "not up yet: " + ", ".join(
                f"{job} ({failed[job]})" if job in failed else job for job in missing
            )
        if {"drift", "collector"} <= set(self._components):
            completed = names.DRIFT_LAST_COMPLETED.prometheus
            if not instant_query(self.context, completed):
                return f"no {completed} yet"
        return None

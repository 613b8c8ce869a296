"""The stack as a whole: starts the parts, waits until they are ready, notices crashes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from testbed_otel import names

from testbed.errors import StackError
from testbed.stack.parts import Part, StackContext, instant_query
from testbed.stack.process import ProcessOutcome, Supervisor, wait_until
from testbed.stack.replicas import Replicas
from testbed.timeline import Timeline

# Targets that Prometheus scrapes: job to the part that it shows.
SCRAPED = {
    names.JOB_API: "api",
    names.JOB_COLLECTOR: "collector",
    names.JOB_NODE: "node_exporter",
    names.JOB_ALERTMANAGER: "alertmanager",
    names.JOB_PROMETHEUS: "prometheus",
}


class Stack:
    """The running parts of one run.

    Args:
        context: what the parts are started with.
        parts: the parts, in their order of start.
        supervisor: starts and stops the processes.
        timeline: is notified of every start, stop and crash.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        context: StackContext,
        parts: Sequence[Part],
        supervisor: Supervisor,
        timeline: Timeline,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.context = context
        self._parts = {part.name: part for part in parts}
        self._supervisor = supervisor
        self._timeline = timeline
        self._clock = clock
        self.crashed: list[ProcessOutcome] = []
        self.replicas = Replicas(context, timeline)

    def start(self) -> None:
        """Start all parts and wait until each is ready and every target is up.

        Raises:
            StackError: a part ended or was not ready in time; holds the tail of its log.
        """
        deadline = self._clock() + self.context.settings.start_timeout
        # Prometheus evaluates its rules from its first second on, so it starts last: no alert
        # about a service that was never up.
        early = [name for name in self._parts if name != "prometheus"]
        for name in early:
            self.start_part(name)
        for name in early:
            self.wait_part(name, deadline)
        self.start_part("prometheus")
        self.wait_part("prometheus", deadline)
        wait_until(
            self._unseen,
            deadline - self._clock(),
            what="what Prometheus must see before the load",
        )

    def start_part(self, name: str) -> None:
        """Start one part, without waiting for it."""
        part = self._parts[name]
        request = part.request(self.context)
        if name == "api":
            self.replicas.begin()
        instance = self._supervisor.start(request)
        self._timeline.add("part_started", name, pid=instance.pid)

    def wait_part(self, name: str, deadline: float) -> None:
        """Wait until a part is ready, until the ``deadline`` of this stack's clock."""
        part = self._parts[name]
        instance = self._supervisor.instances()[name]
        wait_until(
            lambda: part.not_ready(self.context),
            max(deadline - self._clock(), 0.1),
            alive=lambda: instance.outcome,
            what=name,
        )
        self._timeline.add("part_ready", name)
        self.replicas.update()

    def stop_part(self, name: str) -> ProcessOutcome:
        """Stop one part on purpose."""
        outcome = self._supervisor.stop(name)
        self._timeline.add("part_stopped", name, outcome=outcome.describe())
        return outcome

    def notice_exits(self) -> list[ProcessOutcome]:
        """Processes that ended by themselves since the last call; the journal is read on, too.

        Those of parts are crashes: kept in ``crashed`` and written to the timeline. What else the
        supervisor runs, as the load, may end by itself.
        """
        self.replicas.update()
        outcomes = self._supervisor.poll()
        for outcome in outcomes:
            if outcome.name in self._parts:
                self.crashed.append(outcome)
                self._timeline.add(
                    "part_crashed", outcome.name, outcome=outcome.describe(), log=outcome.tail()
                )
        return outcomes

    def gather(self) -> None:
        """Bring the evidence into the run's folder, once the run is over: the parts write there."""

    def raise_on_crash(self) -> None:
        """For stacks that must live: raise when a part ended by itself.

        Raises:
            StackError: holds the tail of the part's log.
        """
        for outcome in self.notice_exits():
            raise StackError(f"{outcome.describe()}; the end of its log:\n{outcome.tail()}")

    def pids(self) -> dict[str, int]:
        """Part to process id, of the parts that run."""
        running = self._supervisor.instances().items()
        return {name: instance.pid for name, instance in running if instance.running}

    def urls(self) -> dict[str, str]:
        """What a person may want to open."""
        context = self.context
        urls = {
            "API docs": f"{context.url('api:8000')}/docs",
            **{
                f"API metrics{f', replica {number}' if number else ''}": f"http://{address}/metrics"
                for number, address in enumerate(context.management)
            },
            "Prometheus API": f"{context.url('prometheus:9090')}/api/v1/alerts",
            "Alertmanager": context.url("alertmanager:9093"),
            "Notifications": context.url("receiver:9080"),
            "Collector health": context.url("collector:13133"),
            "Machine metrics": f"{context.url('node_exporter:9100')}/metrics",
        }
        if "locust" in self._parts:
            urls = {"Locust web UI": context.url("locust:8089")} | urls
        if "evidently" in self._parts:
            urls = {"Evidently UI": context.url("evidently:8085")} | urls
        absent = {"Alertmanager": "alertmanager", "Notifications": "receiver"}
        absent |= {"Collector health": "collector", "Machine metrics": "node_exporter"}
        return {name: url for name, url in urls.items() if absent.get(name) not in context.without}

    def _unseen(self) -> str | None:
        """What Prometheus doesn't see yet: targets, and the first run of the drift job."""
        wanted = {job for job, part in SCRAPED.items() if part in self._parts}
        up = instant_query(self.context, "up == 1")
        missing = sorted(wanted - {sample["metric"]["job"] for sample in up})
        self.replicas.update()
        seen = {sample["metric"].get("instance") for sample in up}
        missing += sorted(set(self.context.serving.values()) - seen)
        if missing:
            return f"not up yet: {', '.join(missing)}"
        if {"drift", "collector"} <= set(self._parts):
            completed = names.DRIFT_LAST_COMPLETED.prometheus
            if not instant_query(self.context, completed):
                return f"no {completed} yet"
        return None

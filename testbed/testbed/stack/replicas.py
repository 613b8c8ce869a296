"""The API's replicas as the runner sees them: who serves where, and what became of each start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.stack.configuration import write_api_targets
from testbed.tail import JsonLinesTail

if TYPE_CHECKING:
    from testbed.stack.context import StackContext
    from testbed.timeline import EventKind, Timeline

EVENTS: dict[str, EventKind] = {
    "started": "replica_started",
    "ready": "replica_ready",
    "stopped": "replica_stopped",
    "crashed": "replica_crashed",
}


class Replicas:
    """Keeps the context, the timeline and Prometheus's scrape targets true.

    One process is known by the id that it was given. Several are started, and after a crash
    started again, by a supervisor of their own, which writes a journal.

    Args:
        context: is notified of who serves.
        timeline: is notified of what becomes of each replica.
    """

    def __init__(self, context: StackContext, timeline: Timeline) -> None:
        self._context = context
        self._timeline = timeline
        self._journal = JsonLinesTail(context.layout.replicas)
        self._came_up = False
        self._hidden = False

    def begin(self) -> None:
        """The API is being started: one process has its id already."""
        self._context.serving.clear()
        if self._context.replicas == 1:
            instance = self._context.instances[self._context.target.name]
            self._context.serving[self._context.management[0]] = instance
            self._write_targets()

    def update(self) -> None:
        """Read the journal on."""
        started = False
        for line in self._journal.read():
            instance, event = str(line["instance"]), str(line["event"])
            reported = {"why": "why", "outcome": "how", "pid": "pid"}
            details = {name: line[key] for name, key in reported.items() if key in line}
            self._timeline.add(EVENTS[event], instance, at=float(line["time"]), **details)
            if event == "started":
                self._context.serving[self._context.management[line["number"]]] = instance
                self._context.api_instances.append(instance)
                started = True
            self._came_up |= event == "ready"
        if started:
            self._write_targets()

    def killed(self) -> None:
        """A fault killed those that serve, with what they had not exported yet."""
        self.update()
        for instance in self._context.serving.values():
            self._timeline.add("replica_crashed", instance, why="fault", how="SIGKILL")

    def came_up(self) -> bool:
        """Whether a replica got ready since the last call."""
        found, self._came_up = self._came_up, False
        return found

    def hide(self) -> None:
        """Let Prometheus know of no replica, as when service discovery lost them."""
        self._hidden = True
        self._write_targets()

    def show(self) -> None:
        """Let Prometheus know of the replicas again."""
        self._hidden = False
        self._write_targets()

    def _write_targets(self) -> None:
        # One that is down stays a target until the next one takes its place: `up` must show it.
        targets = {} if self._hidden else self._context.serving
        write_api_targets(self._context.configuration.targets, targets.items())

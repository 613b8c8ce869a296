"""The components of a run that others have started: watched, and their evidence collected."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from testbed_domain.linefile import append_json
from testbed_drift.storage.renewal import ASIDE

from testbed.componentnames import PIPELINE
from testbed.errors import StackError
from testbed.stack.stack import Stack
from testbed.tail import JsonLinesTail

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from testbed.stack.context import StackContext
    from testbed.stack.process import ProcessOutcome, Supervisor
    from testbed.timeline import Timeline

WORKSPACE = "workspace"
NOTIFICATIONS = "notifications.jsonl"
JOURNAL = "replicas.jsonl"
"""What the supervisor of several API replicas did with them, beside their scrape targets."""


class Mirror:
    """Appends what a file gets, line by line, to a file of the run.

    Args:
        source: JSON Lines that another container writes.
        target: file of the run.
        wanted: which lines.
    """

    def __init__(
        self, source: Path, target: Path, wanted: Callable[[Mapping[str, Any]], bool]
    ) -> None:
        self._tail = JsonLinesTail(source)
        self._target = target
        self._wanted = wanted

    def update(self) -> None:
        """Read on."""
        lines = [line for line in self._tail.read() if self._wanted(line)]
        if lines:
            append_json(self._target, *lines)


class AttachedStack(Stack):
    """A stack that runs already and goes on after the run.

    Args:
        context: its addresses, and the run.
        supervisor: runs the load.
        timeline: is notified of what is seen of the components.
        received: folder of what the receiver got.
        drift: output of the drift job.
        since: Unix time at which the run began.
        targets: gives management address and instance id of the API, as it says itself.
        journal: of the supervisor, where there are several replicas.
    """

    def __init__(  # noqa: PLR0913 - where the evidence of the components lies
        self,
        context: StackContext,
        supervisor: Supervisor,
        timeline: Timeline,
        *,
        received: Path,
        drift: Path,
        since: float,
        targets: Callable[[], Mapping[str, str]],
        journal: Path,
    ) -> None:
        super().__init__(context, (), supervisor, timeline)
        self._targets = targets
        self._drift = drift
        self._since = since
        self._first: set[int] = set()
        layout = context.layout
        self._mirrors = [
            Mirror(received / NOTIFICATIONS, layout.notifications, self._of_the_run),
            # They come with those of the run, in one webhook, and are none of its alerts.
            Mirror(received / NOTIFICATIONS, layout.earlier_notifications, self._of_before),
            # Compared with counts that began with the stack, and drift runs with the job's own.
            *(
                Mirror(source, target, lambda _: True)
                for source, target in (
                    (drift / "runs.jsonl", layout.drift / "runs.jsonl"),
                    (received / "traces.jsonl", layout.traces),
                    (received / "log-records.jsonl", layout.log_records),
                )
            ),
        ]
        if context.replicas > 1:
            self._mirrors.append(Mirror(journal, layout.replicas, self._journalled))
        for component in (context.target.name, *PIPELINE):
            if component not in context.without:
                timeline.add("component_started", component, at=context.born)
        if context.drift_since is not None:
            timeline.add("component_started", "drift", at=context.drift_since)

    def _came(self, notification: Mapping[str, Any]) -> bool:
        return float(notification["received_at"]) >= self._since

    def _over(self, notification: Mapping[str, Any]) -> bool:
        """Prometheus says of an alert for a quarter of an hour that it is over."""
        ended = notification.get("ends_at")
        return ended is not None and float(ended) < self._since

    def _of_the_run(self, notification: Mapping[str, Any]) -> bool:
        return self._came(notification) and not self._over(notification)

    def _of_before(self, notification: Mapping[str, Any]) -> bool:
        return self._came(notification) and self._over(notification)

    def _journalled(self, line: Mapping[str, Any]) -> bool:
        """All lines are evidence; a second first start says that the supervisor came back."""
        if line["event"] == "started" and line["why"] == "first":
            number, instance = int(line["number"]), line["instance"]
            if number in self._first and float(line["time"]) >= self._since:
                self._came_back(str(instance))
            self._first.add(number)
        return True

    def _came_back(self, instance: str) -> None:
        name = self.context.target.name
        self._timeline.add("component_crashed", name, outcome=f"it came back as {instance}")

    def start_component(self, name: str) -> None:
        """Nobody can, from here.

        Raises:
            StackError: always.
        """
        raise StackError(f"{name} was started by others, so that this run can't start it")

    def notice_exits(self) -> list[ProcessOutcome]:
        """As in any stack; evidence is gathered on the way, and an API that came back is seen."""
        for mirror in self._mirrors:
            mirror.update()
        if self.context.replicas == 1:
            for address, instance in self._targets().items():
                if self.context.serving.get(address) != instance:
                    self.context.serving[address] = instance
                    self.context.api_instances.append(instance)
                    self._came_back(instance)
        return super().notice_exits()

    def gather(self) -> None:
        """Copy what the drift job has written."""
        target = self.context.layout.drift
        for path in sorted(self._drift.rglob("*")):
            place = target / path.relative_to(self._drift)
            parts = path.relative_to(self._drift).parts
            earlier = parts[0].startswith(ASIDE) or parts[0] == WORKSPACE
            if earlier or not path.is_file() or place.exists():
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)

    def urls(self) -> dict[str, str]:
        """None: they are those of the stack's own network."""
        return {}

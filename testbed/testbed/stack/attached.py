"""The parts of a run that others have started: they are watched, and their evidence is gathered."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from testbed.errors import StackError
from testbed.stack.stack import Stack
from testbed.tail import JsonLinesTail

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from testbed.stack.parts import StackContext
    from testbed.stack.process import ProcessOutcome, Supervisor
    from testbed.timeline import Timeline

PARTS = ("collector", "prometheus", "alertmanager", "node_exporter", "receiver", "api", "drift")
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
        lines = [json.dumps(line) + "\n" for line in self._tail.read() if self._wanted(line)]
        if lines:
            with self._target.open("a", encoding="utf-8") as file:
                file.writelines(lines)


class AttachedStack(Stack):
    """A stack that runs already and goes on after the run.

    Args:
        context: its addresses, and the run.
        supervisor: runs the load.
        timeline: is notified of what is seen of the parts.
        received: folder of what the receiver got.
        drift: output of the drift job.
        since: Unix time at which the run began.
        targets: gives management address and instance id of the API, as it says itself.
        journal: of the supervisor, where there are several replicas.
    """

    def __init__(  # noqa: PLR0913 - where the evidence of the parts lies
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
            # Alerts that the start of the stack made are over.
            Mirror(received / NOTIFICATIONS, layout.notifications, self._in_time),
            # Compared with counts that began with the stack, which had answered nothing before.
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
        for part in PARTS:
            if part not in context.without:
                timeline.add("part_started", part, at=context.born)

    def _in_time(self, notification: Mapping[str, Any]) -> bool:
        return float(notification["received_at"]) >= self._since

    def _journalled(self, line: Mapping[str, Any]) -> bool:
        """All lines are evidence; a second first start says that the supervisor came back."""
        if line["event"] == "started" and line["why"] == "first":
            number, instance = int(line["number"]), line["instance"]
            if number in self._first and float(line["time"]) >= self._since:
                self._came_back(str(instance))
            self._first.add(number)
        return True

    def _came_back(self, instance: str) -> None:
        self._timeline.add("part_crashed", "api", outcome=f"it came back as {instance}")

    def start_part(self, name: str) -> None:
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
            if WORKSPACE in path.parts or not path.is_file() or place.exists():
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)

    def urls(self) -> dict[str, str]:
        """None: they are those of the stack's own network."""
        return {}

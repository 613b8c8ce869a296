"""What the runner did and saw, in order: appended to ``timeline.jsonl`` and asked to listeners."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

EventKind = Literal[
    "run_started",
    "part_started",
    "part_ready",
    "part_stopped",
    "part_crashed",
    "replica_started",
    "replica_ready",
    "replica_stopped",
    "replica_crashed",
    "load_started",
    "phase_started",
    "phase_ended",
    "fault_on",
    "fault_off",
    "load_ended",
    "settled",
    "collected",
    "evaluated",
    "reported",
    "run_ended",
]


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        time: Unix time in seconds.
        event: its kind.
        name: what it is about: a phase, a fault, a part.
        details: further fields.
    """

    time: float
    event: EventKind
    name: str
    details: dict[str, Any] = field(default_factory=dict)


Listener = Callable[[Event], None]


class Timeline:
    """Appends events as whole JSON lines; a killed run keeps all that happened before."""

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], float] = time.time,
        listener: Listener | None = None,
    ) -> None:
        self._path = path
        self._clock = clock
        self._listener = listener

    def add(
        self, event: EventKind, name: str = "", *, at: float | None = None, **details: object
    ) -> None:
        """Record an event that happens now, or happened at the Unix time ``at``."""
        entry = Event(self._clock() if at is None else at, event, name, details)
        line = json.dumps({"time": entry.time, "event": event, "name": name, **details})
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        if self._listener is not None:
            self._listener(entry)

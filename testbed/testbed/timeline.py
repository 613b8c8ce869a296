"""What the runner did and saw, in order: appended to ``timeline.jsonl`` and asked to listeners."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from testbed_domain.linefile import append_json

EventKind = Literal[
    "run_started",
    "component_started",
    "component_ready",
    "component_stopped",
    "component_crashed",
    "component_gone",
    "component_back",
    "replica_started",
    "replica_ready",
    "replica_stopped",
    "replica_crashed",
    "reference_asked",
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

GONE: Final = frozenset({"component_stopped", "component_crashed", "component_gone"})
"""Events after which a component does nothing for others; it may live, but stand still."""

BACK: Final = frozenset({"component_started", "component_back"})
"""Events after which it does."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        time: Unix time in seconds.
        event: its kind.
        name: what it is about: a phase, a fault, a component.
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
        append_json(self._path, {"time": entry.time, "event": event, "name": name, **details})
        if self._listener is not None:
            self._listener(entry)

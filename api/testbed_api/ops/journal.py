"""What becomes of each replica: one JSON line per event, for a watcher of the supervisor."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

from testbed_domain.linefile import append_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ReplicaEvent = Literal["started", "ready", "stopped", "crashed"]


class Journal:
    """Appends events as whole lines; without a file it is silent.

    Args:
        path: the file, or None.
        clock: UTC Unix seconds.
    """

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock

    def add(self, event: ReplicaEvent, number: int, instance: str, **details: object) -> None:
        """Record an event of the replica ``number``, whose process has this instance id.

        Raises:
            OSError: the file can't be written.
        """
        if self._path is None:
            return
        entry = {"time": self._clock(), "event": event, "number": number, "instance": instance}
        append_json(self._path, entry | details)

"""How long the job was ready to work while no processor was free for it.

A run that takes long because the machine is busy with other work shows it here; one that computes
for long, or that waits for its database, does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

SCHEDSTAT: Final = Path("/proc/self/schedstat")
"""Of the main thread: nanoseconds on a processor, nanoseconds of waiting for one, turns."""


def waited() -> float | None:
    """Seconds for which the main thread has waited for a processor; None where nothing says it."""
    try:
        return int(SCHEDSTAT.read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return None


@dataclass(slots=True)
class ProcessorWait:
    """Counts from one question to the next.

    Attributes:
        read: seconds since the process began; None where they are unknown.
    """

    read: Callable[[], float | None] = waited
    _before: float | None = field(init=False)

    def __post_init__(self) -> None:
        self._before = self.read()

    def since(self) -> float | None:
        """Seconds since it was asked last, or made; None where they are unknown."""
        before, self._before = self._before, self.read()
        if before is None or self._before is None:
            return None
        return self._before - before

"""Measures how fast the machine is while a run goes on, apart from all components of the stack.

A thread wakes up every tenth of a second and notes by how much it was late. Every half second it
works for some milliseconds and notes how much longer that took than the processor time that it
needed: what else wants the processors makes the difference. It notes as well how long the disk took
to keep its last line. All are of the machine alone: nothing is asked of a component, so that one
that hangs does not look like a machine that is slow. What the kernel counts of each component's
waits for a processor stands beside them.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import psutil
from testbed_domain.linefile import append_json

from testbed.processorwaits import ProcessorWaits

TICK: Final = 0.1
"""Seconds between two wake-ups."""

EVERY: Final = 5
"""Wake-ups between two lines, each with a piece of work."""

WORK: Final = bytes(1_000_000)
"""What a piece of work hashes; hashing runs without the interpreter's lock."""

PIECES: Final = 8
PRESSURE: Final = Path("/proc/pressure/cpu")


@dataclass(frozen=True, slots=True)
class Effort:
    """A piece of work: seconds that it took, and seconds of the processor that it needed."""

    took: float
    needed: float


def work() -> Effort:
    """Do a piece of work."""
    began, used = time.monotonic(), time.thread_time()
    for _ in range(PIECES):
        hashlib.sha256(WORK).digest()
    return Effort(time.monotonic() - began, time.thread_time() - used)


def pressure() -> float | None:
    """Seconds in which some task has waited for a processor since the machine's start, if known."""
    try:
        some = PRESSURE.read_text(encoding="ascii").split("\n", 1)[0]
        return int(some.rpartition("total=")[2]) / 1e6
    except (OSError, ValueError):
        return None


def sync(path: Path) -> float | None:
    """Have the disk keep what was written to a file; the seconds that it took, if it can."""
    began = time.monotonic()
    try:
        with path.open("ab") as file:
            os.fdatasync(file.fileno())
    except OSError:
        return None
    return time.monotonic() - began


class Pacemaker:
    """Writes a line every half second from its start to its stop; a context manager.

    Args:
        path: gets JSON lines.
        pids: gives component to process id, of the components that run.
    """

    def __init__(self, path: Path, pids: Callable[[], Mapping[str, int]] = dict) -> None:
        self._path = path
        self._waits = ProcessorWaits(pids)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pacemaker", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it and wait until its last line is written."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(10.0)

    def _run(self) -> None:
        psutil.cpu_percent()  # the first answer has nothing to compare with
        late, wakes, synced = 0.0, 0, None
        written = time.monotonic()
        while not self._over.is_set():
            before = time.monotonic()
            self._over.wait(TICK)
            late = max(late, time.monotonic() - before - TICK)
            wakes += 1
            if wakes == EVERY:
                passed = time.monotonic() - written
                written += passed
                append_json(self._path, self._line(late, passed, synced))
                synced = sync(self._path)
                late, wakes = 0.0, 0

    def _line(self, late: float, passed: float, synced: float | None) -> dict[str, Any]:
        """What was measured, and the components' waits in the seconds since the last line."""
        waits = self._waits.since(passed)
        effort = work()
        return {
            "time": time.time(),
            "late": round(max(0.0, late), 4),
            "took": round(effort.took, 4),
            "needed": round(effort.needed, 4),
            "busy": psutil.cpu_percent() / 100,
            "waited": pressure(),
            "waits": waits,
            "synced": None if synced is None else round(synced, 4),
        }

"""How long each component was ready to work while other processes had the processors.

A component that is slow because the machine is busy with other work shows it here; one that stands
still, waits for something, or computes for long does not, and neither does one that takes its own
processors from itself.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from testbed.faults.rig.kernel import members, scheduled, threads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

REFRESH: Final = 10
"""Steps after which processes that a component has started since are looked for."""

MIN_WAIT: Final = 0.1
"""Seconds of a step that are worth a word."""


class ProcessorWaits:
    """Counts from one step to the next.

    Args:
        pids: gives component to process id, of the components that run.
    """

    def __init__(self, pids: Callable[[], Mapping[str, int]]) -> None:
        self._pids = pids
        self._steps = 0
        self._members: dict[int, frozenset[int]] = {}
        self._before: dict[int, tuple[int, int]] = {}

    def since(self, seconds: float) -> dict[str, float]:
        """Component to seconds in which a thread of it waited because of others, where it matters.

        Args:
            seconds: since it was asked last.
        """
        running = dict(self._pids())
        if self._steps % REFRESH == 0:
            self._members = {}
        self._steps += 1
        now: dict[int, tuple[int, int]] = {}
        found = {}
        for component, pid in running.items():
            if pid not in self._members:
                self._members[pid] = members(pid)
            read = scheduled(threads(self._members[pid]))
            now |= read
            found[component] = waited_for_others(read, self._before, seconds)
        self._before = now
        return {name: round(waited, 3) for name, waited in found.items() if waited >= MIN_WAIT}


def waited_for_others(
    now: Mapping[int, tuple[int, int]],
    before: Mapping[int, tuple[int, int]],
    seconds: float,
    processors: int | None = None,
) -> float:
    """Seconds of a step in which the thread that waited longest did so because of other processes.

    Threads wait for those of their own process as well: what these used of the processors is taken
    off in proportion.

    Args:
        now: thread to nanoseconds on a processor and of waiting for one, of one component.
        before: the same at the beginning of the step; threads that are not in it are new.
        seconds: length of the step.
        processors: that there are; by default those that this process may use.
    """
    if seconds <= 0:
        return 0.0
    steps = [
        (used - before[thread][0], waited - before[thread][1])
        for thread, (used, waited) in now.items()
        if thread in before
    ]
    available = (processors or len(os.sched_getaffinity(0))) * seconds
    own = min(1.0, sum(used for used, _ in steps) / 1e9 / available)
    longest = max((waited for _, waited in steps), default=0) / 1e9
    return min(seconds, longest) * (1 - own)

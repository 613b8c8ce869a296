"""Runs of a job at an interval."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed_drift.evaluation.results import RunResult

_DONE: Final = object()
LOOKS: Final = 20
"""Looks for a full window in an interval."""


class Repeatable(Protocol):
    """What :func:`watch` runs."""

    def run_once(self) -> RunResult:
        """Run once."""


class Watched(Repeatable, Protocol):
    """A job of one model version."""

    @property
    def version(self) -> str:
        """Which one."""


def watch(
    job: Repeatable,
    interval: float,
    clock: Callable[[], float],
    wait: Callable[[float], bool],
    announce: Callable[[RunResult], None],
    chores: Iterator[object] | None = None,
    ready: Callable[[], bool] | None = None,
) -> None:
    """Run at once and then every ``interval`` seconds, until asked to stop.

    A run that takes longer than the interval skips the turns that it missed. Windows that are full
    already are evaluated without a wait, and one that fills meanwhile before the interval is over.

    Args:
        job: what to run.
        interval: seconds from one run's start to the next's.
        clock: Unix time.
        wait: waits so many seconds; True when the job must stop.
        announce: notified about every run.
        chores: work that the runs to come are spared, done between runs, a step at a time.
        ready: whether a window is full that need not wait for the interval; None looks for none.
    """
    due = clock()
    while not _waited(interval, due, clock, wait, ready):
        due = min(due, clock())  # it may have been full before
        result = job.run_once()
        announce(result)
        if not result.behind:
            due += interval * max(1, math.ceil((clock() - due) / interval))
        while chores and clock() < due and not (ready and ready()) and not wait(0.0):
            if next(chores, _DONE) is _DONE:
                chores = None


def _waited(
    interval: float,
    due: float,
    clock: Callable[[], float],
    wait: Callable[[float], bool],
    ready: Callable[[], bool] | None,
) -> bool:
    """Wait until a run is due or need not wait; True when the job must stop."""
    step = interval / LOOKS if ready else interval
    while True:
        now = clock()
        due = min(due, now + interval)  # a clock put back must not stall it
        left = max(0.0, due - now)
        if wait(min(left, step)):
            return True
        if left <= step or (ready and ready()):
            return False

"""What the faults of a scenario are done to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from testbed.faults.rig.brokenprometheus import PrometheusFaults
    from testbed.faults.rig.control import FaultControl
    from testbed.stack.stack import Stack

ASIDE: Final = 16
"""Faults that take their time at once; more of them wait."""

Undo = Callable[[], Mapping[str, Any]]
"""Undoes what a fault holds, and says what was seen of it."""


@dataclass(frozen=True, slots=True)
class Rig:
    """The running stack, the fault control of its API, and what can be done to its Prometheus.

    Attributes:
        held: label of each fault that is on and holds something to what undoes it.
        aside: does what takes its time, so that the run goes on.
        undoing: labels of faults that are being undone beside it, each with what comes of that.
    """

    stack: Stack
    api: FaultControl
    prometheus: PrometheusFaults
    held: dict[str, Undo] = field(default_factory=dict)
    aside: ThreadPoolExecutor = field(default_factory=partial(ThreadPoolExecutor, ASIDE))
    undoing: list[tuple[str, Future[Mapping[str, Any]]]] = field(default_factory=list)

    def undo_aside(self, label: str, undo: Undo) -> None:
        """Undo a fault beside the run."""
        self.undoing.append((label, self.aside.submit(undo)))

    def undone(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Faults that were undone so since the last call, each with what was seen of it."""
        for each in [each for each in self.undoing if each[1].done()]:
            self.undoing.remove(each)
            yield each[0], each[1].result()

    def close(self) -> None:
        """Undo what is held still, as when a run fails in the middle of a phase."""
        with self.aside, ExitStack() as undoing:
            while self.held:
                undoing.callback(self.held.popitem()[1])

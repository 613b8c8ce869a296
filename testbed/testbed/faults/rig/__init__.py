"""What the faults of a scenario are done to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from testbed.faults.rig.brokenprometheus import PrometheusFaults
    from testbed.faults.rig.control import FaultControl
    from testbed.stack.stack import Stack

Undo = Callable[[], Mapping[str, Any]]
"""Undoes what a fault holds, and says what was seen of it."""


@dataclass(frozen=True, slots=True)
class Rig:
    """The running stack, the fault control of its API, and what can be done to its Prometheus.

    Attributes:
        held: label of each fault that is on and holds something to what undoes it.
    """

    stack: Stack
    api: FaultControl
    prometheus: PrometheusFaults
    held: dict[str, Undo] = field(default_factory=dict)

    def close(self) -> None:
        """Undo what is held still, as when a run fails in the middle of a phase."""
        with ExitStack() as undoing:
            while self.held:
                undoing.callback(self.held.popitem()[1])

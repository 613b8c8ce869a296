"""What the faults of a scenario are done to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed.faultcontrol import FaultControl
    from testbed.stack.stack import Stack


@dataclass(frozen=True, slots=True)
class Rig:
    """The running stack, and the fault control of its API."""

    stack: Stack
    api: FaultControl

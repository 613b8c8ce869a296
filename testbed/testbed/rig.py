"""What the faults of a scenario are done to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed.faultcontrol import FaultControl
    from testbed.prometheusfaults import PrometheusFaults
    from testbed.stack.stack import Stack


@dataclass(frozen=True, slots=True)
class Rig:
    """The running stack, the fault control of its API, and what can be done to its Prometheus."""

    stack: Stack
    api: FaultControl
    prometheus: PrometheusFaults

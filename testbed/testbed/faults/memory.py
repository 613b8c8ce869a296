"""A process beside the stack that holds memory."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, ClassVar, Final, Literal

import psutil
from pydantic import Field

from testbed.errors import StackError
from testbed.faults.base import FAULTS, HeldFault, Measuring, Seen
from testbed.faults.effects import Effect, last_event
from testbed.faults.rig.kernel import MIB, resident

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.faults.rig import Rig, Undo
    from testbed.phases import PhaseRow

SPARED: Final = 1024
"""MiB that must stay available for everything else."""

# Random pages, so that no kernel merges or compresses them away; a new one in each block.
HOG: Final = (
    "import os, time\npage = os.urandom(2**20)\n"
    "held = [bytearray(page) for _ in range({mib})]\ntime.sleep(1e9)"
)
MIN_RATIO: Final = 0.9
"""Ratio of the memory that must have been occupied at the end."""


@FAULTS.register
class MemoryFault(HeldFault):
    """A process that holds memory of the machine until the phase ends.

    No component is limited by it: they have less left. What would leave less than 1 GiB available
    is refused.
    """

    cuts: ClassVar[tuple[Measuring, ...]] = ()
    kind: Literal["memory"] = "memory"
    mib: int = Field(gt=0, le=2**20, description="MiB that it holds.")

    @property
    def label(self) -> str:
        """Of the timeline."""
        return f"memory {self.mib} MiB held"

    @property
    def description(self) -> str:
        """Of the documentation."""
        return f"another process holds {self.mib} MiB of memory"

    def permitted(self) -> str | None:
        """Whether enough is left."""
        available = psutil.virtual_memory().available // MIB
        if available - self.mib >= SPARED:
            return None
        return (
            f"{available} MiB are available, and it must leave {SPARED} of them: "
            f"{max(0, available - SPARED)} MiB may be held"
        )

    def hold(self, rig: Rig) -> Undo:
        """Start the process; memory that has gone since the run began is not taken."""
        if reason := self.permitted():
            raise StackError(f"the fault {self.label} is not permitted any more: {reason}")
        code = HOG.format(mib=self.mib)
        pid = rig.stack.start_helper(self.label, (sys.executable, "-I", "-S", "-c", code))

        def release() -> Seen:
            seen = {
                "resident": round(resident(pid), 1),
                "available": psutil.virtual_memory().available // MIB,
            }
            rig.stack.stop_helper(self.label)
            return seen

        return release

    def effect(self, case: Case, phase: PhaseRow) -> Effect:
        """By the memory that the process occupied."""
        seen = last_event(case, phase, self.label)
        if "resident" not in seen:
            return Effect(phase.name, self.label, took=False, seen="nothing was seen of it")
        held = float(seen["resident"])
        text = f"the process occupied {held:.0f} MiB, {seen['available']} MiB were left"
        return Effect(phase.name, self.label, took=held >= MIN_RATIO * self.mib, seen=text)

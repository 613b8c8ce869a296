"""A component whose processes stand still, throughout or for a part of each moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Literal

from pydantic import Field

from testbed.faults.base import FAULTS, ComponentFault, HeldFault, Seen, percent
from testbed.faults.effects import Effect, last_event
from testbed.faults.rig.freezer import Freezer

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.faults.rig import Rig, Undo
    from testbed.phases import PhaseRow

MIN_RATIO: Final = 0.75
"""Ratio of the planned time for which the kernel must have said that it stood still."""

MAX_PROCESSOR: Final = 0.05
"""Ratio of that time for which it may have used a processor all the same: one that it did not
leave at once."""


@FAULTS.register
class FreezeFault(ComponentFault, HeldFault):
    """A component whose processes are frozen (SIGSTOP) until the phase ends (SIGCONT).

    With a duty below 1 they are frozen for that ratio of each quarter of a real second, which makes
    the component slow.
    """

    interrupts: ClassVar[bool] = True
    starves: ClassVar[bool] = True
    kind: Literal["freeze"] = "freeze"
    duty: float = Field(1.0, ge=0.05, le=1, description="Ratio of the time for which it is frozen.")

    @property
    def label(self) -> str:
        """Of the timeline."""
        return f"{self.component} frozen{'' if self.duty == 1 else f' {percent(self.duty)}'}"

    @property
    def description(self) -> str:
        """Of the documentation."""
        part = "" if self.duty == 1 else f" for {percent(self.duty)} of each moment"
        return f"{self.component} is frozen{part}"

    @property
    def stops(self) -> str:
        """The component."""
        return self.component

    def hold(self, rig: Rig) -> Undo:
        """Stop its processes by a signal that they can't handle."""
        freezer = Freezer(rig.stack.pid(self.component), self.duty)
        rig.stack.mark_gone(self.component, self.label)

        def thaw() -> Seen:
            seen = freezer.thaw()
            rig.stack.mark_back(self.component)
            return seen

        return thaw

    def effect(self, case: Case, phase: PhaseRow) -> Effect:
        """By what the kernel said of its processes meanwhile."""
        seen = last_event(case, phase, self.label)
        if "frozen" not in seen:
            return Effect(phase.name, self.label, took=False, seen="nothing was seen of it")
        frozen, of, used = (float(seen[key]) for key in ("frozen", "of", "processor"))
        took = frozen >= MIN_RATIO * self.duty * of and used <= MAX_PROCESSOR * frozen
        text = f"its processes stood still for {frozen:.1f} of {of:.1f} s"
        text += f", and used the processor for {used:.2f} s of these"
        return Effect(phase.name, self.label, took=took, seen=text)

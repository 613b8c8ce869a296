"""A component that is killed and comes back."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field
from testbed_rules.timescale import format_duration

from testbed.faults.base import FAULTS, ComponentFault, Measuring
from testbed.faults.effects import Effect
from testbed.fields import Duration

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.faults.rig import Rig
    from testbed.phases import PhaseRow


@FAULTS.register
class KillFault(ComponentFault):
    """A component that is killed (SIGKILL) when the phase begins, and started again later.

    All of its processes are: what it held in memory is lost.
    """

    interrupts: ClassVar[bool] = True
    cuts: ClassVar[tuple[Measuring, ...]] = ()
    kind: Literal["kill"] = "kill"
    down: Duration | None = Field(
        None, description="When it is started again, from the kill on; null: as the phase ends."
    )

    @property
    def label(self) -> str:
        """Of the timeline."""
        return f"{self.component} killed"

    @property
    def description(self) -> str:
        """Of the documentation."""
        gone = "" if self.down is None else f" and gone for {format_duration(self.down)}"
        return f"{self.component} is killed{gone}"

    @property
    def stops(self) -> str:
        """The component."""
        return self.component

    def begin(self, rig: Rig) -> None:
        """Kill it, and wait for its end."""
        rig.stack.kill_component(self.component)

    def end(self, rig: Rig) -> None:
        """Start it again, without waiting for it."""
        rig.stack.start_component(self.component)

    def lasts(self, phase: float) -> float:
        """As long as it is down, even beyond its phase."""
        return phase if self.down is None else self.down

    def effect(self, case: Case, phase: PhaseRow) -> Effect:
        """By the signal that ended it, as the supervisor saw it."""
        ends = (
            event
            for event in case.evidence.timeline
            if event.event == "component_stopped"
            and event.name == self.component
            and event.time >= phase.start
        )
        found = next(ends, None)
        if found is None:
            seen = f"{self.component} never ended"
            return Effect(phase.name, self.label, took=False, seen=seen)
        took = found.details.get("signal") == signal.SIGKILL
        seen = f"{found.details.get('outcome')}, at {found.time - phase.start:+.1f} s"
        return Effect(phase.name, self.label, took=took, seen=seen)

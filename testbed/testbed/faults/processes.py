"""Faults of processes: a component that is stopped and comes back."""

from __future__ import annotations

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
class RestartFault(ComponentFault):
    """A component of the stack that is stopped at the start of the phase and comes back later."""

    interrupts: ClassVar[bool] = True
    cuts: ClassVar[tuple[Measuring, ...]] = ()
    kind: Literal["restart"] = "restart"
    down: Duration = Field(description="From its stop until it is started again.")

    @property
    def label(self) -> str:
        """Of the timeline."""
        return f"{self.component} stopped"

    @property
    def description(self) -> str:
        """Of the documentation."""
        return f"{self.component} is down for {format_duration(self.down)}"

    def begin(self, rig: Rig) -> None:
        """Stop the component, and wait for its end."""
        rig.stack.stop_component(self.component)

    def end(self, rig: Rig) -> None:
        """Start it again, without waiting for it."""
        rig.stack.start_component(self.component)

    def lasts(self, phase: float) -> float:
        """As long as it is down, even beyond its phase."""
        del phase
        return self.down

    @property
    def stops(self) -> str:
        """The component."""
        return self.component

    def effect(self, case: Case, phase: PhaseRow) -> Effect:
        """By what the supervisor wrote down."""
        events = [
            e for e in case.evidence.timeline if e.name == self.component and e.time >= phase.start
        ]
        stopped = next((e.time for e in events if e.event == "component_stopped"), None)
        if stopped is None:
            return Effect(
                phase.name, self.label, took=False, seen=f"{self.component} was never stopped"
            )
        back = next(
            (e.time for e in events if e.event == "component_started" and e.time > stopped), None
        )
        down = f"{self.component} was stopped at {stopped - phase.start:+.1f} s"
        if back is None:
            return Effect(phase.name, self.label, took=True, seen=f"{down} and not started again")
        seen = f"{down} and started again at {back - phase.start:+.1f} s"
        return Effect(phase.name, self.label, took=True, seen=seen)

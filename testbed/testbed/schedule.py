"""What the runner must do when: the pure plan of phases and faults of a scenario."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from testbed.faults import FaultModel
    from testbed.scenario import Scenario

ActionKind = Literal["phase_started", "phase_ended", "fault_on", "fault_off"]


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do.

    Attributes:
        at: real seconds after the start of the load.
        kind: what to do.
        name: the phase, or what the timeline calls the fault.
        fault: the fault to begin or to end, or None.
    """

    at: float
    kind: ActionKind
    name: str
    fault: FaultModel | None = None


def schedule(scenario: Scenario, factor: float) -> list[Action]:
    """Actions of a scenario played at a time scale, ordered by time."""
    actions: list[Action] = []
    start = 0.0
    for phase in scenario.phases:
        end = start + phase.duration / factor
        actions.append(Action(start, "phase_started", phase.name))
        for fault in phase.faults:
            over = start + fault.lasts(phase.duration) / factor
            actions.append(Action(start, "fault_on", fault.label, fault))
            actions.append(Action(over, "fault_off", fault.label, fault))
        actions.append(Action(end, "phase_ended", phase.name))
        start = end
    # Stable: within one moment the order above holds, so a phase ends before the next one starts.
    return sorted(actions, key=lambda action: action.at)

"""What the runner must do when: the pure plan of phases and faults of a scenario."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from testbed.scenario import ErrorFault, LatencyFault, Phase, RestartFault, Scenario

ActionKind = Literal["phase_started", "phase_ended", "faults_set", "part_stop", "part_start"]


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do.

    Attributes:
        at: real seconds after the start of the load.
        kind: what to do.
        name: the phase, or the part to stop or start.
        errors: share of predictions to fail, for ``faults_set``.
        latency: seconds to add to every inference, for ``faults_set``.
    """

    at: float
    kind: ActionKind
    name: str
    errors: float = 0.0
    latency: float = 0.0

    @property
    def describe_fault(self) -> str:
        """The faults that ``faults_set`` turns on, or an empty text when it turns all off."""
        parts = []
        if self.errors:
            parts.append(f"errors {self.errors:.0%}")
        if self.latency:
            parts.append(f"latency +{self.latency:g} s")
        return ", ".join(parts)


def schedule(scenario: Scenario, factor: float) -> list[Action]:
    """Actions of a scenario played at a time scale, ordered by time."""
    actions: list[Action] = []
    start = 0.0
    for phase in scenario.phases:
        end = start + phase.duration / factor
        actions.append(Action(start, "phase_started", phase.name))
        actions.extend(_faults(phase, start, end, factor))
        actions.append(Action(end, "phase_ended", phase.name))
        start = end
    # Stable: within one moment the order above holds, so a phase ends before the next one starts.
    return sorted(actions, key=lambda action: action.at)


def _faults(phase: Phase, start: float, end: float, factor: float) -> list[Action]:
    actions: list[Action] = []
    errors = max((f.share for f in phase.faults if isinstance(f, ErrorFault)), default=0.0)
    latency = sum(f.seconds for f in phase.faults if isinstance(f, LatencyFault))
    if errors or latency:
        actions.append(Action(start, "faults_set", phase.name, errors, latency))
        actions.append(Action(end, "faults_set", phase.name))
    for fault in phase.faults:
        if isinstance(fault, RestartFault):
            actions.append(Action(start, "part_stop", fault.part))
            actions.append(Action(start + fault.down / factor, "part_start", fault.part))
    return actions

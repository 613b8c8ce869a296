"""What the runner must do when, and what the load gets: the pure plans of a scenario."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from testbed_load.plan import LabelPlan, LoadPlan

if TYPE_CHECKING:
    from testbed.faults import FaultModel
    from testbed.preparation import Prepared
    from testbed.scenario import Scenario

ActionKind = Literal["phase_started", "phase_ended", "fault_on", "fault_off"]


@dataclass(frozen=True, slots=True)
class ScheduledAction:
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


def schedule(scenario: Scenario, factor: float) -> list[ScheduledAction]:
    """Actions of a scenario played at a time scale, ordered by time."""
    actions: list[ScheduledAction] = []
    start = 0.0
    for phase in scenario.phases:
        end = start + phase.duration / factor
        actions.append(ScheduledAction(start, "phase_started", phase.name))
        for fault in phase.faults:
            over = start + fault.lasts(phase.duration) / factor
            actions.append(ScheduledAction(start, "fault_on", fault.label, fault))
            actions.append(ScheduledAction(over, "fault_off", fault.label, fault))
        actions.append(ScheduledAction(end, "phase_ended", phase.name))
        start = end
    # Stable: within one moment the order above holds, so a phase ends before the next one starts.
    return sorted(actions, key=lambda action: action.at)


def load_plan(prepared: Prepared) -> LoadPlan:
    """What Locust gets: the scenario's phases in real seconds."""
    scenario, factor = prepared.scenario, prepared.factor
    return LoadPlan(
        run_id=prepared.run_id,
        seed=prepared.options.seed,
        use_case=prepared.use_case,
        artefact=prepared.layout.model,
        phases=tuple(phase.played(factor) for phase in scenario.phases),
        labels=LabelPlan(scenario.labels.ratio, scenario.labels.delay / factor),
        timeout=prepared.context.settings.request_timeout,
        service=prepared.context.target.exchange(),
        trace_ratio=prepared.context.trace_ratio,
    )

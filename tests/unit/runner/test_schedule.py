"""The pure plan of phases and faults."""

from __future__ import annotations

from testbed.faults.api import ErrorFault, LatencyFault
from testbed.faults.processes import RestartFault
from testbed.scenario import Phase, Scenario
from testbed.schedule import ScheduledAction, schedule


def scenario(*phases: Phase) -> Scenario:
    """A scenario of these phases."""
    return Scenario(name="s", title="S", description="", phases=phases)


def test_phases_follow_each_other_at_the_time_scale() -> None:
    """Production durations are divided by the factor, and a phase ends before the next starts."""
    actions = schedule(
        scenario(Phase(name="a", duration=600, rate=1), Phase(name="b", duration=300, rate=1)), 30
    )
    assert [(a.at, a.kind, a.name) for a in actions] == [
        (0, "phase_started", "a"),
        (20, "phase_ended", "a"),
        (20, "phase_started", "b"),
        (30, "phase_ended", "b"),
    ]


def test_faults_hold_for_their_phase() -> None:
    """Each begins with the phase and ends with it, before the next one's begin."""
    errors, latency = ErrorFault(ratio=0.2), LatencyFault(seconds=0.5, ratio=0.1)
    more = ErrorFault(ratio=0.4)
    actions = schedule(
        scenario(
            Phase(name="a", duration=60, rate=1, faults=(errors, latency)),
            Phase(name="b", duration=60, rate=1, faults=(more,)),
        ),
        10,
    )
    assert [a for a in actions if a.fault] == [
        ScheduledAction(0, "fault_on", "errors 20%", errors),
        ScheduledAction(0, "fault_on", "latency +0.5 s for 10%", latency),
        ScheduledAction(6, "fault_off", "errors 20%", errors),
        ScheduledAction(6, "fault_off", "latency +0.5 s for 10%", latency),
        ScheduledAction(6, "fault_on", "errors 40%", more),
        ScheduledAction(12, "fault_off", "errors 40%", more),
    ]


def test_a_restart_may_outlast_its_phase() -> None:
    """A stopped component comes back after its own time, even in a later phase."""
    fault = RestartFault(component="collector", down=120)
    actions = schedule(
        scenario(
            Phase(name="a", duration=60, rate=1, faults=(fault,)),
            Phase(name="b", duration=120, rate=1),
        ),
        10,
    )
    components = [(a.at, a.kind) for a in actions if a.name == "collector stopped"]
    assert components == [(0, "fault_on"), (12, "fault_off")]
    assert [a.at for a in actions] == sorted(a.at for a in actions)

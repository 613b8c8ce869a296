"""The pure plan of phases and faults."""

from __future__ import annotations

from testbed.scenario import ErrorFault, LatencyFault, Phase, RestartFault, Scenario
from testbed.schedule import Action, schedule


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
    """Faults are set once together at the phase's start and taken back at its end."""
    faults = (ErrorFault(share=0.2), LatencyFault(seconds=0.5))
    actions = schedule(scenario(Phase(name="a", duration=60, rate=1, faults=faults)), 10)
    settings = [a for a in actions if a.kind == "faults_set"]
    assert settings == [
        Action(0, "faults_set", "a", errors=0.2, latency=0.5),
        Action(6, "faults_set", "a"),
    ]
    assert settings[0].describe_fault == "errors 20%, latency +0.5 s"
    assert settings[1].describe_fault == ""


def test_a_restart_may_outlast_its_phase() -> None:
    """A stopped part comes back after its own time, even in a later phase."""
    fault = RestartFault(part="collector", down=120)
    actions = schedule(
        scenario(
            Phase(name="a", duration=60, rate=1, faults=(fault,)),
            Phase(name="b", duration=120, rate=1),
        ),
        10,
    )
    parts = [(a.at, a.kind) for a in actions if a.name == "collector"]
    assert parts == [(0, "part_stop"), (12, "part_start")]
    assert [a.at for a in actions] == sorted(a.at for a in actions)

"""What a run plays: where it is, and what comes next. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from testbed.scenario import Phase, Scenario

Place = Literal["over", "now", "next"]

STAGES: Final = {
    "run_started": "starting the stack",
    "reference_asked": "asking what it predicts for the reference rows",
    "load_started": "load",
    "load_ended": "settling: last exports, and alerts that must resolve",
    "settled": "collecting the evidence",
    "collected": "evaluating",
    "evaluated": "writing the report",
    "reported": "over",
    "run_ended": "over",
}
"""Event to what goes on from then on."""


@dataclass(frozen=True, slots=True)
class ProgrammePhase:
    """One phase as it is played.

    Attributes:
        name: of it.
        start: real seconds after the load began.
        end: likewise.
        load: what is sent, in words.
        faults: what happens to the stack meanwhile, in words.
        place: over, now or next.
    """

    name: str
    start: float
    end: float
    load: str
    faults: tuple[str, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Programme:
    """What is played.

    Attributes:
        run: id of the run.
        scenario: its name.
        title: its title.
        stage: what goes on, in words.
        elapsed: real seconds since the load began; None before that and after its end.
        total: real seconds of load.
        phases: in order.
        expected: alerts that must fire.
        factor: time scale.
    """

    run: str
    scenario: str
    title: str
    stage: str
    elapsed: float | None
    total: float
    phases: tuple[ProgrammePhase, ...]
    expected: tuple[str, ...]
    factor: float

    @property
    def now(self) -> ProgrammePhase | None:
        """The phase that is played."""
        return next((each for each in self.phases if each.place == "now"), None)

    @property
    def next(self) -> ProgrammePhase | None:
        """The phase that follows."""
        return next((each for each in self.phases if each.place == "next"), None)


def programme(
    run: str,
    scenario: Scenario,
    factor: float,
    events: Sequence[Mapping[str, Any]],
    now: float,
) -> Programme:
    """Where a run is.

    Args:
        run: its id.
        scenario: what is played.
        factor: time scale.
        events: lines of its timeline, in order.
        now: Unix time.
    """
    began = _time(events, "load_started")
    over = _time(events, "load_ended") is not None
    elapsed = None if began is None or over else max(0.0, now - began)
    phases, start = [], 0.0
    for phase in scenario.phases:
        end = start + phase.duration / factor
        phases.append(
            ProgrammePhase(
                phase.name,
                start,
                end,
                _load(phase),
                tuple(fault.description for fault in phase.faults),
                _place(start, end, elapsed, over=over),
            )
        )
        start = end
    return Programme(
        run,
        scenario.name,
        scenario.title,
        stage_of(events),
        elapsed,
        start,
        tuple(phases),
        tuple(dict.fromkeys(each.alert for each in scenario.expected_alerts)),
        factor,
    )


def stage_of(events: Iterable[Mapping[str, Any]]) -> str:
    """What goes on, by the last event that says so."""
    stage = "preparing"
    for event in events:
        stage = STAGES.get(event["event"], stage)
    return stage


def _time(events: Iterable[Mapping[str, Any]], kind: str) -> float | None:
    return next((float(each["time"]) for each in events if each["event"] == kind), None)


def _place(start: float, end: float, elapsed: float | None, *, over: bool) -> Place:
    if over or (elapsed is not None and elapsed >= end):
        return "over"
    return "now" if elapsed is not None and start <= elapsed else "next"


def _load(phase: Phase) -> str:
    """What a phase sends, in words."""
    drift = phase.drift
    drifted = "" if drift is None else f"; {drift.name.replace('_', ' ')}, {drift.words}"
    return f"{phase.load}{drifted}"

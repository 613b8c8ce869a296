"""Which requests a fault of the scenario must have hit, by the timeline."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from testbed.scenario import ErrorFault, LatencyFault
from testbed.truth import read_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from testbed.facts.answers import Answer
    from testbed.facts.sources import Sources
    from testbed.facts.timing import Window
    from testbed.phases import PhaseRow
    from testbed.scenario import Fault

EDGE: Final = 2
"""Errors that a window may lack: the API picks them evenly, from a random start."""


def latencies(sources: Sources) -> tuple[Window, ...]:
    """When latency was injected for sure: from the event of its start to the end of its phase."""
    found = []
    for start, end, faults in _windows(sources):
        seconds = sum(
            # One that hits only a share of the requests says nothing certain of any.
            fault.seconds
            for fault in faults
            if isinstance(fault, LatencyFault) and getattr(fault, "share", 1.0) == 1
        )
        if seconds:
            found.append((start, end, seconds))
    return tuple(found)


def errors(sources: Sources, answers: Sequence[Answer]) -> int:
    """The least number of errors that faults made; 0 where replicas came and went."""
    if any(page is None for page in sources.pages.values()):
        return 0
    least = 0
    for start, end, faults in _windows(sources):
        share = max((fault.share for fault in faults if isinstance(fault, ErrorFault)), default=0.0)
        hit = sum(
            answer.request.status in {200, 500}
            and answer.request.sent_at >= start
            and answer.request.finished_at <= end
            for answer in answers
        )
        least += max(0, math.floor(share * hit) - EDGE * len(sources.pages))
    return least


def _windows(sources: Sources) -> Iterable[tuple[float, float, Sequence[Fault]]]:
    faults = {phase.name: phase.faults for phase in sources.scenario.phases}
    on = [
        float(event.get("time", 0.0))
        for event in read_lines(sources.layout.timeline, [], required=False)
        if event.get("event") == "fault_on"
    ]
    for phase in sources.phases:
        start = _first(on, phase)
        if start is not None and faults.get(phase.name):
            yield start, phase.end, faults[phase.name]


def _first(times: Sequence[float], phase: PhaseRow) -> float | None:
    return next((time for time in times if phase.start <= time < phase.end), None)

"""Which requests a fault of the scenario must have hit, by the timeline."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from testbed.truth import read_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from testbed.facts.answers import Answer
    from testbed.facts.sources import Sources
    from testbed.facts.timing import Window
    from testbed.faults import Fault

EDGE: Final = 2
"""Errors that a window may lack: the API picks them evenly, from a random start."""


def latencies(sources: Sources, *, every: bool) -> tuple[Window, ...]:
    """When latency was injected: from the event of its start to the end of its phase.

    Args:
        sources: of the run.
        every: only those that hit every request; others say nothing certain of any.
    """
    return tuple(
        (start, end, fault.latency[0])
        for start, end, fault in _windows(sources)
        if fault.latency[0] and (fault.latency[1] == 1 or not every)
    )


def errors(sources: Sources, answers: Sequence[Answer]) -> int:
    """The least number of errors that faults made; 0 where replicas came and went."""
    if any(page is None for page in sources.pages.values()):
        return 0
    minimum = 0
    for start, end, fault in _windows(sources):
        if not fault.error_ratio:
            continue
        hit = sum(
            answer.request.status in {200, 500}
            and answer.request.sent_at >= start
            and answer.request.finished_at <= end
            for answer in answers
        )
        minimum += max(0, math.floor(fault.error_ratio * hit) - EDGE * len(sources.pages))
    return minimum


def _windows(sources: Sources) -> Iterable[tuple[float, float, Fault]]:
    """Each fault that began, with the time from then to the end of its phase."""
    faults = {phase.name: phase.faults for phase in sources.scenario.phases}
    begun = [
        (str(event.get("name")), float(event.get("time", 0.0)))
        for event in read_lines(sources.layout.timeline, [], required=False)
        if event.get("event") == "fault_on"
    ]
    for phase in sources.phases:
        for fault in faults.get(phase.name, ()):
            own = (t for name, t in begun if name == fault.label and phase.start <= t < phase.end)
            start = next(own, None)
            if start is not None:
                yield start, phase.end, fault

"""Planned against sent, request by request: numbers, times, phases."""

from __future__ import annotations

import math
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from testbed.charts import StoredModel
from testbed.facts.findings import Findings, StoredFinding
from testbed.facts.loadplan import due_times

if TYPE_CHECKING:
    from testbed.facts.sources import Sources
    from testbed.truth import Request

NUMBER, SCHEDULE, EARLY, PHASE = "number", "schedule", "early", "phase"

SCHEDULE_ERROR: Final = 1e-3
"""Seconds: a planned time is computed, so that only rounding may change it."""

EARLY_ERROR: Final = 0.05
"""Seconds by which a timer may wake a sender too early."""


class SentPhase(StoredModel):
    """How many requests a phase planned and sent; closed users plan none."""

    name: str
    planned: int | None
    sent: int


class Sending(StoredModel):
    """All phases.

    Attributes:
        phases: in order.
        missed: planned requests that the load itself says it left unsent.
        findings: requests that are not as the plan says.
    """

    phases: tuple[SentPhase, ...] = ()
    missed: int = 0
    findings: tuple[StoredFinding, ...] = ()


def read_sending(sources: Sources, run_id: str, seed: int) -> Sending:
    """Hold every request against the scenario."""
    phases, truth = sources.scenario.phases, sources.truth
    seconds = [sources.real(phase.duration) for phase in phases]
    times = due_times(sources.scenario, sources.factor, seed)
    planned = [None if each is None else each.count for each in times]
    # Users number as many as they send, without a gap.
    slots = [
        _count(truth.requests, phase.name) if count is None else count
        for phase, count in zip(phases, planned, strict=True)
    ]
    drifting = [phase.played(sources.factor).drifting(seed) for phase in phases]
    places = {phase.name: place for place, phase in enumerate(phases)}
    firsts = list(accumulate(slots, initial=0))
    starts = list(accumulate(seconds, initial=truth.started_at or 0.0))
    findings = Findings()
    seen: list[set[int]] = [set() for _ in phases]
    for request in truth.requests:
        place = places.get(request.phase)
        which = request.request_id
        if place is None:
            findings.add(PHASE, f"{which}: the scenario has no phase {request.phase}")
            continue
        index = request.seq - firsts[place]
        inside = 0 <= index < slots[place]
        drift = phases[place].drift if inside and drifting[place](index) else None
        wanted = (drift.name, drift.severity) if drift else (None, 0.0)
        if not inside or index in seen[place] or which != _id(run_id, request):
            findings.add(NUMBER, f"{which}: number {request.seq} in phase {request.phase}")
        elif (request.drift, request.severity) != wanted:
            said = f"{request.drift} at {request.severity:g}"
            findings.add(PHASE, f"{which}: sent as {said}, planned {wanted[0]} at {wanted[1]:g}")
        seen[place].add(index)
        own = times[place]
        due = starts[place] + own.at(index) if own is not None and inside else math.nan
        if abs(request.scheduled_at - due) > SCHEDULE_ERROR:
            off = request.scheduled_at - due
            findings.add(SCHEDULE, f"{which}: planned {off:+.3f} s off its due time", offset=off)
        if request.sent_at < request.scheduled_at - EARLY_ERROR:
            by = request.scheduled_at - request.sent_at
            findings.add(EARLY, f"{which}: sent {by:.3f} s too early", offset=by)
    for place, indices in enumerate(seen):
        gaps = set(range(max(indices, default=-1) + 1)) - indices
        for index in sorted(gaps):
            number = firsts[place] + index
            findings.add(NUMBER, f"number {number} in phase {phases[place].name} was never sent")
    return Sending(
        phases=tuple(
            SentPhase(name=phase.name, planned=count, sent=_count(truth.requests, phase.name))
            for phase, count in zip(phases, planned, strict=True)
        ),
        missed=truth.missed,
        findings=findings.all(len(truth.requests)),
    )


def _id(run_id: str, request: Request) -> str:
    return f"{run_id}-{request.seq}"


def _count(requests: tuple[Request, ...], name: str) -> int:
    return sum(request.phase == name for request in requests)

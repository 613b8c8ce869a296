"""Whether the scenario's faults took hold, by what the load itself saw and the runner did."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

from testbed.checks.results import CheckResult, not_applicable
from testbed.checks.stages import Stage
from testbed.scenario import ErrorFault, LatencyFault, RestartFault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed.checks.case import Case
    from testbed.phases import PhaseRow
    from testbed.scenario import Phase
    from testbed.truth import Request

LEAST_SHARE: Final = 0.75
"""Part of the planned errors that must be seen: the API spreads them evenly, it does not draw."""

SPARE_ERRORS: Final = 3
"""Errors that may be missing for each replica: what it owes when the fault ends."""

LEAST_LATENCY: Final = 0.5
"""Part of the planned latency by which the median must rise: it is added to each inference."""

FEWEST: Final = 10
"""Requests from which on a fault is judged."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What came of one fault.

    Attributes:
        phase: in which it was planned.
        fault: what was planned, in words.
        took: whether it took hold; None where that can't be said.
        seen: what was seen, in words.
    """

    phase: str
    fault: str
    took: bool | None
    seen: str

    @property
    def sentence(self) -> str:
        """All of it."""
        if self.took is None:
            return f"whether the fault {self.fault} took hold can't be said: {self.seen}"
        took = "took hold" if self.took else "did not take hold"
        return f"the fault {self.fault} of phase {self.phase} {took}: {self.seen}"


def effects(case: Case) -> tuple[Effect, ...]:
    """One per fault of the scenario, by phase."""
    found = []
    for planned in case.scenario.phases:
        phase = case.phase(planned.name)
        if phase is None:
            continue
        for fault in planned.faults:
            match fault:
                case ErrorFault():
                    found.append(_errors(case, phase, fault))
                case LatencyFault():
                    found.append(_latency(case, phase, fault))
                case RestartFault():
                    found.append(_restart(case, phase, fault))
    return tuple(found)


def check_faults(case: Case) -> tuple[CheckResult, ...]:
    """One result per fault: an alert can't be tested with one that did not take hold."""
    return tuple(_result(effect) for effect in effects(case))


def drifted(case: Case, planned: Phase) -> str | None:
    """How many rows of a phase the load says it drifted, in words; None without a drift."""
    if planned.drift is None:
        return None
    rows = [r for r in case.evidence.truth.requests if r.phase == planned.name]
    moved = sum(r.drift == planned.drift.name for r in rows)
    return (
        f"the load drifted {moved} of {len(rows)} rows of {planned.name} "
        f"({planned.drift.name}, severity {planned.drift.severity:g})"
    )


def _result(effect: Effect) -> CheckResult:
    name = f"fault {effect.fault} in {effect.phase}"
    if effect.took is None:
        return not_applicable(name, Stage.SERVICE, effect.sentence)
    return CheckResult(name=name, passed=effect.took, stage=Stage.SERVICE, summary=effect.sentence)


def _errors(case: Case, phase: PhaseRow, fault: ErrorFault) -> Effect:
    title = f"errors {100 * fault.share:g} %"
    rows = _during(case, phase)
    if len(rows) < FEWEST:
        return Effect(phase.name, title, None, f"the load sent {len(rows)} requests meanwhile")
    failed = sum(row.failed for row in rows)
    spare = SPARE_ERRORS * max(1, case.evidence.run.replicas)
    took = failed + spare >= LEAST_SHARE * fault.share * len(rows) and (
        failed > 0 or fault.share * len(rows) < spare
    )
    seen = f"the load saw {100 * failed / len(rows):.1f} % of {len(rows)} requests fail"
    return Effect(phase.name, title, took, seen)


def _latency(case: Case, phase: PhaseRow, fault: LatencyFault) -> Effect:
    title = f"latency {fault.seconds:g} s"
    slow = {p.name for p in case.scenario.phases if any(f.kind == "latency" for f in p.faults)}
    during = [row.finished_at - row.sent_at for row in _during(case, phase)]
    usual = [
        row.finished_at - row.sent_at
        for row in case.evidence.truth.requests
        if row.phase not in slow and row.sent_at < phase.start
    ]
    if len(during) < FEWEST:
        return Effect(phase.name, title, None, f"{len(during)} requests began and ended meanwhile")
    now, before = median(during), median(usual) if usual else 0.0
    seen = f"the load's median latency was {now:.3f} s"
    seen += f", {before:.3f} s before" if usual else ""
    return Effect(phase.name, title, now - before >= LEAST_LATENCY * fault.seconds, seen)


def _restart(case: Case, phase: PhaseRow, fault: RestartFault) -> Effect:
    title = f"restart of {fault.part}"
    events = [e for e in case.evidence.timeline if e.name == fault.part and e.time >= phase.start]
    stopped = next((e.time for e in events if e.event == "part_stopped"), None)
    if stopped is None:
        return Effect(phase.name, title, took=False, seen=f"{fault.part} was never stopped")
    ready = next((e.time for e in events if e.event == "part_ready" and e.time > stopped), None)
    down = f"{fault.part} was down from {stopped - phase.start:+.1f} s"
    if ready is None:
        return Effect(phase.name, title, took=True, seen=f"{down} on and never came back")
    return Effect(phase.name, title, took=True, seen=f"{down} to {ready - phase.start:+.1f} s")


def _during(case: Case, phase: PhaseRow) -> Sequence[Request]:
    """The requests that began and ended while the faults of a phase were on."""
    events = [e for e in case.evidence.timeline if phase.start <= e.time]
    on = next((e.time for e in events if e.event == "fault_on"), phase.start)
    off = next((e.time for e in events if e.event == "fault_off" and e.time > on), phase.end)
    end = min(off, phase.end)
    return [
        row
        for row in case.evidence.truth.requests
        if row.phase == phase.name and row.sent_at >= on and row.finished_at <= end
    ]

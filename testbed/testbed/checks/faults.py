"""Whether the scenario's faults took hold, by what the load itself saw and the runner did."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

from testbed.checks.results import CheckResult, not_applicable
from testbed.checks.stages import Stage
from testbed.faults import ErrorFault, LatencyFault, LogFault, RestartFault, UnloadFault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed.checks.case import Case
    from testbed.phases import PhaseRow
    from testbed.truth import Request

MIN_SHARE: Final = 0.75
"""Part of the planned requests that must be hit: the API spreads them evenly, it does not draw."""

SPARE: Final = 3
"""Hits that may be missing for each replica: what it owes when the fault ends."""

MIN_LATENCY: Final = 0.5
"""Part of the planned latency by which a request that was hit must be slower than the median."""

UNAVAILABLE: Final = 503
SETTING: Final = 0.5
"""Seconds after a fault began that do not count: it is set in each replica, one after another."""

FEWEST: Final = 10
"""Requests from which on a fault is evaluated."""


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
    """One per fault of the scenario that its load can see, and per restart, by phase."""
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
                case UnloadFault():
                    found.append(_refused(case, phase, fault.label))
                case LogFault() if case.scenario.settings.api.log_failure != "spool":
                    found.append(_refused(case, phase, fault.label))
                case RestartFault():
                    found.append(_restart(case, phase, fault))
                case _:
                    pass  # What it does to telemetry, the load can't see.
    return tuple(found)


def check_faults(case: Case) -> tuple[CheckResult, ...]:
    """One result per fault: an alert can't be tested with one that did not take hold."""
    return tuple(_result(effect) for effect in effects(case))


def drifted(case: Case, phase: str) -> str | None:
    """What the load drifted in a phase, in words; None without a drift, or where it is unknown."""
    realised = case.evidence.snapshot.realised
    found = next((p for p in realised.phases if p.name == phase), None) if realised else None
    if found is None or found.drift is None:
        return None
    moved = ", ".join(column.name for column in found.columns if column.moved) or "no column"
    labels = " and the labels" if found.labels_moved else ""
    return (
        f"the load sent {found.rows} rows in {phase} with {found.drift} at severity "
        f"{found.severity:g}, which moved {moved}{labels}"
    )


def _result(effect: Effect) -> CheckResult:
    name = f"fault {effect.fault} in {effect.phase}"
    if effect.took is None:
        return not_applicable(name, Stage.SERVICE, effect.sentence)
    return CheckResult(name=name, passed=effect.took, stage=Stage.SERVICE, summary=effect.sentence)


def _errors(case: Case, phase: PhaseRow, fault: ErrorFault) -> Effect:
    rows = _during(case, phase, fault.label)
    hit = sum(row.failed for row in rows)
    return _shared(case, phase, fault.label, rows, hit, fault.share, "failed")


def _refused(case: Case, phase: PhaseRow, title: str) -> Effect:
    rows = _during(case, phase, title)
    hit = sum(row.status == UNAVAILABLE for row in rows)
    return _shared(case, phase, title, rows, hit, 1.0, f"were answered {UNAVAILABLE}")


def _latency(case: Case, phase: PhaseRow, fault: LatencyFault) -> Effect:
    usual = [
        row.finished_at - row.sent_at
        for row in case.evidence.truth.requests
        if row.sent_at < phase.start and not row.failed and row.phase not in _slow(case)
    ]
    before = median(usual) if usual else 0.0
    rows = _during(case, phase, fault.label)
    least = before + MIN_LATENCY * fault.seconds
    # What would be too late is refused, where the API has a deadline.
    hit = sum(row.failed or row.finished_at - row.sent_at >= least for row in rows)
    seen = f"took {least:.3f} s or more or failed"
    seen += f", the median was {before:.3f} s before" if usual else ""
    return _shared(case, phase, fault.label, rows, hit, fault.share, seen)


def _slow(case: Case) -> set[str]:
    return {p.name for p in case.scenario.phases if any(f.kind == "latency" for f in p.faults)}


def _shared(
    case: Case,
    phase: PhaseRow,
    title: str,
    rows: Sequence[Request],
    hit: int,
    share: float,
    what: str,
) -> Effect:
    """Of a fault that hits a share of the requests."""
    if len(rows) < FEWEST:
        seen = f"{len(rows)} requests began and ended meanwhile"
        return Effect(phase.name, title, None, seen)
    seen = f"{100 * hit / len(rows):.1f} % of the {len(rows)} requests of the load {what}"
    planned, spare = share * len(rows), SPARE * max(1, case.evidence.run.replicas)
    if planned < spare:
        return Effect(phase.name, title, None, f"{seen}, {planned:.1f} requests were to be hit")
    took = hit > 0 and hit + spare >= MIN_SHARE * planned
    return Effect(phase.name, title, took, seen)


def _restart(case: Case, phase: PhaseRow, fault: RestartFault) -> Effect:
    title = fault.label
    events = [e for e in case.evidence.timeline if e.name == fault.part and e.time >= phase.start]
    stopped = next((e.time for e in events if e.event == "part_stopped"), None)
    if stopped is None:
        return Effect(phase.name, title, took=False, seen=f"{fault.part} was never stopped")
    back = next((e.time for e in events if e.event == "part_started" and e.time > stopped), None)
    down = f"{fault.part} was stopped at {stopped - phase.start:+.1f} s"
    if back is None:
        return Effect(phase.name, title, took=True, seen=f"{down} and not started again")
    seen = f"{down} and started again at {back - phase.start:+.1f} s"
    return Effect(phase.name, title, took=True, seen=seen)


def _during(case: Case, phase: PhaseRow, fault: str) -> Sequence[Request]:
    """The requests of a phase that began and ended while a fault was on."""
    events = [e for e in case.evidence.timeline if e.name == fault and e.time >= phase.start - 1]
    on = next((e.time for e in events if e.event == "fault_on"), phase.start)
    off = next((e.time for e in events if e.event == "fault_off" and e.time > on), phase.end)
    return [
        row
        for row in case.evidence.truth.requests
        if row.phase == phase.name and row.sent_at >= on + SETTING and row.finished_at <= off
    ]

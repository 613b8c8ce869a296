"""Whether the scenario's faults took hold, by what the load itself saw and the runner did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.checks.registry import CHECKS
from testbed.checks.results import CheckResult, not_applicable
from testbed.checks.stages import Stage

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.faults.effects import Effect


def effects(case: Case) -> tuple[Effect, ...]:
    """One per fault of the scenario that its load can see, and per restart, by phase."""
    found = []
    for planned in case.scenario.phases:
        phase = case.phase(planned.name)
        if phase is not None:
            found += [fault.effect(case, phase) for fault in planned.faults]
    return tuple(effect for effect in found if effect is not None)


@CHECKS.register
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

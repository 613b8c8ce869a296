"""The drift job: the most severe decision of all its runs is the expected one, on its grounds."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from testbed.checks.registry import CHECKS
from testbed.checks.results import CheckResult, DriftRunRow, DriftSummary, not_applicable
from testbed.checks.service import predicts
from testbed.checks.stages import Stage
from testbed.componentnames import DATABASE
from testbed.decisions import SEVERITIES

if TYPE_CHECKING:
    from testbed.checks.case import Case


NONE: Final = "NO_ACTION"
RECOVERY: Final = 60.0
"""Production seconds in which a run of the job may still meet a database that was kept away."""


def drift_summary(case: Case) -> DriftSummary:
    """What the job decided, run by run and over all."""
    runs = case.evidence.drift_runs
    facts = case.evidence.snapshot.published
    made = {run.decision for run in runs if run.outcome == "success"}
    worst = next((name for name in reversed(SEVERITIES) if name in made), None)
    return DriftSummary(
        expected=case.scenario.expected_decision,
        decision=worst,
        level=facts.level if facts else None,
        windows=facts.planned if facts and facts.level is not None else None,
        runs=tuple(
            DriftRunRow(
                time=run.time,
                outcome=run.outcome,
                decision=run.decision,
                drift_share=run.drift_share,
                drifted=run.drifted,
                reasons=run.reasons,
                causes=run.causes,
                html=run.html,
                json_file=run.json,
            )
            for run in runs
        ),
    )


@CHECKS.register
def check_decision(case: Case) -> tuple[CheckResult, ...]:
    """The most severe decision is one of the expected ones."""
    summary = drift_summary(case)
    expected = " or ".join(summary.expected)
    service = case.evidence.run.service
    if service is not None and NONE in summary.expected and not predicts(case):
        reason = f"the load read no prediction of the service {service}: nothing can drift"
        return (not_applicable("drift decision", Stage.DRIFT_JOB, reason),)
    passed = summary.decision in summary.expected
    if summary.decision is None:
        text = f"{_why_undecided(case)}, so {expected} is not shown"
    elif passed:
        text = f"decided {summary.decision}, as expected"
    else:
        text = f"decided {summary.decision}, expected was {expected}"
    details = tuple(
        f"{run.decision}: {'; '.join(run.reasons)}"
        for run in summary.runs
        if run.decision is not None and run.decision == summary.decision and run.reasons
    )
    if summary.level is not None:
        level = f"without drift at most {summary.level:.1%} of all runs decide on an action"
        details = (f"{level}, over all their {summary.windows} windows", *details)
    return (
        CheckResult(
            name="drift decision",
            passed=passed,
            stage=Stage.DRIFT_JOB,
            summary=text,
            details=details,
        ),
    )


@CHECKS.register
def check_causes(case: Case) -> tuple[CheckResult, ...]:
    """Decisions stand on what they must, and on nothing that is neither expected nor allowed."""
    wanted, allowed = case.scenario.expected_causes, case.scenario.allowed_causes
    if not wanted and allowed is None:
        return ()
    reported = {cause for run in case.evidence.drift_runs for cause in run.causes}
    lacking = [cause for cause in wanted if cause not in reported]
    beyond = [] if allowed is None else sorted(reported - {*wanted, *allowed})
    faults = [
        f"{text}: {', '.join(causes)}"
        for text, causes in (("never stood on", lacking), ("must not stand on", beyond))
        if causes
    ]
    seen = f"decisions stand on {', '.join(sorted(reported)) or 'nothing'}"
    details = tuple(
        f"{', '.join(run.causes)}: {'; '.join(run.reasons)}"
        for run in case.evidence.drift_runs
        if set(beyond) & set(run.causes)
    )
    return (
        CheckResult(
            name="drift causes",
            passed=not faults,
            stage=Stage.DRIFT_JOB,
            summary="; ".join((seen, *faults)),
            details=details,
        ),
    )


@CHECKS.register
def check_runs(case: Case) -> tuple[CheckResult, ...]:
    """No run of the job ended with an error."""
    runs = case.evidence.drift_runs
    if not runs:
        return ()
    excused = _without_database(case)
    errors = [
        run
        for run in runs
        if run.outcome == "error" and not any(a <= run.time <= b for a, b in excused)
    ]
    outcomes = ", ".join(
        f"{n} {name}" for name, n in sorted(Counter(r.outcome for r in runs).items())
    )
    details = tuple("; ".join(run.reasons) or "without a reason" for run in errors)
    return (
        CheckResult(
            name="drift job",
            passed=not errors,
            stage=Stage.DRIFT_JOB,
            summary=f"runs: {outcomes}",
            details=details,
        ),
    )


def _without_database(case: Case) -> list[tuple[float, float]]:
    """When a fault kept the log's database away, so that a run of the job can only fail."""
    hit = {
        phase.name
        for phase in case.scenario.phases
        if any(DATABASE in (fault.hits or ()) for fault in phase.faults)
    }
    return [(row.start, row.end + case.real(RECOVERY)) for row in case.phases if row.name in hit]


def _why_undecided(case: Case) -> str:
    runs = case.evidence.drift_runs
    if not runs and "drift" in case.evidence.run.without:
        return "the run was made without drift, the drift job"
    if not runs:
        return "the drift job never ran"
    if all(run.outcome == "insufficient_data" for run in runs):
        return f"the drift job never had enough rows in its {len(runs)} runs"
    return f"none of the {len(runs)} runs of the drift job came to a decision"

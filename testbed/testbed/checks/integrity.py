"""Integrity: every part lived, and the evidence is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.checks.results import CheckResult

if TYPE_CHECKING:
    from testbed.checks.case import Case


def check_parts(case: Case) -> tuple[CheckResult, ...]:
    """No part crashed; one that a fault stops is none that crashes."""
    crashed = [event for event in case.evidence.timeline if event.event == "part_crashed"]
    names = ", ".join(sorted({event.name for event in crashed}))
    details = tuple(
        f"{event.name}: {event.details.get('outcome', 'ended by itself')}" for event in crashed
    )
    summary = f"crashed: {names}" if crashed else "no part crashed"
    return (CheckResult(name="parts", passed=not crashed, summary=summary, details=details),)


def check_truth(case: Case) -> tuple[CheckResult, ...]:
    """The load wrote all of its truth, and every phase was played."""
    problems = list(case.evidence.truth.problems)
    if not case.evidence.truth.requests:
        problems.append("no request was recorded")
    problems += [
        f"the phase {phase.name} was never played"
        for phase in case.scenario.phases
        if case.phase(phase.name) is None
    ]
    sent = len(case.evidence.truth.requests)
    summary = "the truth has gaps" if problems else f"complete, {sent} requests"
    return (
        CheckResult(name="truth", passed=not problems, summary=summary, details=tuple(problems)),
    )


def check_evidence(case: Case) -> tuple[CheckResult, ...]:
    """Everything could be asked for at the end, and every record can be read."""
    problems = (*case.evidence.snapshot.problems, *case.evidence.problems)
    summary = "evidence is missing or broken" if problems else "complete"
    return (CheckResult(name="evidence", passed=not problems, summary=summary, details=problems),)

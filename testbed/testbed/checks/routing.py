"""Alerts that a run does not make fire would arrive where their severity says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed.checks.results import CheckResult
from testbed.checks.stages import Stage

if TYPE_CHECKING:
    from testbed.checks.case import Case

NAME: Final = "routes"
DETAILS: Final = 10


def check_routing(case: Case) -> tuple[CheckResult, ...]:
    """Each alert of the shipped rules has its receiver, held back by none but the alerts meant."""
    delivery = case.evidence.snapshot.delivery
    if delivery is None or delivery.misrouted is None:
        return ()
    lines = delivery.misrouted
    summary = lines[0] if lines else "each alert of the shipped rules has the way of its severity"
    return (
        CheckResult(
            name=NAME,
            passed=not lines,
            stage=Stage.ROUTE,
            summary=summary,
            details=lines[1:DETAILS],
        ),
    )

"""Alerts that a run does not make fire would arrive where their severity says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed.checks.findings import lines_result
from testbed.checks.registry import CHECKS
from testbed.checks.results import CheckResult
from testbed.checks.stages import Stage

if TYPE_CHECKING:
    from testbed.checks.case import Case

NAME: Final = "routes"


@CHECKS.register
def check_routing(case: Case) -> tuple[CheckResult, ...]:
    """Each alert of the shipped rules has its receiver, held back by none but the alerts meant."""
    delivery = case.evidence.snapshot.delivery
    if delivery is None or delivery.misrouted is None:
        return ()
    fine = "each alert of the shipped rules has the way of its severity"
    return (lines_result(NAME, Stage.ROUTE, fine, delivery.misrouted),)

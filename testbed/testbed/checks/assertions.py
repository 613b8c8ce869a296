"""What the scenario asserts holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.checks.registry import CHECKS
from testbed.checks.results import CheckResult, not_applicable

if TYPE_CHECKING:
    from testbed.assertions import Assertion
    from testbed.checks.case import Case


@CHECKS.register
def check_assertions(case: Case) -> tuple[CheckResult, ...]:
    """One result for each; none where the scenario asserts nothing."""
    return tuple(_result(each, case) for each in case.scenario.assertions)


def _result(assertion: Assertion, case: Case) -> CheckResult:
    service = case.evidence.run.service
    if assertion.of_bundled_api and service is not None:
        reason = f"it is about the bundled API, and the service {service} was tested"
        return not_applicable(assertion.label, assertion.stage, reason)
    found = assertion.evaluate(case)
    return CheckResult(
        name=assertion.label,
        passed=found.passed,
        stage=assertion.stage,
        summary=found.summary,
        details=found.details,
        severity=assertion.severity,
        weight=assertion.weight,
    )

"""The shipped rules pass their own tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed.checks.registry import CHECKS
from testbed.checks.results import CheckResult, not_applicable
from testbed.checks.stages import Stage

if TYPE_CHECKING:
    from testbed.checks.case import Case

NAME: Final = "rules tested"
DETAILS: Final = 10


@CHECKS.register
def check_ruletests(case: Case) -> tuple[CheckResult, ...]:
    """The shipped rules pass their own tests, whether the run makes them fire or not."""
    facts = case.evidence.snapshot.ruletests
    if facts is None:
        return ()
    if facts.skipped:
        reason = f"the tests of the rules were not run: {facts.skipped}"
        return (not_applicable(NAME, Stage.RULE, reason),)
    lines = [f"{failed.says} (test {failed.name!r})" for failed in facts.failed]
    summary = (
        f"the rules don't pass their own tests: {lines[0]}"
        if lines
        else f"the rules pass their {facts.tests} tests"
    )
    return (
        CheckResult(
            name=NAME,
            passed=not lines,
            stage=Stage.RULE,
            summary=summary,
            details=tuple(lines[1:DETAILS]),
        ),
    )

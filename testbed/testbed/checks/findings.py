"""From what was found wrong to one result of a check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from testbed.checks.results import CheckResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from testbed.checks.stages import Stage

SHOWN: Final = 10
"""Details of one result at most."""


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """One thing that is wrong.

    Attributes:
        text: one sentence.
        stage: the link to blame; None for that of the check.
    """

    text: str
    stage: Stage | None = None


def finding_result(
    name: str, stage: Stage, passed: str, findings: Sequence[CheckFinding]
) -> CheckResult:
    """A result that names the first finding along the way of the data, and lists the others.

    Args:
        name: of the check.
        stage: of the check, and of findings that name none.
        passed: summary without findings.
        findings: what is wrong.
    """
    if not findings:
        return CheckResult(name=name, passed=True, stage=stage, summary=passed)
    ordered = sorted(findings, key=lambda finding: (finding.stage or stage).place)
    rest = [finding.text for finding in ordered[1 : SHOWN + 1]]
    if len(ordered) > SHOWN + 1:
        rest.append(f"and {len(ordered) - SHOWN - 1} more")
    return CheckResult(
        name=name,
        passed=False,
        stage=ordered[0].stage or stage,
        summary=ordered[0].text,
        details=tuple(rest),
    )


def lines_result(name: str, stage: Stage, passed: str, lines: Iterable[str]) -> CheckResult:
    """The same of findings that all name the link of the check."""
    return finding_result(name, stage, passed, [CheckFinding(line) for line in lines])

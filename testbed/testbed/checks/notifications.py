"""Notifications as a contract: who got what, with which words, how often."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.checks.results import CheckResult


def check_notifications(case: Case) -> tuple[CheckResult, ...]:
    """Notifications as a contract: who got what, with which words, how often."""
    del case
    return ()

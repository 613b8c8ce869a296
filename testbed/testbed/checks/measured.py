"""Measured values: what the service counted and timed is what the load itself saw."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.checks.results import CheckResult


def check_measured(case: Case) -> tuple[CheckResult, ...]:
    """Measured values: what the service counted and timed is what the load itself saw."""
    del case
    return ()

"""Drift: what Prometheus holds equals what the job judged, run by run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.checks.results import CheckResult


def check_published(case: Case) -> tuple[CheckResult, ...]:
    """Drift: what Prometheus holds equals what the job judged, run by run."""
    del case
    return ()

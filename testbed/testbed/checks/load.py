"""The load itself: planned against sent, drift realised as planned, labels right."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.checks.results import CheckResult


def check_load(case: Case) -> tuple[CheckResult, ...]:
    """The load itself: planned against sent, drift realised as planned, labels right."""
    del case
    return ()

"""Content of the prediction log: each row says what was sent and answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.checks.results import CheckResult


def check_content(case: Case) -> tuple[CheckResult, ...]:
    """Content of the prediction log: each row says what was sent and answered."""
    del case
    return ()

"""A run that failed before it began, as a result like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed_drift.evaluation.results import RunResult
from testbed_drift.rows.windows import NotEnoughRowsError

if TYPE_CHECKING:
    from testbed_drift.evaluation.results import Outcome


def failed_run(model_version: str, began: float, ended: float, error: Exception) -> RunResult:
    """What a run came to that could not begin.

    Args:
        model_version: the model, or what the caller knows it by.
        began: Unix time at which the command began.
        ended: Unix time at which it gave up.
        error: why.
    """
    few = isinstance(error, NotEnoughRowsError)
    outcome: Outcome = "insufficient_data" if few else "error"
    needed = error.needed if isinstance(error, NotEnoughRowsError) else None
    seconds = max(0.0, ended - began)
    return RunResult(model_version, outcome, began, seconds, str(error), rows_needed=needed)

"""Requests with many rows among the counts: each row is one of the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed_otel import names

from testbed.charts import HTTP_COUNT, PREDICT_ROUTE
from testbed.checks.crashes import OK, ROUTE, STATUS, total
from testbed.checks.results import Reason
from testbed.facts.finalcounts import ROWS_ROUTES

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from testbed.facts.finalcounts import Count

SERVER_ERROR: Final = 500
CLIENT_ERROR: Final = 400
REJECTED: Final = {413: Reason.REJECTED_413, 422: Reason.REJECTED_422}
FAILED: Final = {
    "injected": Reason.INJECTED_ERROR,
    "model": Reason.MODEL_ERROR,
    "not_ready": Reason.NOT_READY,
    "log": Reason.LOG_FAILED,
    "other": Reason.SERVER_ERROR,
}


def status_of(count: Count) -> int:
    """HTTP status that a counter is about; 0 where it has none."""
    text = count.labels[STATUS]
    return int(text) if text.isdigit() else 0


def of_many(counted: Sequence[Count]) -> list[Count]:
    """The counts of requests with many rows."""
    return [c for c in counted if c.metric == HTTP_COUNT and c.labels[ROUTE] in ROWS_ROUTES]


def rows_of_many(counted: Sequence[Count], certain: Counter[Reason], broken: Counter[int]) -> int:
    """What requests with many rows add to the predictions that were asked for.

    That is their rows that were predicted, one for each such request that was refused as a whole,
    and one for each part of a stream that failed.

    Args:
        counted: all final counters.
        certain: gets those that were refused with 4xx; has the failures by kind.
        broken: gets those that were answered with 5xx.
    """
    asked = 0
    for count in of_many(counted):
        status = status_of(count)
        if status >= CLIENT_ERROR:
            asked += count.value
        if status >= SERVER_ERROR:
            broken[status] += count.value
        elif status >= CLIENT_ERROR:
            certain[REJECTED.get(status, Reason.REJECTED_OTHER)] += count.value
    # A stream's status is out before its rows fail.
    named = sum(certain[reason] for reason in FAILED.values())
    asked += max(0, named - broken.total())
    single = total(counted, HTTP_COUNT, {ROUTE: PREDICT_ROUTE, STATUS: OK})
    return asked + max(0, total(counted, names.PREDICTIONS.prometheus) - single)

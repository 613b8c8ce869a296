"""What a replica that crashed took along: counted or answered, and never exported.

Its prediction log outlives it: each row was durable before its answer and names its replica. So
the rows that its last export lacks are what it served after that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed_otel import names

from testbed.charts import HTTP_COUNT, PREDICT_ROUTE
from testbed.facts.finalcounts import ROWS_ROUTES, Count

if TYPE_CHECKING:
    from collections.abc import Iterable

    from testbed.checks.case import Case

ROUTE: Final = names.label(names.HTTP_ROUTE)
STATUS: Final = names.label(names.HTTP_STATUS)
OUTCOME: Final = names.label(names.OUTCOME)
OK: Final = "200"
# Production seconds before a crash of which the last export may know nothing: two intervals.
UNKNOWN: Final = 30.0


def total(counts: Iterable[Count], metric: str, labels: dict[str, str] | None = None) -> int:
    """Sum of the series of a metric that bear all of these labels."""
    wanted = (labels or {}).items()
    return sum(c.value for c in counts if c.metric == metric and wanted <= c.labels.items())


def crashes(case: Case) -> dict[str, float]:
    """Instance ids of replicas that crashed, and the Unix times at which that was seen."""
    return {e.name: e.time for e in case.evidence.timeline if e.event == "replica_crashed"}


def only_meant(case: Case) -> bool:
    """Whether no replica crashed but those that a fault killed."""
    return all(
        event.details.get("why") == "fault"
        for event in case.evidence.timeline
        if event.event == "replica_crashed"
    )


def taken_along(case: Case) -> tuple[Count, ...]:
    """The counts that the log shows and no export of a crashed replica holds.

    Its requests are known as long as it served single predictions only; a row of many rows' request
    may be any of them.
    """
    snapshot = case.evidence.snapshot
    log = snapshot.log
    gone = [name for name in crashes(case) if snapshot.api.get(name) is None]
    if log is None or not gone:
        return ()
    served = predictions = rows = 0
    for instance in gone:
        held, own_rows = snapshot.prometheus.get(instance, ()), log.by_instance.get(instance, 0)
        predictions += max(0, own_rows - total(held, names.PREDICTIONS.prometheus))
        rows += max(0, own_rows - total(held, names.LOG_ROWS.prometheus, {OUTCOME: "written"}))
        if not any(total(held, HTTP_COUNT, {ROUTE: route}) for route in ROWS_ROUTES):
            single = total(held, HTTP_COUNT, {ROUTE: PREDICT_ROUTE, STATUS: OK})
            served += max(0, own_rows - single)
    known = [
        count
        for instance, own in snapshot.api.items()
        for count in (snapshot.prometheus.get(instance, ()) if own is None else own)
    ]
    # Rows in its spool are written and counted by another replica.
    written = total(known, names.LOG_ROWS.prometheus, {OUTCOME: "written"})
    stored = total(known, names.LABELS.prometheus, {OUTCOME: "stored"})
    return (
        Count(metric=HTTP_COUNT, labels={ROUTE: PREDICT_ROUTE, STATUS: OK}, value=served),
        Count(metric=names.PREDICTIONS.prometheus, labels={}, value=predictions),
        Count(
            metric=names.LOG_ROWS.prometheus,
            labels={OUTCOME: "written"},
            value=max(0, min(rows, log.rows - written)),
        ),
        Count(
            metric=names.LABELS.prometheus,
            labels={OUTCOME: "stored"},
            value=max(0, log.labels - stored),
        ),
    )


def maybe_taken_along(case: Case) -> int:
    """Requests that may have gone with a crash and left no row of their own.

    Errors that were answered shortly before it; and single requests among those of many rows.
    """
    span = case.real(UNKNOWN)
    errors = sum(
        request.status not in {None, 200} and when - span <= request.finished_at <= when
        for when in crashes(case).values()
        for request in case.evidence.truth.all_requests
    )
    lost = taken_along(case)
    rows = total(lost, names.PREDICTIONS.prometheus) - total(lost, HTTP_COUNT)
    return errors + max(0, rows)

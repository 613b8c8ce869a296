"""Instances: what each API process counted is what Prometheus holds of it.

Both are copies of the same counters. That these are true is what ``testbed.checks.measured`` holds
against the load; here it is about the way from the process to Prometheus.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from testbed.charts import HTTP_COUNT, PREDICT_ROUTE
from testbed.checks.crashes import (
    OK,
    ROUTE,
    STATUS,
    maybe_taken_along,
    only_meant,
    taken_along,
    total,
)
from testbed.checks.results import InstanceRow
from testbed.facts.finalcounts import compared

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from testbed.checks.case import Case
    from testbed.facts.finalcounts import Count

TOO_LARGE: Final = "413"


def request_count(counts: Iterable[Count]) -> int:
    """Requests to the prediction route."""
    return total(counts, HTTP_COUNT, {ROUTE: PREDICT_ROUTE})


def instances(case: Case) -> tuple[InstanceRow, ...]:
    """Final counters of each API instance, its own against those in Prometheus."""
    snapshot = case.evidence.snapshot
    rows = []
    for instance in sorted({*snapshot.api, *snapshot.prometheus}):
        own, stored = snapshot.api.get(instance), snapshot.prometheus.get(instance, ())
        differences = () if own is None else _differences(own, stored)
        requests = None if own is None else request_count(own)
        held = request_count(stored)
        rows.append(
            InstanceRow(
                instance=instance,
                api=requests,
                prometheus=held,
                lost=0 if requests is None else max(0, requests - held),
                differences=differences,
            )
        )
    return tuple(rows)


def lost_requests(case: Case) -> int:
    """Predictions that were counted, or answered, and are missing in Prometheus.

    Without those that a replica took along which the scenario itself has killed: predictions that
    its rows show, and errors that it answered shortly before.
    """
    lost = sum(row.lost for row in instances(case))
    if all(row.api is not None for row in instances(case)):
        return lost
    # An instance ended without being asked: what the load saw answered must be somewhere, but for
    # what is too large, which may be refused before it has a route.
    requests = case.evidence.truth.all_requests
    answered = Counter(str(each.status) for each in requests if each.status is not None)
    held = [count for counts in case.evidence.snapshot.prometheus.values() for count in counts]
    served = total(held, HTTP_COUNT, {ROUTE: PREDICT_ROUTE, STATUS: OK})
    too_large = total(held, HTTP_COUNT, {ROUTE: PREDICT_ROUTE, STATUS: TOO_LARGE})
    predictions = answered[OK] - served
    errors = answered.total() - answered[OK] - answered[TOO_LARGE]
    errors -= request_count(held) - served - too_large
    if only_meant(case):
        predictions -= request_count(taken_along(case))
        errors -= maybe_taken_along(case)
    return max(lost, max(0, predictions) + max(0, errors))


def _differences(own: Sequence[Count], stored: Sequence[Count]) -> tuple[str, ...]:
    mine = {count.key: count.value for count in compared(own)}
    held = {count.key: count.value for count in compared(stored)}
    return tuple(
        f"{metric}{{{', '.join(labels)}}}: API {mine.get(key, 0)}, Prometheus {held.get(key, 0)}"
        for key in sorted({*mine, *held})
        if mine.get(key, 0) != held.get(key, 0)
        for metric, *labels in (key,)
    )


def why_lost(case: Case) -> str:
    """Where telemetry that Prometheus lacks went, as far as that is known; may be empty."""
    if "collector" in case.evidence.run.without:
        return ": the run was made without collector, so no telemetry could arrive"
    if not case.evidence.snapshot.prometheus:
        return ": no telemetry of the API ever reached it"
    return ": telemetry was lost on the way"

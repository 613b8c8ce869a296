"""Limits: what the service must keep, and whether the load was what the plan says."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from testbed.checks.instances import lost_requests
from testbed.checks.results import CheckResult, LimitRow
from testbed.checks.stages import Stage
from testbed.facts.loadplan import planned_requests

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed.checks.case import Case

MIN_LOAD_SHARE: Final = 0.99
"""Share of the planned requests that must be sent, or the run did not test what it says."""

MIN_EXCUSED_SHARE: Final = 0.9
"""The same where the load says how many it left unsent: service or machine were too slow for them,
and a run that lost more than this did not test what it says all the same."""

LAG_LIMIT: Final = 1.0
"""Seconds: 95 % of the requests must be sent within so much of their planned time."""


# Name of a limit to its title, its unit, and the link that it is about.
LIMITS: Final = {
    "error_share": ("Share answered 5xx or not at all", "share", Stage.SERVICE),
    "p95_seconds": ("95th percentile of latency seen by the load", "s", Stage.SERVICE),
    "lost_requests": ("Predictions missing in Prometheus", "requests", Stage.PROMETHEUS),
    "load_share": ("Share of the planned requests that were sent", "share", Stage.LOAD),
    "load_lag": ("95th percentile of how late requests were sent", "s", Stage.LOAD),
}


def limit_rows(case: Case) -> tuple[LimitRow, ...]:
    """The table of limits."""
    limits, requests = case.scenario.limits, case.evidence.truth.requests
    planned = sum(
        planned_requests(case.real(phase.duration), phase.rate) for phase in case.scenario.phases
    )
    errors = sum(request.failed for request in requests) / len(requests) if requests else None
    latency = percentile([r.finished_at - r.sent_at for r in requests], 0.95)
    lag = percentile([max(0.0, r.sent_at - r.scheduled_at) for r in requests], 0.95)
    share = len(requests) / planned if planned else None
    excused = case.evidence.truth.missed / planned if planned else 0.0
    least = max(MIN_EXCUSED_SHARE, MIN_LOAD_SHARE - excused)
    return (
        _row("error_share", errors, limits.error_share),
        _row("p95_seconds", latency, limits.p95_seconds),
        _row("lost_requests", lost_requests(case), limits.lost_requests),
        _row("load_share", share, round(least, 6), at_least=True),
        _row("load_lag", lag, LAG_LIMIT),
    )


def check_limits(case: Case) -> tuple[CheckResult, ...]:
    """One result per limit."""
    return tuple(_result(row) for row in limit_rows(case))


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that ``share`` of the values do not exceed; None without values."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _row(name: str, value: float | None, limit: float, *, at_least: bool = False) -> LimitRow:
    title, unit, _ = LIMITS[name]
    kept = value is not None and (value >= limit if at_least else value <= limit)
    return LimitRow(
        name=name,
        title=title,
        value=None if value is None else round(value, 6),
        limit=limit,
        unit=unit,
        at_least=at_least,
        passed=kept,
    )


def _result(row: LimitRow) -> CheckResult:
    bound = "at least" if row.at_least else "at most"
    title = row.title[0].lower() + row.title[1:]
    if row.value is None:
        summary = f"{title}: nothing was sent, so nothing could be measured"
    else:
        unit = "" if row.unit == "share" else f" {row.unit}"
        summary = f"{title}: {row.value:.4g}{unit}, {bound} {row.limit:.4g}{unit}"
    stage = LIMITS[row.name][2]
    return CheckResult(name=f"limit {row.name}", passed=row.passed, stage=stage, summary=summary)

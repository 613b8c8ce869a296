"""Limits: what the service must keep, and whether the load was what the plan says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed.checks.instances import lost_requests
from testbed.checks.registry import CHECKS
from testbed.checks.results import CheckResult, LimitRow, not_applicable
from testbed.checks.service import lost_by_service
from testbed.checks.stages import Stage
from testbed.facts.loadplan import due_times
from testbed.percentiles import percentile

if TYPE_CHECKING:
    from testbed.checks.case import Case

MIN_LOAD_RATIO: Final = 0.99
"""Share of the planned requests that must be sent, or the run did not test what it says."""

MIN_EXCUSED_RATIO: Final = 0.9
"""The same where the load says how many it left unsent: service or machine were too slow for them,
and a run that lost more than this did not test what it says all the same."""

LAG_LIMIT: Final = 1.0
"""Seconds: 95 % of the requests must be sent within so much of their planned time, or of when a
user of the load was free for them."""


# Name of a limit to its title, its unit, and the link that it is about.
LIMITS: Final = {
    "error_ratio": ("Share answered 5xx or not at all", "ratio", Stage.SERVICE),
    "p95_seconds": ("95th percentile of latency from the planned time on", "s", Stage.SERVICE),
    "lost_requests": ("Predictions missing in Prometheus", "requests", Stage.PROMETHEUS),
    "load_ratio": ("Share of the planned requests that were sent", "ratio", Stage.LOAD),
    "load_lag": ("95th percentile of how late requests were sent", "s", Stage.LOAD),
}


OF_ARRIVALS: Final = ("load_ratio", "load_lag")


def limit_rows(case: Case) -> tuple[LimitRow, ...]:
    """The table of limits."""
    limits, requests = case.scenario.limits, case.evidence.truth.requests
    times = due_times(case.scenario, case.factor, case.evidence.run.seed)
    planned = sum(each.count for each in times if each is not None)
    paced = case.paced_requests
    errors = sum(request.failed for request in requests) / len(requests) if requests else None
    latency = percentile([r.latency for r in requests], 0.95)
    lag = percentile([request.lateness for request in paced], 0.95)
    ratio = len(paced) / planned if planned else None
    excused = case.evidence.truth.missed / planned if planned else 0.0
    minimum = max(MIN_EXCUSED_RATIO, MIN_LOAD_RATIO - excused)
    of_arrivals = (
        _row("load_ratio", ratio, round(minimum, 6), at_least=True),
        _row("load_lag", lag, LAG_LIMIT),
    )
    return (
        _row("error_ratio", errors, limits.error_ratio),
        _row("p95_seconds", latency, limits.p95_seconds),
        _row("lost_requests", _lost(case), limits.lost_requests),
        *(() if _closed(case) else of_arrivals),
    )


def _closed(case: Case) -> bool:
    """Whether nothing but closed users sent, so that no arrival was planned."""
    return all(phase.closed for phase in case.scenario.phases)


def _lost(case: Case) -> int:
    of_bundled = case.evidence.run.service is None
    return lost_requests(case) if of_bundled else lost_by_service(case)


@CHECKS.register
def check_limits(case: Case) -> tuple[CheckResult, ...]:
    """One result per limit."""
    results = [_result(row) for row in limit_rows(case)]
    if _closed(case):
        reason = "closed users plan no arrivals"
        names = (f"limit {name}" for name in OF_ARRIVALS)
        results += [not_applicable(name, Stage.LOAD, reason) for name in names]
    return tuple(results)


def _row(name: str, value: float | None, limit: float, *, at_least: bool = False) -> LimitRow:
    title, unit, _ = LIMITS[name]
    retained = value is not None and (value >= limit if at_least else value <= limit)
    return LimitRow(
        name=name,
        title=title,
        value=None if value is None else round(value, 6),
        limit=limit,
        unit=unit,
        at_least=at_least,
        passed=retained,
    )


def _result(row: LimitRow) -> CheckResult:
    bound = "at least" if row.at_least else "at most"
    title = row.title[0].lower() + row.title[1:]
    if row.value is None:
        summary = f"{title}: nothing was sent, so nothing could be measured"
    else:
        unit = "" if row.unit == "ratio" else f" {row.unit}"
        summary = f"{title}: {row.value:.4g}{unit}, {bound} {row.limit:.4g}{unit}"
    stage = LIMITS[row.name][2]
    return CheckResult(name=f"limit {row.name}", passed=row.passed, stage=stage, summary=summary)

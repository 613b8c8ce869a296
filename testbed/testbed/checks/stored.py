"""What Prometheus holds of the API's counters is what the API exported last."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from testbed.checks.instances import instances, why_lost
from testbed.checks.registry import CHECKS, of_bundled_api
from testbed.checks.results import CheckResult
from testbed.checks.stages import Stage
from testbed.checks.telemetry import telemetry_hops
from testbed.facts.finalcounts import compared

if TYPE_CHECKING:
    from testbed.checks.case import Case


@CHECKS.register
@of_bundled_api({"counts instances": Stage.PROMETHEUS})
def check_instances(case: Case) -> tuple[CheckResult, ...]:
    """Prometheus holds what every instance counted, true or not: two copies are compared."""
    snapshot, rows = case.evidence.snapshot, instances(case)
    foreign = [row.instance for row in rows if row.instance not in snapshot.api]
    details = [f"{row.instance}: {line}" for row in rows for line in row.differences]
    details += [f"{name}: in Prometheus, but no instance of this run" for name in foreign]
    unknown = sum(row.api is None for row in rows) - len(foreign)
    too_many, lost = _per_metric(case)
    passed = not foreign and not too_many and lost <= case.scenario.limits.lost_requests
    if passed:
        compared = len(rows) - unknown
        summary = f"Prometheus holds what {compared} of {len(rows)} instances exported last"
        if details:
            summary += f", but for {lost} within the limit"
    elif foreign:
        summary = "Prometheus holds counters of instances that this run did not start"
    elif too_many:
        summary = "Prometheus counted more than the API did"
    else:
        summary = f"Prometheus lacks {lost} of what the API counted{why_lost(case)}"
    stage = Stage.PROMETHEUS
    if not passed and not foreign and _all_arrived(case):
        stage = Stage.EXPORT
        summary += "; every point arrived, so values were changed at the export"
    return (
        CheckResult(
            name="counts instances",
            passed=passed,
            stage=stage,
            summary=summary,
            details=tuple(details),
        ),
    )


def _all_arrived(case: Case) -> bool:
    """Whether every export and every point is known to have arrived, whatever they hold."""
    if case.evidence.snapshot.pipeline is None:
        return False
    return not any(hop.residual for hop in telemetry_hops(case))


def _per_metric(case: Case) -> tuple[bool, int]:
    """Whether Prometheus has too much of any series, and the most that any metric lacks."""
    snapshot = case.evidence.snapshot
    lacking: Counter[str] = Counter()
    too_many = False
    for instance, own in snapshot.api.items():
        if own is None:
            continue
        stored = compared(snapshot.prometheus.get(instance, ()))
        held = {count.key: count.value for count in stored}
        for count in compared(own):
            missing = count.value - held.pop(count.key, 0)
            lacking[count.metric] += max(0, missing)
            too_many |= missing < 0
        too_many |= any(held.values())
    return too_many, max(lacking.values(), default=0)

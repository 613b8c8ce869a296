"""Alerts: each expected one must fire in time and resolve in time, and no other may fire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed.checks.alertrows import alert_rows, expected_rows
from testbed.checks.contract import why_not_notified
from testbed.checks.episodes import Episode, episodes
from testbed.checks.explanations import evidence_of, own_routes, where_from
from testbed.checks.registry import CHECKS
from testbed.checks.results import AlertRow, AlertStatus, CheckResult
from testbed.checks.stages import Stage

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.scenario import ExpectedAlert

__all__ = [
    "Episode",
    "alert_rows",
    "check_expected",
    "check_unexpected",
    "episodes",
    "expected_name",
]

HELD_UP: Final = 5.0
"""Real seconds from firing to notification that nobody is blamed for: a busy machine."""

HELD_UP_SCALED: Final = 60.0
"""Production seconds more: a group waits for its first notification."""

UNFIRED: Final = frozenset({AlertStatus.NEVER_FIRED, AlertStatus.RULE_FAILING})


@CHECKS.register
def check_expected(case: Case) -> tuple[CheckResult, ...]:
    """One result per expected alert; of one that did not fire, with what would have made it."""
    rows = expected_rows(case)
    return tuple(
        CheckResult(
            name=f"alert {expected_name(case, item)}",
            passed=row.passed,
            applicable=row.status is not AlertStatus.BLIND,
            stage=_stage(case, row, item),
            summary=row.reason,
            details=() if row.passed else _details(case, row, item),
        )
        for row, item in zip(rows, case.scenario.expected_alerts, strict=True)
    )


def _details(case: Case, row: AlertRow, item: ExpectedAlert) -> tuple[str, ...]:
    if row.status in UNFIRED:
        return evidence_of(case, item)
    return tuple(where_from(case, item.alert))


@CHECKS.register
def check_unexpected(case: Case) -> tuple[CheckResult, ...]:
    """No alert fired that is neither expected nor allowed, and none before its phase."""
    wrong = [row for row in alert_rows(case) if not row.expected and not row.passed]
    names = ", ".join(sorted({row.alert for row in wrong}))
    summary = f"fired though not expected: {names}" if wrong else "no unexpected alert"
    details = tuple(
        line
        for row in wrong
        for line in (f"{row.alert}: {row.reason}", *where_from(case, row.alert))
    )
    return (
        CheckResult(
            name="unexpected alerts",
            passed=not wrong,
            stage=Stage.RULE,
            summary=summary,
            details=details,
        ),
    )


def expected_name(case: Case, item: ExpectedAlert) -> str:
    """An expected alert with its phase, and its receiver where several must be notified."""
    alike = [
        each
        for each in case.scenario.expected_alerts
        if (each.alert, each.phase) == (item.alert, item.phase)
    ]
    place = f" at {item.receiver}" if len(alike) > 1 and item.receiver else ""
    return f"{item.alert} in {item.phase}{place}"


def _stage(case: Case, row: AlertRow, item: ExpectedAlert) -> Stage:
    """The link that an expected alert did not pass.

    What came late is the rule's doing, unless it fired in time and was then held up; what did not
    end is the rule's, where it still fires in Prometheus.
    """
    match row.status:
        case AlertStatus.NOT_PLAYED:
            return Stage.LOAD
        case AlertStatus.NOT_NOTIFIED if own_routes(case, item):
            return Stage.ROUTE
        case AlertStatus.NOT_NOTIFIED:
            return why_not_notified(case, row.alert)[0]
        case AlertStatus.NOT_RESOLVED if not _still_fires(case, row.alert):
            return why_not_notified(case, row.alert)[0]
        case AlertStatus.LATE if row.fired_at is not None and row.notified_at is not None:
            held_up = row.notified_at - row.fired_at > HELD_UP + case.real(HELD_UP_SCALED)
            return Stage.ROUTE if held_up else Stage.RULE
        case _:
            return Stage.RULE


def _still_fires(case: Case, alert: str) -> bool:
    """Whether Prometheus holds it firing at the end, or ended so lately that nobody could say."""
    spans = [s for s in case.evidence.snapshot.spans if s.alert == alert and s.state == "firing"]
    last = max((span.end for span in spans), default=0.0)
    return case.evidence.snapshot.ended_at - last <= HELD_UP

"""Notifications that a scenario forbids: an alert fires, and a receiver is not notified of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.checks.contract import contract_of
from testbed.checks.messages import times
from testbed.checks.received import ReceivedTexts
from testbed.checks.registry import CHECKS
from testbed.checks.results import CheckResult, not_applicable
from testbed.checks.stages import Stage

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.scenario import ForbiddenNotification


@CHECKS.register
def check_forbidden(case: Case) -> tuple[CheckResult, ...]:
    """One result per forbidden notification; not applicable where the alert did not fire."""
    contract = contract_of(case)
    if contract is None:
        return ()
    received = ReceivedTexts(contract)
    return tuple(_forbidden(received, each) for each in case.scenario.forbidden_notifications)


def _forbidden(received: ReceivedTexts, item: ForbiddenNotification) -> CheckResult:
    """An alert that must not reach a receiver."""
    contract = received.contract
    case = contract.case
    during = f" in {item.phase}" if item.phase else ""
    name = f"alert {item.alert} not at {item.receiver}{during}"
    if item.receiver not in contract.receivers:
        known = ", ".join(sorted(contract.receivers))
        return CheckResult(
            name=name,
            passed=False,
            stage=Stage.ROUTE,
            summary=f"there is no receiver {item.receiver}; configured are {known}",
        )
    phase = case.phase(item.phase) if item.phase else None
    start, end = (phase.start, phase.end) if phase else (0.0, float("inf"))
    wanted = {**item.labels, "alertname": item.alert}.items()
    fired = [f for f in contract.firings if wanted <= f.labels.items() and f.start < end]
    reached = [
        flush
        for flush in received.flushes
        if flush.receiver == item.receiver
        and start <= flush.at <= end
        and flush.fires(item.alert, item.labels)
    ]
    if reached:
        labels = next(
            (dict(each) for each in reached[0].firing if wanted <= set(each)), dict(wanted)
        )
        return CheckResult(
            name=name,
            passed=False,
            stage=Stage.ROUTE,
            summary=f"{item.alert} reached {item.receiver} {times(len(reached))}: its routes give "
            f"{contract.route_text(labels)}",
        )
    if not [each for each in fired if each.end >= start]:
        return not_applicable(name, Stage.ROUTE, f"{item.alert} did not fire{during}")
    led = [each.labels for each in fired if item.receiver in contract.routed(each.labels)]
    if led and not contract.recorded(item.receiver):
        return CheckResult(
            name=name,
            passed=False,
            stage=Stage.ROUTE,
            summary=f"the routes of {item.alert} give {contract.route_text(led[0])}; that "
            f"{item.receiver} has no integration changes nothing of it",
        )
    by = contract.held_by(fired[0].labels)
    why = f": it was {by}" if by else ""
    return CheckResult(
        name=name,
        passed=True,
        stage=Stage.ROUTE,
        summary=f"{item.alert} fired and did not reach {item.receiver}{why}",
    )

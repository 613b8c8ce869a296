"""Why an expected alert could not be notified: the monitoring itself was blind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.checks.blindness import (
    NOTIFIES,
    STARTING,
    blind_text,
    deadline,
    forgotten,
    longest_sight,
    meanwhile,
)
from testbed.checks.contract import contract_of
from testbed.checks.episodes import bears
from testbed.checks.explanations import spell
from testbed.checks.results import AlertStatus

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.phases import PhaseRow
    from testbed.scenario import ExpectedAlert


def unseen(
    case: Case, item: ExpectedAlert, phase: PhaseRow, fired: float | None, status: AlertStatus
) -> str:
    """Why the monitoring could not have notified an alert of a phase; empty where it could."""
    if status is AlertStatus.NEVER_FIRED:
        interval = case.evidence.snapshot.interval(item.alert)
        needed = min(case.real(item.within), phase.end - phase.start)
        sight = longest_sight(case, phase.start, phase.end, interval)
        if sight >= needed:
            return ""
        spans = blind_text(case, meanwhile(case, phase.start, phase.end))
        return (
            f"it had at most {spell(case, sight)} of {phase.name} to fire in, and is allowed "
            f"{spell(case, needed)}: the monitoring itself was {spans}"
        )
    contract = contract_of(case)
    if status is not AlertStatus.NOT_NOTIFIED or contract is None or fired is None:
        return ""
    mine = [
        each
        for each in contract.firings
        if each.alert == item.alert and bears(each.labels, item) and each.end >= fired
    ]
    over = max((each.end for each in mine), default=fired) + STARTING
    gone = [each for each in meanwhile(case, fired, over) if each.component in NOTIFIES]
    if not gone or any(map(contract.lasted, mine)):
        return ""
    return f"fired in Prometheus, while the monitoring itself was {blind_text(case, gone)}"


def end_unseen(case: Case, item: ExpectedAlert, phase: PhaseRow) -> str:
    """Why nobody could have notified the end of an alert in time; empty where somebody could."""
    ended = case.evidence.snapshot.ended_at
    allowed = case.real(item.resolves_within or 0.0)
    due = deadline(case, phase.end, allowed)
    if due > max(ended, phase.end + allowed):
        spans = blind_text(case, meanwhile(case, phase.end, due))
        return f"the monitoring itself was {spans}"
    last = max(
        (
            span.end
            for span in case.evidence.snapshot.spans
            if span.alert == item.alert and span.state == "firing" and bears(span.labels, item)
        ),
        default=None,
    )
    gone = None if last is None else forgotten(case, last)
    return "" if gone is None else f"it ended while the monitoring was {blind_text(case, [gone])}"

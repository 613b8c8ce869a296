"""The table of alerts: what became of each, expected or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed_rules.timescale import format_duration

from testbed.checks.blindness import blind_text, deadline, meanwhile
from testbed.checks.contract import contract_of
from testbed.checks.episodes import bears, episodes
from testbed.checks.explanations import late, never_fired, not_notified, spell
from testbed.checks.heartbeat import heartbeat_rows
from testbed.checks.results import AlertRow, AlertStatus
from testbed.checks.unseen import end_unseen, unseen
from testbed.heartbeat import needs_nobody

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed.checks.case import Case
    from testbed.checks.episodes import Episode
    from testbed.phases import PhaseRow
    from testbed.scenario import ExpectedAlert


def alert_rows(case: Case) -> tuple[AlertRow, ...]:
    """The table of alerts: the expected ones in the scenario's order, heartbeats, all the rest."""
    found = episodes(case.evidence.notifications)
    return (*expected_rows(case), *heartbeat_rows(case), *_other_rows(case, found))


def expected_rows(case: Case) -> tuple[AlertRow, ...]:
    """The rows of the alerts that the scenario expects, in its order."""
    found = episodes(case.evidence.notifications)
    return tuple(
        _expected_row(case, item, _heard(case, item, found))
        for item in case.scenario.expected_alerts
    )


def _expected_row(case: Case, item: ExpectedAlert, found: tuple[Episode, ...]) -> AlertRow:
    phase = case.phase(item.phase)
    if phase is None:
        return AlertRow(
            alert=item.alert, phase=item.phase, expected=True, passed=False,
            fired=False, notified=False, status=AlertStatus.NOT_PLAYED,
            reason=f"the phase {item.phase} was never played",
        )  # fmt: skip
    start, end = phase.start, _next_start(case, item, phase)
    found = tuple(e for e in found if e.alert == item.alert and bears(e.labels, item))
    mine = [e for e in found if start <= e.began < end]
    fired = _first_firing(case, item, start, end)
    if not mine:
        return _silent_row(case, item, phase, fired, found)
    notified, resolved = mine[0].notified_at, _resolved_at(mine)
    status, reason = _outcome(case, item, phase, notified, resolved)
    if status is AlertStatus.NOT_RESOLVED and (why := end_unseen(case, item, phase)):
        status, reason = AlertStatus.BLIND, f"{reason}: {why}"
    if status is AlertStatus.LATE:
        reason += f": {late(case, item, phase, mine[0].began, notified)}"
    allowed = item.resolves_within
    return AlertRow(
        alert=item.alert,
        phase=item.phase,
        expected=True,
        status=status,
        passed=status in {AlertStatus.DETECTED, AlertStatus.BLIND},
        fired=fired is not None,
        notified=True,
        fired_at=fired,
        notified_at=notified,
        resolved_at=resolved,
        detection=case.delay(notified - start, item.within),
        resolution=None
        if resolved is None
        else case.delay(max(0.0, resolved - phase.end), allowed),
        reason=reason,
    )


def _heard(case: Case, item: ExpectedAlert, found: tuple[Episode, ...]) -> tuple[Episode, ...]:
    """What the receiver that the scenario names was notified of; all, where it names none."""
    if item.receiver is None:
        return found
    return episodes(n for n in case.evidence.notifications if n.receiver == item.receiver)


def _outcome(
    case: Case, item: ExpectedAlert, phase: PhaseRow, notified: float, resolved: float | None
) -> tuple[AlertStatus, str]:
    took = notified - phase.start
    heard = f"notified {spell(case, took)} after the start of {phase.name}"
    due = deadline(case, phase.start, case.real(item.within))
    if notified > due:
        return AlertStatus.LATE, f"{heard}, allowed were {_production(item.within)}"
    if took > case.real(item.within):
        # Each of them put it off, or it would be late.
        heard += f"; the monitoring was {blind_text(case, meanwhile(case, phase.start, notified))}"
    if item.resolves_within is None:
        return AlertStatus.DETECTED, heard
    if silent := _without_end(case, item):
        status = AlertStatus.DETECTED if item.receiver is None else AlertStatus.NOT_RESOLVED
        return status, f"{heard}; {silent} is not notified of ends (send_resolved: false)"
    if resolved is None:
        return (
            AlertStatus.NOT_RESOLVED,
            f"{heard}, but not notified as resolved before the run ended",
        )
    lasted = max(0.0, resolved - phase.end)
    over = f"resolved {spell(case, lasted)} after its end"
    if resolved > deadline(case, phase.end, case.real(item.resolves_within)):
        allowed = _production(item.resolves_within)
        return AlertStatus.RESOLVED_LATE, f"{heard}, but {over}, allowed were {allowed}"
    return AlertStatus.DETECTED, f"{heard}, {over}"


def _without_end(case: Case, item: ExpectedAlert) -> str:
    """Receivers of an alert by a user's own routes, where none is notified of ends; else empty."""
    contract = contract_of(case)
    if contract is None or contract.delivery.redirection is None:
        return ""
    found = {n.receiver for n in case.evidence.notifications if n.alert == item.alert}
    names = sorted(found if item.receiver is None else {item.receiver})
    integrations = [each for name in names for each in contract.delivery.redirection.of(name)]
    return "" if any(each.resolved for each in integrations) else " and ".join(names)


def _silent_row(
    case: Case,
    item: ExpectedAlert,
    phase: PhaseRow,
    fired: float | None,
    found: tuple[Episode, ...],
) -> AlertRow:
    """The row of an expected alert that was not notified in its phase: why not."""
    early = next((e for e in found if e.began < phase.start), None)
    passed = False
    if fired is not None:
        status = AlertStatus.NOT_NOTIFIED
        reason = not_notified(case, item, fired, phase)
    elif early is not None:
        status = AlertStatus.EARLY
        reason = f"fired {spell(case, phase.start - early.began)} before {phase.name} began"
    else:
        status, reason = never_fired(case, item, phase)
    if why := unseen(case, item, phase, fired, status):
        status, reason, passed = AlertStatus.BLIND, why, True
    return AlertRow(
        alert=item.alert, phase=item.phase, expected=True, passed=passed, status=status,
        fired=fired is not None, notified=False, fired_at=fired, reason=reason,
    )  # fmt: skip


def _other_rows(case: Case, found: tuple[Episode, ...]) -> list[AlertRow]:
    """Rows of what fired though it was not expected, or before it was expected."""
    beating = case.heartbeats
    unexpected = [
        e
        for e in found
        if e.alert not in beating and not _is_expected(case, e.alert, e.labels, e.began)
    ]
    fired: dict[str, float] = {}
    for span in case.evidence.snapshot.spans:
        if span.alert in beating or span.state != "firing":
            continue
        if not _is_expected(case, span.alert, span.labels, span.start):
            fired.setdefault(span.alert, span.start)
    alerts = sorted({e.alert for e in unexpected} | set(fired))
    return [
        _other_row(case, alert, fired.get(alert), [e for e in unexpected if e.alert == alert])
        for alert in alerts
    ]


def _needs_nobody(case: Case, alert: str) -> bool:
    """Whether nobody has to act on an alert, by the severity that it always had."""
    spans = [span.labels for span in case.evidence.snapshot.spans if span.alert == alert]
    notified = [item.labels for item in case.evidence.notifications if item.alert == alert]
    return all(map(needs_nobody, (*spans, *notified)))


def _other_row(case: Case, alert: str, fired: float | None, found: list[Episode]) -> AlertRow:
    nobodys = _needs_nobody(case, alert)
    allowed = nobodys or alert in case.scenario.allowed_alerts
    early = any(item.alert == alert for item in case.scenario.expected_alerts)
    notified = found[0].notified_at if found else None
    seen = min(time for time in (fired, notified) if time is not None)
    times = f"{len(found)} {'time' if len(found) == 1 else 'times'}" if found else ""
    what = f"notified {times}" if found else "fired in Prometheus, but was not notified"
    why = ", for nobody has to act on its severity" if nobodys else ""
    kind = (
        f"allowed{why}"
        if allowed
        else "before its phase"
        if early
        else "neither expected nor allowed"
    )
    phase = case.phase_at(seen)
    where = f"first in {phase}" if phase else "first outside of every phase"
    return AlertRow(
        alert=alert,
        expected=False,
        status=AlertStatus.ALLOWED
        if allowed
        else AlertStatus.EARLY
        if early
        else AlertStatus.FALSE_POSITIVE,
        passed=allowed,
        fired=fired is not None,
        notified=bool(found),
        fired_at=fired,
        notified_at=notified,
        resolved_at=_resolved_at(found) if found else None,
        reason=f"{what}, {where}: {kind}",
    )


def _is_expected(case: Case, alert: str, labels: Mapping[str, str], began: float) -> bool:
    """Whether an alert that began then is an expected one, whose phase had begun."""
    return any(
        item.alert == alert
        and bears(labels, item)
        and (phase := case.phase(item.phase)) is not None
        and began >= phase.start
        for item in case.scenario.expected_alerts
    )


def _next_start(case: Case, item: ExpectedAlert, phase: PhaseRow) -> float:
    """Start of the next phase that expects the same alert: what begins there belongs there."""
    later = [
        other.start
        for candidate in case.scenario.expected_alerts
        if candidate.alert == item.alert
        and candidate.labels == item.labels
        and (other := case.phase(candidate.phase)) is not None
        and other.start > phase.start
    ]
    return min(later, default=float("inf"))


def _first_firing(case: Case, item: ExpectedAlert, start: float, end: float) -> float | None:
    return next(
        (
            span.start
            for span in case.evidence.snapshot.spans
            if span.alert == item.alert
            and bears(span.labels, item)
            and span.state == "firing"
            and start <= span.start < end
        ),
        None,
    )


def _resolved_at(found: list[Episode]) -> float | None:
    """When the last one was over; None while one of them still fires."""
    ends = [episode.resolved_at for episode in found if episode.resolved_at is not None]
    return max(ends) if len(ends) == len(found) else None


def _production(seconds: float) -> str:
    return f"{format_duration(round(seconds))} of production time"

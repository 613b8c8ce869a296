"""Alerts: each expected one must ring in time and resolve in time, and no other may ring."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from testbed.checks.results import AlertRow, AlertStatus, CheckResult
from testbed.checks.stages import Stage
from testbed.phases import PhaseRow
from testbed.timescale import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from testbed.checks.case import Case
    from testbed.evidence import Notification
    from testbed.scenario import ExpectedAlert


@dataclass(frozen=True, slots=True)
class Episode:
    """One alert from its first notification to that of its end; times are Unix seconds.

    Attributes:
        alert: name of the alert.
        began: when Prometheus started it, so far as the notification says.
        notified_at: arrival of the first notification.
        resolved_at: arrival of the notification that it is over, or None.
        labels: of the alert.
    """

    alert: str
    began: float
    notified_at: float
    resolved_at: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


def episodes(notifications: Iterable[Notification]) -> tuple[Episode, ...]:
    """Join notifications to episodes; repeats, and copies to other receivers, belong to one."""
    running: dict[frozenset[tuple[str, str]], Episode] = {}
    ended: list[Episode] = []
    for item in sorted(notifications, key=lambda n: n.received_at):
        identity = frozenset(item.labels.items())
        if item.status == "firing" and identity not in running:
            started = item.received_at if item.starts_at is None else item.starts_at
            began = min(started, item.received_at)
            running[identity] = Episode(
                item.alert, began, item.received_at, labels=dict(item.labels)
            )
        elif item.status == "resolved" and identity in running:
            ended.append(replace(running.pop(identity), resolved_at=item.received_at))
    return tuple(sorted([*ended, *running.values()], key=lambda e: e.notified_at))


def alert_rows(case: Case) -> tuple[AlertRow, ...]:
    """The table of alerts: the expected ones in the scenario's order, then all others that rang."""
    rang = episodes(case.evidence.notifications)
    expected = tuple(_expected_row(case, item, rang) for item in case.scenario.expected_alerts)
    return (*expected, *_other_rows(case, rang))


def check_expected(case: Case) -> tuple[CheckResult, ...]:
    """One result per expected alert."""
    return tuple(
        CheckResult(
            name=f"alert {row.alert} in {row.phase}",
            passed=row.passed,
            stage=_stage(row),
            summary=row.reason,
        )
        for row in alert_rows(case)
        if row.expected
    )


def check_false_alarms(case: Case) -> tuple[CheckResult, ...]:
    """No alert rang that is neither expected nor allowed, and none before its phase."""
    wrong = [row for row in alert_rows(case) if not row.expected and not row.passed]
    names = ", ".join(sorted({row.alert for row in wrong}))
    summary = f"rang though not expected: {names}" if wrong else "no false alarm"
    details = tuple(f"{row.alert}: {row.reason}" for row in wrong)
    return (
        CheckResult(
            name="false alarms",
            passed=not wrong,
            stage=Stage.RULE,
            summary=summary,
            details=details,
        ),
    )


def _stage(row: AlertRow) -> Stage:
    """The link that an expected alert did not pass; the rule's, where it is only late."""
    match row.status:
        case AlertStatus.NOT_PLAYED:
            return Stage.LOAD
        case AlertStatus.NOT_NOTIFIED | AlertStatus.NOT_RESOLVED:
            return Stage.ROUTE
        case _:
            return Stage.RULE


def _expected_row(case: Case, item: ExpectedAlert, rang: tuple[Episode, ...]) -> AlertRow:
    phase = case.phase(item.phase)
    if phase is None:
        return AlertRow(
            alert=item.alert, phase=item.phase, expected=True, passed=False,
            fired=False, notified=False, status=AlertStatus.NOT_PLAYED,
            reason=f"the phase {item.phase} was never played",
        )  # fmt: skip
    start, end = phase.start, _next_start(case, item, phase)
    rang = tuple(e for e in rang if e.alert == item.alert and bears(e.labels, item))
    mine = [e for e in rang if start <= e.began < end]
    fired = _first_firing(case, item, start, end)
    if not mine:
        return _silent_row(case, item, phase, fired, rang)
    notified, resolved = mine[0].notified_at, _resolved_at(mine)
    status, reason = _outcome(case, item, phase, notified, resolved)
    allowed = item.resolves_within
    return AlertRow(
        alert=item.alert,
        phase=item.phase,
        expected=True,
        status=status,
        passed=status is AlertStatus.DETECTED,
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


def _outcome(
    case: Case, item: ExpectedAlert, phase: PhaseRow, notified: float, resolved: float | None
) -> tuple[AlertStatus, str]:
    took = notified - phase.start
    heard = f"notified {_span(case, took)} after the start of {phase.name}"
    if took > case.real(item.within):
        return AlertStatus.LATE, f"{heard}, allowed were {_production(item.within)}"
    if item.resolves_within is None:
        return AlertStatus.DETECTED, heard
    if resolved is None:
        return (
            AlertStatus.NOT_RESOLVED,
            f"{heard}, but not notified as resolved before the run ended",
        )
    lasted = max(0.0, resolved - phase.end)
    over = f"resolved {_span(case, lasted)} after its end"
    if lasted > case.real(item.resolves_within):
        allowed = _production(item.resolves_within)
        return AlertStatus.RESOLVED_LATE, f"{heard}, but {over}, allowed were {allowed}"
    return AlertStatus.DETECTED, f"{heard}, {over}"


def _silent_row(
    case: Case,
    item: ExpectedAlert,
    phase: PhaseRow,
    fired: float | None,
    rang: tuple[Episode, ...],
) -> AlertRow:
    """The row of an expected alert that was not notified in its phase: why not."""
    early = next((e for e in rang if e.began < phase.start), None)
    if fired is not None:
        status = AlertStatus.NOT_NOTIFIED
        reason = (
            f"fired in Prometheus {_span(case, fired - phase.start)} after the start of "
            f"{phase.name}, but no notification reached the receiver{_left_out(case)}"
        )
    elif early is not None:
        status = AlertStatus.EARLY
        reason = f"rang {_span(case, phase.start - early.began)} before {phase.name} began"
    else:
        status, reason = _never_fired(case, item, phase)
    return AlertRow(
        alert=item.alert, phase=item.phase, expected=True, passed=False, status=status,
        fired=fired is not None, notified=False, fired_at=fired, reason=reason,
    )  # fmt: skip


def _never_fired(case: Case, item: ExpectedAlert, phase: PhaseRow) -> tuple[AlertStatus, str]:
    rules = case.evidence.snapshot.rules
    if rules is None:
        return AlertStatus.NEVER_FIRED, "never fired, and Prometheus did not tell its rules"
    rule = next((rule for rule in rules if rule.name == item.alert), None)
    if rule is None:
        return AlertStatus.RULE_MISSING, "no rule of that name is loaded in Prometheus"
    if rule.health == "err":
        error = " ".join(rule.last_error.split())
        return AlertStatus.RULE_FAILING, f"the evaluation of its rule fails: {error}"
    pending = [
        span.end - max(span.start, phase.start)
        for span in case.evidence.snapshot.spans
        if span.alert == item.alert
        and bears(span.labels, item)
        and span.state == "pending"
        and span.end > phase.start
    ]
    if pending:
        return AlertStatus.NEVER_FIRED, (
            f"was pending for {_span(case, max(pending))} at most and never fired; the rule's "
            f"`for` is {_span(case, rule.hold)}"
        )
    return AlertStatus.NEVER_FIRED, "never fired: the condition of its rule was never true"


def _other_rows(case: Case, rang: tuple[Episode, ...]) -> list[AlertRow]:
    """Rows of what rang though it was not expected, or before it was expected."""
    unexpected = [e for e in rang if not _is_expected(case, e.alert, e.labels, e.began)]
    fired: dict[str, float] = {}
    for span in case.evidence.snapshot.spans:
        if span.state == "firing" and not _is_expected(case, span.alert, span.labels, span.start):
            fired.setdefault(span.alert, span.start)
    alerts = sorted({e.alert for e in unexpected} | set(fired))
    return [
        _other_row(case, alert, fired.get(alert), [e for e in unexpected if e.alert == alert])
        for alert in alerts
    ]


def _other_row(case: Case, alert: str, fired: float | None, rang: list[Episode]) -> AlertRow:
    allowed = alert in case.scenario.allowed_alerts
    early = any(item.alert == alert for item in case.scenario.expected_alerts)
    notified = rang[0].notified_at if rang else None
    seen = min(time for time in (fired, notified) if time is not None)
    times = f"{len(rang)} {'time' if len(rang) == 1 else 'times'}" if rang else ""
    what = f"notified {times}" if rang else "fired in Prometheus, but was not notified"
    kind = "allowed" if allowed else "before its phase" if early else "neither expected nor allowed"
    phase = case.phase_at(seen)
    where = f"first in {phase}" if phase else "first outside of every phase"
    return AlertRow(
        alert=alert,
        expected=False,
        status=AlertStatus.ALLOWED
        if allowed
        else AlertStatus.EARLY
        if early
        else AlertStatus.FALSE_ALARM,
        passed=allowed,
        fired=fired is not None,
        notified=bool(rang),
        fired_at=fired,
        notified_at=notified,
        resolved_at=_resolved_at(rang) if rang else None,
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


def bears(labels: Mapping[str, str], item: ExpectedAlert) -> bool:
    """Whether an alert with these labels is the one that is expected."""
    return item.labels.items() <= labels.items()


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


def _resolved_at(rang: list[Episode]) -> float | None:
    """When the last one was over; None while one of them still rings."""
    ends = [episode.resolved_at for episode in rang if episode.resolved_at is not None]
    return max(ends) if len(ends) == len(rang) else None


def _left_out(case: Case) -> str:
    gone = [part for part in ("alertmanager", "receiver") if part in case.evidence.run.without]
    return f" (the run was made without {' and '.join(gone)})" if gone else ""


def _production(seconds: float) -> str:
    return f"{format_duration(round(seconds))} of production time"


def _span(case: Case, real: float) -> str:
    production = format_duration(max(0.0, float(round(real * case.factor))))
    return f"{real:.1f} s ({production} of production time)"

"""Heartbeats: an alert that always fires must do so, and be notified all the time.

Its notifications pass every link from the rule to the receiver, so that their absence shows a
broken one whatever else a run makes fire.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from testbed.checks.contract import BUSY, contract_of, span_text, why_not_notified
from testbed.checks.registry import CHECKS
from testbed.checks.results import AlertRow, AlertStatus, CheckResult, not_applicable
from testbed.checks.stages import Stage
from testbed.timeline import BACK, GONE

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.checks.contract import NotifiedContract
    from testbed.facts.alertspans import AlertSpan
    from testbed.snapshot import LoadedRule

NAME: Final = "heartbeat"
DETAILS: Final = 10


@dataclass(frozen=True, slots=True)
class Beat:
    """What became of one heartbeat.

    Attributes:
        alert: its name.
        status: detected where it fired and was notified all the time.
        text: what was seen, or the first thing that is wrong.
        stage: the link that is broken; that of the rule where none is.
        fired_at: Unix time of its first firing.
        notified_at: Unix time of its first notification.
    """

    alert: str
    status: AlertStatus
    text: str
    stage: Stage = Stage.RULE
    fired_at: float | None = None
    notified_at: float | None = None


@CHECKS.register
def check_heartbeat(case: Case) -> tuple[CheckResult, ...]:
    """Each heartbeat fired all the time, and was notified again and again."""
    beats = _beats(case)
    if beats is None:
        return (not_applicable(NAME, Stage.RULE, "the rules or alerts can't be known"),)
    if not beats and case.evidence.run.custom_rules:
        reason = "no rule always fires, as one on vector(1) would: nothing says that alerts arrive"
        return (not_applicable(NAME, Stage.RULE, reason),)
    if not beats:
        summary = "no rule always fires, so that nobody would notice that alerts don't arrive"
        return (CheckResult(name=NAME, passed=False, stage=Stage.RULE, summary=summary),)
    wrong = [beat for beat in beats if beat.status is not AlertStatus.DETECTED]
    wrong.sort(key=lambda beat: beat.stage.place)
    lines = tuple(f"{beat.alert} {beat.text}" for beat in wrong or beats)
    return (
        CheckResult(
            name=NAME,
            passed=not wrong,
            stage=wrong[0].stage if wrong else Stage.ROUTE,
            summary=lines[0],
            details=lines[1:DETAILS],
        ),
    )


def heartbeat_rows(case: Case) -> tuple[AlertRow, ...]:
    """The rows of the table of alerts: a heartbeat is expected all the time, in no phase."""
    return tuple(
        AlertRow(
            alert=beat.alert,
            expected=True,
            status=beat.status,
            passed=beat.status is AlertStatus.DETECTED,
            fired=beat.fired_at is not None,
            notified=beat.notified_at is not None,
            fired_at=beat.fired_at,
            notified_at=beat.notified_at,
            reason=f"heartbeat: {beat.text}",
        )
        for beat in _beats(case) or ()
    )


def _beats(case: Case) -> tuple[Beat, ...] | None:
    """None where it is unknown which rules there are, or what fired."""
    snapshot = case.evidence.snapshot
    unread = any(problem.startswith("alerts: ") for problem in snapshot.problems)
    if snapshot.rules is None or unread:
        return None
    contract = contract_of(case)
    return tuple(
        _beat(case, contract, next(rule for rule in snapshot.rules if rule.name == name))
        for name in sorted(case.heartbeats)
    )


def _beat(case: Case, contract: NotifiedContract | None, rule: LoadedRule) -> Beat:
    beat = Beat(rule.name, AlertStatus.DETECTED, "fired all the time")
    if rule.health == "err":
        error = " ".join(rule.last_error.split())
        text = f"is a heartbeat, and the evaluation of its rule fails: {error}"
        return replace(beat, status=AlertStatus.RULE_FAILING, text=text)
    spans = sorted(
        (s for s in case.evidence.snapshot.spans if s.alert == rule.name and s.state == "firing"),
        key=lambda span: span.start,
    )
    if not spans:
        text = f"is a heartbeat and never fired{_waited(case, rule)}"
        return replace(beat, status=AlertStatus.NEVER_FIRED, text=text)
    beat = replace(beat, fired_at=spans[0].start)
    silent = _silent(case, rule, spans)
    if silent:
        return replace(beat, status=AlertStatus.NEVER_FIRED, text=silent)
    return _notified(case, contract, beat, spans)


def _waited(case: Case, rule: LoadedRule) -> str:
    return f": its `for` is {span_text(case, rule.for_)}" if rule.for_ else ""


def _silent(case: Case, rule: LoadedRule, spans: list[AlertSpan]) -> str:
    """When it did not fire for longer than evaluations and outages explain; empty: never."""
    # Prometheus starts as the last component, and the load after it: from then on it has to fire.
    load = case.evidence.truth.started_at
    room = BUSY + 2 * rule.interval + _excused(case)
    ended = case.evidence.snapshot.ended_at
    begin = spans[0].start if load is None else min(load, ended)
    pauses = [(a.end, b.start) for a, b in pairwise(spans)]
    # A `for` delays it once more after each pause.
    room += rule.for_
    for start, end in [(begin, spans[0].start), *pauses, (spans[-1].end, ended)]:
        if end - start > room:
            text = f"is a heartbeat and did not fire for {span_text(case, end - start)}"
            return f"{text}{_waited(case, rule)}"
    return ""


def _notified(
    case: Case, contract: NotifiedContract | None, beat: Beat, spans: list[AlertSpan]
) -> Beat:
    gone = [
        component
        for component in ("alertmanager", "receiver")
        if component in case.evidence.run.without
    ]
    if contract is None or gone:
        without = f", for the run was made without {' and '.join(gone)}" if gone else ""
        return replace(beat, text=f"{beat.text}; its notifications are unknown{without}")
    labels = {**contract.delivery.external, **spans[0].labels}
    receivers = contract.routed(labels)
    recorded = [name for name in receivers if contract.recorded(name)]
    if not recorded and contract.own:
        names = " and ".join(receivers)
        return replace(beat, text=f"{beat.text}; its receiver {names} notifies nobody")
    if not recorded:
        text = f"is a heartbeat, and its receiver {' and '.join(receivers)} has no address"
        return replace(beat, status=AlertStatus.NOT_NOTIFIED, text=text, stage=Stage.ROUTE)
    every = 0.0
    for name in recorded:
        times = [
            n.received_at
            for n in case.evidence.notifications
            if n.alert == beat.alert and n.status == "firing" and n.receiver == name
        ]
        if times and beat.notified_at is None:
            beat = replace(beat, notified_at=min(times))
        pause = _longest(case, contract, labels, name, [spans[0].start, *times])
        if pause:
            stage, why = why_not_notified(case, beat.alert)
            heard = "never reached" if not times else f"for {pause} did not reach"
            text = f"is a heartbeat that fired, and {heard} the receiver {name}"
            return replace(
                beat,
                status=AlertStatus.NOT_NOTIFIED,
                text=f"{text}{f': {why}' if why else ''}",
                stage=stage,
            )
        every = max(every, *(b - a for a, b in pairwise(sorted(times))), 0.0)
    apart = f", at most {span_text(case, every)} apart" if every else ""
    return replace(beat, text=f"fired all the time and was notified{apart}")


def _longest(
    case: Case,
    contract: NotifiedContract,
    labels: dict[str, str],
    receiver: str,
    times: list[float],
) -> str:
    """The pause between two notifications, if it is longer than its routes allow; else empty."""
    leaves = [leaf for leaf in contract.tree.leaves(labels) if leaf.receiver == receiver]
    allowed = max(leaf.group_wait + leaf.repeat_interval + leaf.group_interval for leaf in leaves)
    room = allowed + contract.slack(labels) + _excused(case)
    longest = max(b - a for a, b in pairwise([*sorted(times), case.evidence.snapshot.ended_at]))
    return span_text(case, longest) if longest > room else ""


def _excused(case: Case) -> float:
    """Real seconds in which Prometheus was down, or nothing ran at all."""
    since: float | None = None
    health = case.evidence.snapshot.rulehealth
    stalls = health.pace.stalls if health is not None and health.pace is not None else ()
    total = sum(stall.seconds for stall in stalls)
    for event in case.evidence.timeline:
        if event.name != "prometheus":
            continue
        if event.event in GONE and since is None:
            since = event.time
        elif event.event in BACK and since is not None:
            total, since = total + event.time - since + BUSY, None
    return total

"""Notifications as a contract: who got what, with which words, how often."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from testbed.checks.blindness import forgotten
from testbed.checks.contract import (
    NotifiedContract,
    contract_of,
    deliveries,
    span_text,
    undelivered,
    why_not_notified,
)
from testbed.checks.deployed import other_routes
from testbed.checks.findings import CheckFinding, finding_result
from testbed.checks.notifiedtexts import check_labels, check_texts
from testbed.checks.registry import CHECKS
from testbed.checks.results import CheckResult, not_applicable
from testbed.checks.stages import Stage
from testbed.heldback import described

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from testbed.checks.case import Case
    from testbed.checks.contract import Firing, Identity
    from testbed.heldback import HeldAlert
    from testbed.records import ReceivedNotification
    from testbed.routes import Route

RECEIVERS: Final = "notified receivers"
LABELS: Final = "notified labels"
TEXTS: Final = "notified texts"
ENDS: Final = "notified ends"
REPEATS: Final = "repeated notifications"
HELD: Final = "held-back alerts"
DELIVERIES: Final = "deliveries"

SHORTEST_REPEAT: Final = 3600.0
"""Production seconds: a repeat_interval below this is no excuse for repeats, it is the defect.

Heartbeats are repeated as often as their route says.
"""


@CHECKS.register
def check_notifications(case: Case) -> tuple[CheckResult, ...]:
    """Notifications as a contract: who got what, with which words, how often."""
    contract = contract_of(case)
    if contract is None:
        return ()
    gone = [
        component
        for component in ("alertmanager", "receiver")
        if component in case.evidence.run.without
    ]
    if gone:
        reason = f"the run was made without {' and '.join(gone)}"
        stages = {TEXTS: Stage.RULE, DELIVERIES: Stage.RECEIVER}
        every = (RECEIVERS, LABELS, TEXTS, ENDS, REPEATS, HELD, DELIVERIES)
        return tuple(not_applicable(n, stages.get(n, Stage.ROUTE), reason) for n in every)
    held, sent = _held(contract), _deliveries(contract)
    if not case.evidence.notifications:
        reason = "no alert was notified"
        return (
            *(not_applicable(name, Stage.ROUTE, reason) for name in (RECEIVERS, LABELS)),
            not_applicable(TEXTS, Stage.RULE, reason),
            *(not_applicable(name, Stage.ROUTE, reason) for name in (ENDS, REPEATS)),
            held,
            sent,
        )
    return (
        _receivers(contract),
        check_labels(contract, LABELS),
        check_texts(contract, TEXTS),
        _ends(contract),
        _repeats(contract),
        held,
        sent,
    )


def _receivers(contract: NotifiedContract) -> CheckResult:
    """Each notified alert reached exactly the receivers that routes and scenario give."""
    findings: list[CheckFinding] = []
    elsewhere = 0
    for identity, items in contract.notified.items():
        if _other_routes(contract, items):
            elsewhere += 1
            continue
        labels, got = dict(identity), {item.receiver for item in items}
        name = described(labels)
        routed = set(contract.routed(labels))
        due = contract.due(labels)
        lasting = any(f.identity == identity and contract.lasted(f) for f in contract.firings)
        missing = {each for each in routed - got if contract.recorded(each)} if lasting else set()
        # A user's own routes may lead an alert on to others besides.
        beyond = set() if due is None or contract.own else got - due
        if due is not None and (beyond or (due - got and lasting)):
            instead = f"{_names(got)} in place of {_names(due)}"
            beside = f"{_names(got - due)} besides {_names(due)}"
            what = f"reached {instead if due - got else beside}"
            if contract.own:
                what = f"did not reach {_names(due - got)}"
            findings.append(
                CheckFinding(f"{name} {what}: the configured routes give {_names(routed)}")
            )
        elif got - routed:
            findings.append(
                CheckFinding(f"{name} reached {_names(got)}, but its routes give {_names(routed)}")
            )
        elif missing:
            stage, why = why_not_notified(contract.case, labels.get("alertname", ""))
            findings.append(
                CheckFinding(
                    f"{name} did not reach {_names(missing)}, as its routes give"
                    + (f": {why}" if why else ""),
                    stage,
                )
            )
    count = len(contract.notified) - elsewhere
    passed = f"{_count(count, 'alert')} reached the receivers that routes and scenario give"
    if elsewhere:
        passed += f"; {_count(elsewhere, 'alert')} had other routes for a while, by a fault"
    return finding_result(RECEIVERS, Stage.ROUTE, passed, findings)


def _ends(contract: NotifiedContract) -> CheckResult:
    """Each notified alert that ended long enough ago was notified as resolved, at each receiver."""
    findings = [
        CheckFinding(
            f"the receiver {name} is notified of no alert's end: "
            f"{receiver.unresolved} of its webhooks have send_resolved: false"
        )
        for name, receiver in contract.receivers.items()
        if receiver.unresolved
        and not contract.own
        and any(n.receiver == name for n in contract.case.evidence.notifications)
    ]
    ended = 0
    over = contract.case.evidence.snapshot.ended_at
    for firing in contract.firings:
        items = contract.notified.get(firing.identity, ())
        got = {n.receiver for n in items if n.status == "firing" and _of(contract, firing, n)}
        heard = {receiver for receiver in got if _resolved(contract, firing, receiver)}
        ended += len(heard)
        due = firing.end + contract.interval(firing.labels) + contract.slack(firing.labels) < over
        if not due or firing.alert in contract.case.scenario.muted_alerts:
            continue
        if _other_routes(contract, items):
            continue  # whoever heard of it by the other routes is in them no more
        if forgotten(contract.case, firing.end) is not None:
            continue  # who should notify its end knows nothing of it any more
        findings += (
            CheckFinding(
                f"{firing} was not notified as resolved at {receiver}, though it had stopped "
                f"firing {span_text(contract.case, over - firing.end)} before the end",
                why_not_notified(contract.case, firing.alert)[0],
            )
            for receiver in sorted(got - heard)
        )
    if not ended and not findings:
        return not_applicable(
            ENDS, Stage.ROUTE, "no notified alert ended long enough before the run"
        )
    passed = f"each alert that stopped firing was notified as resolved: {ended} of {ended}"
    return finding_result(ENDS, Stage.ROUTE, passed, findings)


def _repeats(contract: NotifiedContract) -> CheckResult:
    """No receiver got the same again and again."""
    case = contract.case
    contents: dict[tuple[str, frozenset[tuple[Identity, str, float | None]]], list[float]]
    contents = defaultdict(list)
    evidence = case.evidence
    own = {id(each) for each in evidence.notifications}
    # An alert of before makes a webhook another one, though it is none of the run's.
    for items in _webhooks((*evidence.notifications, *evidence.earlier)):
        first = items[0]
        if own.isdisjoint(map(id, items)):
            continue
        states = frozenset((frozenset(n.labels.items()), n.status, n.starts_at) for n in items)
        contents[first.receiver, states].append(first.received_at)
    findings = []
    maximum = 1
    beating = case.heartbeats
    for (receiver, states), times in contents.items():
        labels = [dict(identity) for identity, _, _ in states]
        beats = {each.get("alertname", "") for each in labels} <= beating
        maximum = maximum if beats else max(maximum, len(times))
        lasted = max(times) - min(times)
        allowed = _allowed_repeats(contract, labels, receiver, lasted, beats=beats)
        if len(times) > allowed:
            names = ", ".join(sorted({each.get("alertname", "") for each in labels}))
            findings.append(
                CheckFinding(
                    f"{names} reached {receiver} {len(times)} times with the same content within "
                    f"{span_text(case, lasted)}, allowed: {allowed}"
                )
            )
    passed = f"no notification came more than {_count(maximum, 'time')} with the same content"
    return finding_result(REPEATS, Stage.ROUTE, passed, findings)


def _allowed_repeats(
    contract: NotifiedContract,
    labels: list[dict[str, str]],
    receiver: str,
    lasted: float,
    *,
    beats: bool,
) -> int:
    case, delivery = contract.case, contract.delivery
    allowed = max(1, case.scenario.limits.repeats)
    leaves: list[Route] = [
        leaf for each in labels for leaf in contract.tree.leaves(each) if leaf.receiver == receiver
    ]
    interval = min((leaf.repeat_interval for leaf in leaves), default=float("inf"))
    if beats or contract.own or interval * case.factor >= SHORTEST_REPEAT:
        slack = max(map(contract.slack, labels), default=0.0)
        allowed += int((lasted + slack) // interval)
    # A request that failed may have been recorded all the same; a restart may forget what it sent.
    allowed += delivery.sent.refused if delivery.sent else 0
    starts = [e for e in case.evidence.timeline if e.event == "component_started"]
    return allowed + max(0, sum(e.name == "alertmanager" for e in starts) - 1)


def _held(contract: NotifiedContract) -> CheckResult:
    """Every alert that fired long enough was notified, and none was held back but by permission."""
    case = contract.case
    permitted = set(case.scenario.muted_alerts)
    if contract.own:  # what a user's configuration holds back is meant, unless it is expected
        expected = {item.alert for item in case.scenario.expected_alerts}
        lines = contract.delivery.held or ()
        permitted |= {h.labels.get("alertname", "") for line in lines for h in line.held} - expected
    findings = []
    named = set()
    for held in {h for line in contract.delivery.held or () for h in _keys(line.held)}:
        labels = dict(held)
        if labels.get("alertname") not in permitted:
            named.add(held)
            findings.append(
                CheckFinding(
                    f"{described(labels)} was held back: it was {contract.held_by(labels)}"
                )
            )
    lasting = [f for f in contract.firings if f.alert not in permitted and contract.lasted(f)]
    for firing in lasting:
        heard = any(
            n.status == "firing" and _of(contract, firing, n)
            for n in contract.notified.get(firing.identity, ())
        )
        if heard or firing.identity in named:
            continue
        if contract.own and not any(map(contract.recorded, contract.routed(firing.labels))):
            continue  # a receiver without integrations notifies nobody
        unseen = [each for each in contract.routed(firing.labels) if not contract.recorded(each)]
        stage, why = why_not_notified(case, firing.alert)
        if unseen and len(unseen) == len(contract.routed(firing.labels)):
            stage = Stage.ROUTE
            why = f"its routes give {_names(unseen)}, without a webhook to the recording receiver"
        findings.append(
            CheckFinding(
                f"{firing} fired for {span_text(case, firing.end - firing.start)} and was never "
                f"notified" + (f": {why}" if why else ""),
                stage,
            )
        )
    findings.sort(key=lambda finding: finding.text)
    if not findings and not lasting:
        return not_applicable(HELD, Stage.ROUTE, "no alert fired long enough to be notified")
    looked = "" if contract.delivery.held is not None else "; what was held back is unknown"
    passed = f"each alert that fired was notified: {len(lasting)} of {len(lasting)}{looked}"
    return finding_result(HELD, Stage.ROUTE, passed, findings)


def _deliveries(contract: NotifiedContract) -> CheckResult:
    """The receiver recorded what Alertmanager sent."""
    sent = contract.delivery.sent
    if sent is None:
        return not_applicable(
            DELIVERIES, Stage.RECEIVER, "Prometheus holds no counters of Alertmanager's webhooks"
        )
    if deliveries(contract.case) is None:
        reason = "the records don't report which alerts came with one webhook"
        return not_applicable(DELIVERIES, Stage.RECEIVER, reason)
    what = "notifications" if contract.own else "webhooks"
    lost = undelivered(contract.case)
    findings = []
    if lost > 0:
        findings.append(
            CheckFinding(
                f"Alertmanager sent {sent.begun - sent.failed} {what}, the receiver recorded "
                f"{sent.begun - sent.failed - lost}"
            )
        )
    failed = f"; {sent.failed} could not be delivered" if sent.failed else ""
    if contract.own and contract.delivery.failures:
        causes = "; ".join(contract.delivery.failures)
        findings.append(CheckFinding(f"Alertmanager gave notifications up: {causes}"))
    passed = f"the receiver recorded all {sent.begun - sent.failed} {what} that were sent{failed}"
    return finding_result(DELIVERIES, Stage.RECEIVER, passed, findings)


def _of(contract: NotifiedContract, firing: Firing, item: ReceivedNotification) -> bool:
    """Whether a notification may be about this time of firing."""
    over = firing.end + contract.interval(firing.labels) + contract.slack(firing.labels)
    return firing.start - contract.step(firing.labels) <= item.received_at <= over


def _other_routes(contract: NotifiedContract, items: Sequence[ReceivedNotification]) -> bool:
    """Whether a fault had replaced the routes while an alert was notified."""
    times = [each.received_at for each in items]
    return bool(times) and other_routes(contract.case, min(times), max(times))


def _resolved(contract: NotifiedContract, firing: Firing, receiver: str) -> bool:
    return any(
        n.status == "resolved"
        and n.receiver == receiver
        and n.received_at >= firing.end - contract.step(firing.labels)
        for n in contract.notified[firing.identity]
    )


def _webhooks(notifications: tuple[ReceivedNotification, ...]) -> list[list[ReceivedNotification]]:
    """Notifications by the webhook that brought them."""
    webhooks: dict[tuple[float, str, str], list[ReceivedNotification]] = defaultdict(list)
    for item in notifications:
        number = item.received_at if item.delivery is None else float(item.delivery)
        webhooks[number, item.receiver, item.group_key].append(item)
    return list(webhooks.values())


def _keys(held: tuple[HeldAlert, ...]) -> set[Identity]:
    return {frozenset(each.labels.items()) for each in held}


def _names(receivers: Iterable[str]) -> str:
    names = sorted(receivers)
    return ("receiver " if len(names) == 1 else "receivers ") + " and ".join(names or ["none"])


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"

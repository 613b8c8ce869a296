"""Messages: each integration got what its receiver was notified of, and what the scenario says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed.checks.alerts import expected_name
from testbed.checks.contract import contract_of, span_text
from testbed.checks.findings import CheckFinding, finding_result
from testbed.checks.received import APART, ReceivedTexts, due
from testbed.checks.registry import CHECKS
from testbed.checks.results import CheckResult, not_applicable
from testbed.checks.stages import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.checks.case import Case
    from testbed.checks.received import AttributedMessage
    from testbed.redirection import RedirectedIntegration, Redirection
    from testbed.scenario import ExpectedAlert

CONFIGURATION: Final = "alertmanager configuration"
RENDERED: Final = "rendered messages"


@CHECKS.register
def check_messages(case: Case) -> tuple[CheckResult, ...]:
    """Each integration of a user's own got every notification, and texts and numbers are right."""
    contract = contract_of(case)
    if contract is None:
        return ()
    received = ReceivedTexts(contract)
    redirection = contract.delivery.redirection
    own = () if redirection is None else _configuration(received, redirection)
    expected = (
        _expected(case, received, item)
        for item in case.scenario.expected_alerts
        if item.count is not None or (item.contains and redirection is not None)
    )
    return (*own, *expected)


def _configuration(received: ReceivedTexts, redirection: Redirection) -> tuple[CheckResult, ...]:
    count = len({each.receiver for each in redirection.integrations})
    note = f"; {'; '.join(redirection.notes)}" if redirection.notes else ""
    return (
        CheckResult(
            name=CONFIGURATION,
            passed=True,
            stage=Stage.ROUTE,
            summary=f"{redirection.file}: {len(redirection.integrations)} integrations of {count} "
            f"receivers{note}",
        ),
        *(
            not_applicable(f"messages of {each}", Stage.RECEIVER, each.problem)
            for each in redirection.unrecorded
        ),
        _rendered(received, redirection),
    )


def _rendered(received: ReceivedTexts, redirection: Redirection) -> CheckResult:
    """Each recorded integration got a message of every notification of its receiver."""
    recorded = [each for each in redirection.integrations if not each.problem]
    findings: list[CheckFinding] = []
    count = 0
    for each in recorded:
        messages = received.by_integration.get((each.receiver, each.integration, each.index), [])
        count += len(messages)
        findings += _missing(received, each, messages)
        strange = sum(message.flush is None for message in messages)
        if strange:
            findings.append(CheckFinding(f"{each} got {strange} messages of unknown notifications"))
    if not count and not findings:
        return not_applicable(RENDERED, Stage.RECEIVER, "no alert was notified")
    passed = f"{count} messages arrived, one of each notification at each of {len(recorded)} places"
    return finding_result(RENDERED, Stage.RECEIVER, passed, findings)


def _missing(
    received: ReceivedTexts, integration: RedirectedIntegration, messages: list[AttributedMessage]
) -> Iterator[CheckFinding]:
    case = received.contract.case
    mine = [flush for flush in received.flushes if flush.receiver == integration.receiver]
    got = {id(message.flush) for message in messages}
    latest = case.evidence.snapshot.ended_at - APART
    lost = [f for f in due(integration, mine) if f.at <= latest and id(f) not in got]
    if lost:
        alerts = ", ".join(sorted({each.alert for each in lost[0].alerts}))
        causes = "; ".join(received.contract.delivery.failures)
        why = f": {causes}" if causes else ""
        yield CheckFinding(
            f"{integration} got no message of {len(lost)} of its receiver's notifications, the "
            f"first of them about {alerts}{why}"
        )


def _expected(case: Case, received: ReceivedTexts, item: ExpectedAlert) -> CheckResult:
    """An expected alert's messages at its receiver, or at all that it reached."""
    name = f"messages of {expected_name(case, item)}"
    phase = case.phase(item.phase)
    if phase is None:
        return not_applicable(name, Stage.ROUTE, f"the phase {item.phase} was never played")
    reached = {flush.receiver for flush in received.flushes if flush.fires(item.alert, item.labels)}
    receivers = sorted(reached) if item.receiver is None else [item.receiver]
    findings: list[CheckFinding] = []
    counted: list[str] = []
    for receiver in receivers:
        for integration, messages in received.at(receiver):
            about = [
                message
                for message in messages
                if message.flush is not None
                and message.at >= phase.start
                and message.status != "resolved"
                and message.flush.fires(item.alert, item.labels)
            ]
            place = f"{integration} of {receiver}"
            counted.append(f"{len(about)} at {place}")
            if item.count is not None and len(about) not in item.count:
                when = ", ".join(span_text(case, each.at - phase.start) for each in about[:5])
                at = f" ({when} after the phase's start)" if when else ""
                findings.append(
                    CheckFinding(
                        f"{item.alert} was notified {times(len(about))} at {place}, expected: "
                        f"{item.count}{at}"
                    )
                )
            if received.contract.own and received.recorded(receiver):
                findings += _lacking(item, place, about)
    if not counted or (not findings and item.count is None and not reached):
        return not_applicable(name, Stage.ROUTE, f"{item.alert} reached no receiver")
    if item.count is None and not any(map(received.recorded, receivers)):
        reason = f"what is rendered for {' and '.join(receivers)} is not recorded"
        return not_applicable(name, Stage.ROUTE, reason)
    passed = f"{item.alert}: {', '.join(counted)}"
    return finding_result(name, Stage.ROUTE, passed, findings)


def _lacking(
    item: ExpectedAlert, place: str, about: list[AttributedMessage]
) -> Iterator[CheckFinding]:
    for text in item.contains:
        lacking = [message for message in about if text not in message.text]
        if lacking:
            said = " ".join(lacking[0].text.split())
            yield CheckFinding(
                f"{item.alert}: {times(len(lacking))} the message at {place} does not say "
                f"{text!r}, but {said[:200]!r}"
            )


def times(number: int) -> str:
    """How often, in words."""
    return "once" if number == 1 else f"{number} times"

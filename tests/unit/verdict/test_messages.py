"""Messages of a user's own receivers: texts, numbers, what must not arrive, and what is missing."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import pytest
from testbed.checks.alerts import check_expected
from testbed.checks.case import Case
from testbed.checks.forbidden import check_forbidden
from testbed.checks.messages import check_messages
from testbed.checks.notifications import check_notifications
from testbed.checks.stages import Stage
from testbed.evidence import Evidence, RunInfo
from testbed.facts.alertspans import AlertSpan
from testbed.facts.delivery import Delivery, ReceiverFacts, Sent
from testbed.heldback import HeldAlert, HeldBack
from testbed.records import ReceivedMessage, ReceivedNotification, StoredEvent
from testbed.redirection import RedirectedIntegration, Redirection
from testbed.scenario import Scenario
from testbed.snapshot import Snapshot
from testbed.truth import Truth
from testbed_receiver.integrations.base import key_hash

if TYPE_CHECKING:
    from testbed.checks.results import CheckResult

ALERT: Final = "HighErrorRate"
QUIET: Final = "SlowAnswers"
ROUTE: Final[dict[str, Any]] = {
    "receiver": "nobody",
    "group_by": ["alertname"],
    "group_wait": "1s",
    "group_interval": "10s",
    "repeat_interval": "20s",
    "routes": [
        {"receiver": "pager", "matchers": ['severity="critical"'], "continue": True},
        {"receiver": "chat", "matchers": ['team="ml"']},
    ],
}
SCENARIO: Final[dict[str, Any]] = {
    "name": "burst",
    "title": "Burst",
    "description": "Errors.",
    "phases": [{"name": "burst", "duration": "20m", "rate": 10}],
    "expected_alerts": [
        {"alert": ALERT, "phase": "burst", "within": "10m", "receiver": "pager",
         "contains": "5xx", "count": 2},
        {"alert": ALERT, "phase": "burst", "within": "10m", "receiver": "chat",
         "count": {"min": 1, "max": 3}},
    ],
    "forbidden_notifications": [{"alert": QUIET, "receiver": "chat"}],
}  # fmt: skip
PAGER: Final = RedirectedIntegration(
    receiver="pager", integration="pagerduty", index=0, resolved=True
)
SLACK: Final = RedirectedIntegration(receiver="chat", integration="slack", index=0, resolved=False)
MAIL: Final = RedirectedIntegration(receiver="chat", integration="email", index=0, resolved=False)


@dataclass
class OwnRun:
    """An alert reaches a pager twice and a chat once; another one is inhibited."""

    scenario: dict[str, Any] = field(default_factory=lambda: deepcopy(SCENARIO))
    route: dict[str, Any] = field(default_factory=lambda: deepcopy(ROUTE))
    integrations: list[RedirectedIntegration] = field(default_factory=lambda: [PAGER, SLACK, MAIL])
    notifications: list[ReceivedNotification] = field(default_factory=list)
    messages: list[ReceivedMessage] = field(default_factory=list)
    failures: tuple[str, ...] = ()
    lost: int = 0
    intervals: tuple[str, ...] = ()

    def flush(self, at: float, receiver: str, status: str = "firing", text: str = "5xx") -> None:
        """Let a receiver get a notification, and each of its integrations a message."""
        labels = {"alertname": ALERT, "severity": "critical", "team": "ml"}
        trace = f"trace {len(self.notifications)}"
        self.notifications.append(
            ReceivedNotification(
                at, status, ALERT, labels, {"summary": text}, 1010.0, receiver,
                group_key=f"{receiver}:{ALERT}", delivery=len(self.notifications), trace=trace,
            )
        )  # fmt: skip
        for each in self.integrations:
            if each.receiver != receiver or (status == "resolved" and not each.resolved):
                continue
            mail = each.integration == "email"
            self.messages.append(
                ReceivedMessage(
                    at + 0.1, receiver, each.integration, each.index, f"{ALERT} {text}",
                    "" if mail else status,
                    key_hash(f"{receiver}:{ALERT}")[:16] if mail else "", "" if mail else trace,
                )
            )  # fmt: skip

    @property
    def case(self) -> Case:
        """What the checks get."""
        labels = {"alertname": ALERT, "severity": "critical", "team": "ml"}
        quiet = {"alertname": QUIET, "severity": "warning", "team": "ml"}
        held = HeldAlert(labels=quiet, kind="inhibited", by=ALERT)
        names = ("nobody", "pager", "chat")
        delivery = Delivery(
            route=self.route,
            receivers=tuple(ReceiverFacts(name=n, webhooks=int(n != "nobody")) for n in names),
            held=(HeldBack(time=1012.0, held=(held,)),),
            sent=Sent(
                alerts=9,
                begun=len(self.notifications) + len(self.messages) + self.lost,
                failed=self.lost,
            ),
            redirection=Redirection(
                file="alerts.yml", integrations=tuple(self.integrations), intervals=self.intervals
            ),
            failures=self.failures,
        )
        spans = [
            AlertSpan(
                alert=each["alertname"], labels=each, state="firing", start=1010.0, end=1040.0
            )
            for each in (labels, quiet)
        ]
        snapshot = Snapshot(
            evaluation_interval=0.5, started_at=990.0, ended_at=1100.0, api={}, prometheus={},
            spans=tuple(spans), delivery=delivery,
        )  # fmt: skip
        evidence = Evidence(
            run=RunInfo(id="r", scenario="burst", custom_routes=True),
            truth=Truth(1000.0, 1090.0, (), (), ()),
            snapshot=snapshot,
            notifications=tuple(self.notifications),
            messages=tuple(self.messages),
            timeline=(
                StoredEvent(1000.0, "phase_started", "burst", {}),
                StoredEvent(1040.0, "phase_ended", "burst", {}),
            ),
        )
        return Case(Scenario.model_validate(self.scenario), evidence, 30.0)

    def results(self) -> dict[str, CheckResult]:
        """Of all checks of notifications, by name."""
        case = self.case
        found = (
            *(*check_messages(case), *check_forbidden(case)),
            *(*check_notifications(case), *check_expected(case)),
        )
        assert len({each.name for each in found}) == len(found)
        return {each.name: each for each in found}

    def failed(self) -> dict[str, str]:
        """Name to summary of those that fail."""
        return {name: each.summary for name, each in self.results().items() if not each.passed}


@pytest.fixture
def run() -> OwnRun:
    """A run that keeps what the scenario says."""
    run = OwnRun()
    run.flush(1011.2, "pager")
    run.flush(1011.3, "chat")
    run.flush(1031.3, "pager")
    run.flush(1046.0, "pager", "resolved")
    run.flush(1046.0, "chat", "resolved")
    return run


def test_a_run_that_keeps_what_the_scenario_says_passes(run: OwnRun) -> None:
    """Each receiver by its own words; ends are missing only where nobody is notified of them."""
    results = run.results()
    assert not run.failed()
    assert results[f"messages of {ALERT} in burst at pager"].summary == (
        f"{ALERT}: 2 at pagerduty[0] of pager"
    )
    assert "1 at slack[0] of chat, 1 at email[0]" in (
        results[f"messages of {ALERT} in burst at chat"].summary
    )
    assert "inhibited by HighErrorRate" in results[f"alert {QUIET} not at chat"].summary


def test_the_configuration_says_what_is_not_played(run: OwnRun) -> None:
    """An integration that nobody records is not applicable, and is named."""
    gone = RedirectedIntegration(
        receiver="chat", integration="pushover", index=0, resolved=True, problem="built in"
    )
    run.integrations.append(gone)
    run.intervals = ("nights",)
    results = run.results()
    skipped = results["messages of pushover[0] of the receiver chat"]
    assert not skipped.applicable
    assert skipped.summary == "built in"
    assert "not scaled: nights" in results["alertmanager configuration"].summary


def test_a_text_that_is_not_in_what_was_rendered(run: OwnRun) -> None:
    """The annotation may say it; what counts is what the receiver got."""
    run.scenario["expected_alerts"][0]["contains"] = "runbook"
    found = run.failed()[f"messages of {ALERT} in burst at pager"]
    assert "the message at pagerduty[0] of pager does not say 'runbook'" in found
    assert "'HighErrorRate 5xx'" in found


@pytest.mark.parametrize(("count", "wanted"), [(1, "1"), ({"min": 3}, "at least 3")])
def test_another_number_of_notifications(run: OwnRun, count: object, wanted: str) -> None:
    """With when they came."""
    run.scenario["expected_alerts"][0]["count"] = count
    found = run.failed()[f"messages of {ALERT} in burst at pager"]
    assert f"notified 2 times at pagerduty[0] of pager, expected: {wanted}" in found
    assert "after the phase's start" in found


def test_a_message_that_never_came_is_named_with_alertmanagers_own_reason(run: OwnRun) -> None:
    """A template that fails stops one integration, and no other."""
    run.messages = [each for each in run.messages if each.integration != "slack"]
    run.failures = ("template: x: function not defined",)
    results = run.results()
    found = results["rendered messages"]
    assert found.stage is Stage.RECEIVER
    assert "slack[0] of the receiver chat got no message of 1 of" in found.summary
    assert "function not defined" in found.summary


def test_a_wrong_route_is_the_cause(run: OwnRun) -> None:
    """The verdict names the receivers that the routes give, and by which matchers."""
    run.route["routes"][0]["matchers"] = ['severity="page"']
    run.notifications = [each for each in run.notifications if each.receiver != "pager"]
    run.messages = [each for each in run.messages if each.receiver != "pager"]
    run.failures = ("chat/slack[0]: template",)  # another receiver's trouble is not the cause
    run.lost = 1
    found = run.results()[f"alert {ALERT} in burst at pager"]
    assert not found.passed
    assert found.stage is Stage.ROUTE
    assert 'its routes give chat (by team="ml"), not pager' in found.summary


def test_a_forbidden_notification_that_came(run: OwnRun) -> None:
    """By which route it did; within a phase only, where one is named."""
    forbidden = {"alert": ALERT, "receiver": "chat", "labels": {"team": "ml"}}
    run.scenario["forbidden_notifications"] = [forbidden, forbidden | {"phase": "burst"}]
    found = run.failed()
    assert "reached chat once: its routes give pager" in found[f"alert {ALERT} not at chat"]
    assert f"alert {ALERT} not at chat in burst" in found
    run.scenario["forbidden_notifications"] = [{"alert": "Other", "receiver": "chat"}]
    assert not run.results()["alert Other not at chat"].applicable
    run.scenario["forbidden_notifications"] = [{"alert": ALERT, "receiver": "cat"}]
    assert "there is no receiver cat" in run.failed()[f"alert {ALERT} not at cat"]


def test_an_end_that_a_receiver_is_not_notified_of(run: OwnRun) -> None:
    """Where the scenario names the receiver, it fails; else it does not apply to these routes."""
    chat = run.scenario["expected_alerts"][1]
    chat["resolves_within"] = "10m"
    assert "chat is not notified of ends" in run.failed()[f"alert {ALERT} in burst at chat"]
    run.scenario["expected_alerts"] = [
        {key: value for key, value in chat.items() if key not in {"receiver", "count"}}
    ]
    assert not run.failed()
    run.notifications = [each for each in run.notifications if each.receiver == "chat"]
    run.messages = [each for each in run.messages if each.receiver == "chat"]
    assert "chat is not notified" in run.results()[f"alert {ALERT} in burst"].summary


def test_an_alert_that_ends_at_a_receiver_without_integrations_is_no_fault(run: OwnRun) -> None:
    """So its user wrote it."""
    run.route["routes"] = []
    run.notifications, run.messages = [], []
    run.scenario["expected_alerts"] = []
    run.scenario["allowed_alerts"] = [ALERT, QUIET]
    assert not run.failed()


def test_messages_that_were_sent_and_not_recorded(run: OwnRun) -> None:
    """Alertmanager's counters are of all integrations."""
    run.flush(1090.0, "pager")
    case = run.case
    delivery = case.evidence.snapshot.delivery
    assert delivery is not None
    assert delivery.sent is not None
    more = delivery.sent.model_copy(update={"begun": delivery.sent.begun + 2})
    changed = delivery.model_copy(update={"sent": more})
    object.__setattr__(case.evidence.snapshot, "delivery", changed)
    (found,) = [each for each in check_notifications(case) if each.name == "deliveries"]
    assert not found.passed
    assert "sent 14 notifications, the receiver recorded 12" in found.summary


def test_an_alert_that_nobody_held_back_and_that_was_not_notified(run: OwnRun) -> None:
    """That routes are a user's own excuses what they hold back, and nothing else."""
    run.notifications, run.messages = [], []
    run.scenario["expected_alerts"] = []
    run.flush(1012.0, "pager")
    run.notifications = [
        replace(run.notifications[0], labels={"alertname": "Other"}, alert="Other")
    ]
    assert ALERT in run.failed()["held-back alerts"]
    assert QUIET not in run.failed()["held-back alerts"]


def test_a_receiver_without_integrations_notifies_nobody(run: OwnRun) -> None:
    """Neither is it what was expected, nor does it keep what was forbidden."""
    run.route["routes"] = []
    run.notifications, run.messages = [], []
    run.scenario["expected_alerts"] = [{"alert": ALERT, "phase": "burst", "within": "10m"}]
    run.scenario["forbidden_notifications"] = [{"alert": ALERT, "receiver": "nobody"}]
    failed = run.failed()
    assert "give nobody (by the root route), without an" in failed[f"alert {ALERT} in burst"]
    assert "the routes of HighErrorRate give nobody" in failed[f"alert {ALERT} not at nobody"]


def test_texts_of_what_is_not_recorded_are_not_evaluated(run: OwnRun) -> None:
    """How often it was notified is: its witness says so."""
    run.integrations[0] = PAGER.model_copy(update={"problem": "built in"})
    run.messages = [each for each in run.messages if each.receiver != "pager"]
    item = run.scenario["expected_alerts"][0]
    name = f"messages of {ALERT} in burst at pager"
    item["contains"] = "nonsense"
    assert run.results()[name].passed
    del item["count"]
    found = run.results()[name]
    assert not found.applicable
    assert found.summary == "what is rendered for pager is not recorded"

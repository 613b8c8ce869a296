"""Alerts that always fire: by their expression they are known, and missed where they don't."""

from __future__ import annotations

from typing import Any

import pytest
from testbed.checks.alerts import check_unexpected
from testbed.checks.case import Case
from testbed.checks.heartbeat import check_heartbeat, heartbeat_rows
from testbed.checks.notifications import check_notifications
from testbed.checks.results import AlertStatus, CheckResult
from testbed.checks.stages import Stage
from testbed.evidence import Evidence, RunInfo
from testbed.facts.alertspans import AlertSpan
from testbed.facts.delivery import Delivery, ReceiverFacts, RuleTexts, Sent
from testbed.heartbeat import always_fires, heartbeat_names
from testbed.heldback import HeldAlert, HeldBack
from testbed.records import ReceivedNotification, StoredEvent
from testbed.scenario import Scenario
from testbed.snapshot import LoadedRule, Snapshot
from testbed.truth import Truth

FACTOR = 30.0
ALERT = "DeadMansSwitch"
LABELS = {"alertname": ALERT, "severity": "none"}
SCENARIO: dict[str, Any] = {
    "name": "quiet",
    "title": "Quiet",
    "description": "Nothing.",
    "phases": [{"name": "normal", "duration": "40m", "rate": 10}],
}
START, END = 1000.0, 1080.0


class Beating:
    """A run with a heartbeat that is as it should be, for tests that then break one thing."""

    def __init__(self) -> None:
        self.rules = [
            LoadedRule(name=ALERT, query="vector(1)", interval=0.5, labels={"severity": "none"})
        ]
        self.spans = [(START - 5.0, END)]
        self.beats = [START - 4.0 + 12.0 * number for number in range(7)]
        self.routes: list[dict[str, Any]] = [
            {
                "receiver": "heartbeat",
                "matchers": ['severity="none"'],
                "group_wait": "0s",
                "group_interval": "2s",
                "repeat_interval": "10s",
            }
        ]
        self.webhooks = 1
        self.held: tuple[HeldBack, ...] = ()
        self.sent: Sent | None = None
        self.timeline: list[StoredEvent] = []
        self.without: tuple[str, ...] = ()
        self.custom_rules = False

    def case(self) -> Case:
        """What the checks are given."""
        notifications = tuple(
            ReceivedNotification(
                at, "firing", ALERT, LABELS, {"summary": "s", "description": "d"},
                START - 5.0, "heartbeat", group_key="g", delivery=number,
            )
            for number, at in enumerate(self.beats)
        )  # fmt: skip
        snapshot = Snapshot(
            started_at=START - 10.0,
            ended_at=END,
            api={},
            prometheus={},
            rules=tuple(self.rules),
            spans=tuple(
                AlertSpan(alert=ALERT, labels=LABELS, state="firing", start=a, end=b)
                for a, b in self.spans
            ),
            delivery=Delivery(
                route={"receiver": "warning", "group_by": ["alertname"], "routes": self.routes},
                receivers=(
                    ReceiverFacts(name="warning", webhooks=1),
                    ReceiverFacts(name="heartbeat", webhooks=self.webhooks),
                ),
                rules=(
                    RuleTexts(
                        alert=ALERT,
                        labels={"severity": "none"},
                        annotations={"summary": "s", "description": "d"},
                    ),
                ),
                held=self.held,
                sent=self.sent,
            ),
        )
        run = RunInfo(
            id="run-1", scenario="quiet", time_scale=FACTOR, seed=1, without=self.without,
            custom_rules=self.custom_rules,
        )  # fmt: skip
        evidence = Evidence(
            run=run,
            truth=Truth(START, END - 2.0, (), (), ()),
            snapshot=snapshot,
            notifications=notifications,
            timeline=tuple(self.timeline),
        )
        return Case(Scenario.model_validate(SCENARIO), evidence, FACTOR)

    def result(self) -> CheckResult:
        """Of the check."""
        (result,) = check_heartbeat(self.case())
        return result


@pytest.mark.parametrize(
    ("expression", "always"),
    [
        ("vector(1)", True),
        ("1", True),
        ("vector(1) > 0", True),
        ("(sum(vector(1)))", True),
        ("vector(1) or up", True),
        ("up or vector(1)", True),
        ("1 == bool 2", True),
        ("vector(0) > 1", False),
        ("up == 1", False),
        ("absent(nothing)", False),
        ("hour() > 8", False),
        ("vector(1) unless up", False),
        ("vector(1) and up", False),
        ("nonsense(", False),
        ('ALERTS{severity="info"} == 1', False),
    ],
)
def test_a_heartbeat_is_known_by_its_expression(expression: str, always: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """It gives a value without any data; clocks and absent series are data, too."""
    assert always_fires(expression) is always


def test_a_name_is_that_of_a_heartbeat_if_all_its_rules_are() -> None:
    """Else one could wait for its end."""
    rules = [("A", "vector(1)"), ("B", "vector(1)"), ("B", "up == 0"), ("C", "up == 0")]
    assert heartbeat_names(rules) == {"A"}


def test_a_beating_run_passes() -> None:
    """The heartbeat is no unexpected alert, has its row, and its repeats break no contract."""
    case = Beating().case()
    assert Beating().result().passed
    assert "at most 12.0 s" in Beating().result().summary
    assert check_unexpected(case)[0].passed
    (row,) = heartbeat_rows(case)
    assert (row.status, row.expected, row.phase) == (AlertStatus.DETECTED, True, None)
    assert [check.name for check in check_notifications(case) if not check.passed] == []


def test_users_own_rules_need_no_heartbeat_and_shipped_ones_do() -> None:
    """What is missing in the shipped rules is the rule's fault."""
    run = Beating()
    run.rules, run.spans = [LoadedRule(name="Other", query="up == 0")], []
    assert (run.result().passed, run.result().stage) == (False, Stage.RULE)
    run.custom_rules = True
    assert not run.result().applicable


@pytest.mark.parametrize(
    ("spans", "says"),
    [
        ([], "never fired"),
        ([(START - 5.0, START + 20.0)], "did not fire for 60.0 s"),
        ([(START + 30.0, END)], "did not fire for 30.0 s"),
        ([(START - 5.0, START + 20.0), (START + 40.0, END)], "did not fire for 20.0 s"),
    ],
)
def test_a_heartbeat_that_pauses_is_found(spans: list[tuple[float, float]], says: str) -> None:
    """At the rule: nothing behind it can be blamed."""
    run = Beating()
    run.spans = spans
    result = run.result()
    assert (result.passed, result.stage) == (False, Stage.RULE)
    assert says in result.summary


def test_the_rule_that_waits_is_named() -> None:
    """A heartbeat with a long `for` does not beat."""
    run = Beating()
    run.spans, run.rules = [], [LoadedRule(name=ALERT, query="vector(1)", for_=120.0)]
    assert "its `for` is 120.0 s" in run.result().summary


def test_a_heartbeat_may_wait_for_its_for() -> None:
    """As one of a user's own may have; it has to fire from then on."""
    run = Beating()
    run.spans = [(START + 20.0, END)]
    run.beats = [START + 21.0 + 12.0 * number for number in range(5)]
    assert not run.result().passed
    run.rules = [LoadedRule(name=ALERT, query="vector(1)", for_=20.0, interval=0.5)]
    assert run.result().passed


@pytest.mark.parametrize(
    ("gone", "back"),
    [("component_stopped", "component_started"), ("component_gone", "component_back")],
)
def test_an_outage_of_prometheus_on_purpose_explains_a_pause(gone: str, back: str) -> None:
    """What the scenario stops or freezes is not blamed."""
    run = Beating()
    run.spans = [(START - 5.0, START + 20.0), (START + 40.0, END)]
    run.timeline = [
        StoredEvent(START + 20.0, gone, "prometheus", {}),
        StoredEvent(START + 38.0, back, "prometheus", {}),
    ]
    assert run.result().passed


@pytest.mark.parametrize("component", ["alertmanager", "receiver"])
@pytest.mark.parametrize(
    ("gone", "back"),
    [("component_stopped", "component_started"), ("component_gone", "component_back")],
)
def test_an_outage_behind_prometheus_explains_missing_notifications(
    component: str, gone: str, back: str
) -> None:
    """A fault starts a component again without waiting until it is ready."""
    run = Beating()
    run.beats = [START - 4.0, START + 8.0, START + 45.0, START + 57.0, START + 69.0]
    assert "for 37.0 s" in run.result().summary
    run.timeline = [
        StoredEvent(START + 10.0, gone, component, {}),
        StoredEvent(START + 30.0, back, component, {}),
    ]
    assert run.result().passed


def test_the_first_broken_link_of_a_lost_notification_is_named() -> None:
    """Route without an address, held back, not recorded: each in its own words."""
    run = Beating()
    run.beats, run.webhooks = [], 0
    assert run.result().stage is Stage.ROUTE
    assert "has no address" in run.result().summary

    run = Beating()
    run.beats = []
    inhibited = HeldAlert(labels=LABELS, kind="inhibited", by="APIDown{}")
    run.held = (HeldBack(time=START, held=(inhibited,)),)
    assert run.result().stage is Stage.ROUTE
    assert "inhibited by APIDown" in run.result().summary

    run = Beating()
    run.beats, run.sent = [], Sent(alerts=9, begun=7)
    assert run.result().stage is Stage.RECEIVER

    (row,) = heartbeat_rows(run.case())
    assert (row.status, row.passed, row.fired) == (AlertStatus.NOT_NOTIFIED, False, True)


def test_notifications_that_stop_are_noticed() -> None:
    """The last one must not be older than the route's interval."""
    run = Beating()
    run.beats = run.beats[:3]
    assert "and for 60.0 s" in run.result().summary


@pytest.mark.parametrize("component", ["alertmanager", "receiver"])
def test_without_a_receiver_only_the_firing_counts(component: str) -> None:
    """The run was made without the rest of the way."""
    run = Beating()
    run.beats, run.without = [], (component,)
    assert run.result().passed
    assert component in run.result().summary


def test_too_many_repeats_are_still_noticed() -> None:
    """A heartbeat may be repeated as often as its route says, and no more."""
    run = Beating()
    run.beats = [START + number for number in range(70)]
    failed = [c for c in check_notifications(run.case()) if not c.passed]
    assert [check.name for check in failed] == ["repeated notifications"]


def test_of_other_severities_none_is_never_unexpected() -> None:
    """As an alert that only inhibits others: nobody has to act on it."""
    run = Beating()
    run.rules = [LoadedRule(name=ALERT, query='ALERTS{severity="info"} == 1')]
    run.custom_rules = True
    assert check_unexpected(run.case())[0].passed
    assert heartbeat_rows(run.case()) == ()

"""Notifications as a contract: who got what, with which words, how often."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from testbed.checks.case import Case
from testbed.checks.explanations import not_notified
from testbed.checks.notifications import check_notifications
from testbed.checks.stages import Stage
from testbed.evidence import Evidence, RunInfo
from testbed.facts.alertspans import AlertSpan
from testbed.facts.delivery import Delivery, ReceiverFacts, RuleTexts, Sent, Valued
from testbed.heldback import HeldAlert, HeldBack
from testbed.phases import PhaseRow
from testbed.records import ReceivedNotification, StoredEvent
from testbed.scenario import Scenario
from testbed.snapshot import Snapshot
from testbed.truth import Truth

if TYPE_CHECKING:
    from testbed.checks.results import CheckResult

FACTOR = 30.0
ALERT = "HighErrorRate"
LABELS = {"alertname": ALERT, "job": "ml-api", "severity": "warning"}
DESCRIPTION = '{{ $labels.job }} answers {{ $value | printf "%.2f" }} requests with a 5xx status.'
TEXTS = {
    "summary": "It answers with errors.",
    "description": "ml-api answers 15.02 requests with a 5xx status.",
}
ROUTE: dict[str, Any] = {
    "receiver": "warning",
    "group_by": ["alertname"],
    "group_wait": "1s",
    "group_interval": "10s",
    "repeat_interval": "8m",
    "routes": [
        {"receiver": "critical", "matchers": ['severity="critical"']},
        {"receiver": "warning", "matchers": ['severity="warning"']},
    ],
}
SCENARIO: dict[str, Any] = {
    "name": "burst",
    "title": "Burst",
    "description": "Errors.",
    "phases": [{"name": "burst", "duration": "20m", "rate": 10}],
    "expected_alerts": [
        {
            "alert": ALERT,
            "phase": "burst",
            "within": "10m",
            "severity": "warning",
            "receiver": "warning",
            "contains": ["5xx status"],
        }
    ],
}


@dataclass
class Run:
    """A run whose notifications keep the contract, for tests that then break one thing."""

    scenario: dict[str, Any] = field(default_factory=lambda: deepcopy(SCENARIO))
    route: dict[str, Any] = field(default_factory=lambda: deepcopy(ROUTE))
    receivers: list[ReceiverFacts] = field(
        default_factory=lambda: [
            ReceiverFacts(name="critical", webhooks=1),
            ReceiverFacts(name="warning", webhooks=1),
        ]
    )
    rules: list[RuleTexts] = field(
        default_factory=lambda: [
            RuleTexts(
                alert=ALERT,
                labels={"severity": "warning"},
                annotations={"summary": TEXTS["summary"], "description": DESCRIPTION},
            )
        ]
    )
    spans: list[AlertSpan] = field(default_factory=list)
    notifications: list[ReceivedNotification] = field(default_factory=list)
    earlier: list[ReceivedNotification] = field(default_factory=list)
    held: list[HeldBack] = field(default_factory=list)
    sent: Sent | None = None
    values: list[Valued] = field(default_factory=list)
    timeline: list[StoredEvent] = field(default_factory=list)
    without: tuple[str, ...] = ()
    custom_rules: bool = False
    ended_at: float = 1100.0

    def fire(self, start: float, end: float, **labels: str) -> None:
        """Let Prometheus hold an alert firing."""
        found = {**LABELS, **labels}
        span = AlertSpan(
            alert=found["alertname"], labels=found, state="firing", start=start, end=end
        )
        self.spans.append(span)

    def notify(
        self,
        at: float,
        status: str = "firing",
        *,
        receiver: str = "warning",
        starts_at: float = 1010.0,
        **labels: str,
    ) -> None:
        """Let the receiver get a webhook with one alert."""
        found = {**LABELS, **labels}
        self.notifications.append(
            ReceivedNotification(
                at, status, found["alertname"], found, dict(TEXTS), starts_at, receiver,
                group_key="group", delivery=len(self.notifications),
            )
        )  # fmt: skip

    def say(self, **texts: str) -> None:
        """Change the texts of every notification."""
        self.notifications = [
            replace(n, annotations={**n.annotations, **texts}) for n in self.notifications
        ]

    def results(self) -> dict[str, CheckResult]:
        """The results by name."""
        return {result.name: result for result in check_notifications(self.case())}

    def case(self) -> Case:
        """All of it, to be checked."""
        delivery = Delivery(
            route=self.route,
            receivers=tuple(self.receivers),
            rules=tuple(self.rules),
            held=tuple(self.held),
            sent=self.sent or Sent(alerts=9, begun=len(self.notifications)),
            values=tuple(self.values),
        )
        snapshot = Snapshot(
            evaluation_interval=0.5,
            started_at=990.0, ended_at=self.ended_at, api={}, prometheus={},
            spans=tuple(self.spans), delivery=delivery,
        )  # fmt: skip
        run = RunInfo(
            id="r", scenario="burst", without=self.without, custom_rules=self.custom_rules
        )
        evidence = Evidence(
            run=run,
            truth=Truth(1000.0, 1090.0, (), (), ()),
            snapshot=snapshot,
            notifications=tuple(sorted(self.notifications, key=lambda n: n.received_at)),
            earlier=tuple(self.earlier),
            timeline=tuple(self.timeline),
        )
        return Case(Scenario.model_validate(self.scenario), evidence, FACTOR)

    def failed(self) -> dict[str, tuple[Stage, str]]:
        """Name to stage and summary of those that fail."""
        return {
            name: (result.stage, result.summary)
            for name, result in self.results().items()
            if not result.passed
        }


@pytest.fixture
def run() -> Run:
    """One alert that fires, is notified and resolves."""
    run = Run()
    run.fire(1010.0, 1040.0)
    run.notify(1011.2)
    run.notify(1046.0, "resolved")
    return run


def test_a_run_that_keeps_the_contract_passes(run: Run) -> None:
    """Every check applies and none fails."""
    results = run.results()
    assert not run.failed()
    assert all(result.applicable for result in results.values())
    assert len(results) == 7


def test_a_run_without_notifications_says_what_it_could_not_check() -> None:
    """What was not looked at has not passed."""
    results = Run().results()
    assert [n for n, r in results.items() if r.applicable] == ["deliveries"]


def test_a_run_without_receiver_can_check_nothing(run: Run) -> None:
    """The reason names the component that was left out."""
    run.without = ("receiver",)
    results = run.results()
    assert not any(result.applicable for result in results.values())
    assert "without receiver" in results["deliveries"].summary


def test_routes_that_lead_to_another_receiver_than_the_scenario_says(run: Run) -> None:
    """A wrong route file can't testify for itself."""
    run.route["routes"][1]["receiver"] = "critical"
    run.notifications = [replace(n, receiver="critical") for n in run.notifications]
    ((stage, summary),) = [run.failed()["notified receivers"]]
    assert stage is Stage.ROUTE
    assert "reached receiver critical in place of receiver warning" in summary


def test_an_alert_that_no_scenario_names_goes_to_the_receiver_of_its_severity(run: Run) -> None:
    """So it does by the project's convention; other rules follow their routes."""
    run.scenario["expected_alerts"] = []
    run.route["routes"][1]["receiver"] = "critical"
    run.notifications = [replace(n, receiver="critical") for n in run.notifications]
    assert "notified receivers" in run.failed()
    run.custom_rules = True
    assert "notified receivers" not in run.failed()


def test_a_further_receiver_by_continue_is_found(run: Run) -> None:
    """Who should not hear is as wrong as who should."""
    run.route["routes"][0] |= {"matchers": [], "continue": True}
    for at, status in ((1011.2, "firing"), (1046.0, "resolved")):
        run.notify(at, status, receiver="critical")
    assert "besides receiver warning" in run.failed()["notified receivers"][1]


def test_a_receiver_that_the_routes_give_and_that_got_nothing(run: Run) -> None:
    """Alertmanager gave up on the other one."""
    run.custom_rules = True
    run.scenario["expected_alerts"] = []
    run.route["routes"][0] |= {"matchers": [], "continue": True}
    run.sent = Sent(alerts=9, begun=4, failed=2, reasons=("clientError",))
    stage, summary = run.failed()["notified receivers"]
    assert stage is Stage.RECEIVER
    assert "did not reach receiver critical" in summary
    assert "clientError" in summary


def test_a_severity_other_than_the_scenarios_is_the_rules_fault(run: Run) -> None:
    """It leads, before the receiver that follows from it."""
    run.scenario["expected_alerts"][0]["severity"] = "critical"
    stage, summary = run.failed()["notified labels"]
    assert stage is Stage.RULE
    assert summary == "HighErrorRate has the severity 'warning', the scenario says critical"


def test_labels_that_prometheus_does_not_hold_are_found(run: Run) -> None:
    """As after relabelling between Prometheus and Alertmanager."""
    run.notifications = [
        replace(n, labels={k: v for k, v in n.labels.items() if k != "job"})
        for n in run.notifications
    ]
    stage, summary = run.failed()["notified labels"]
    assert stage is Stage.ROUTE
    assert 'Prometheus holds HighErrorRate{job="ml-api", severity="warning"}' in summary


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("<error expanding template HighErrorRate: x>", "template error"),
        ("ml-api answers %!f(string=) requests with a 5xx status.", "template error '%!f'"),
        ("ml-api answers  requests with a 5xx status.", "does not read as its template"),
        ("other answers 15.02 requests with a 5xx status.", "does not read as its template"),
        ("{{ $labels.job }} answers 15.02 requests with a 5xx status.", "template error '{{'"),
    ],
)
def test_a_text_that_misses_its_values_is_the_rules_fault(run: Run, text: str, reason: str) -> None:
    """Empty, broken, not rendered, or about somebody else."""
    run.say(description=text)
    stage, summary = run.failed()["notified texts"]
    assert stage is Stage.RULE
    assert reason in summary


def test_a_label_that_the_series_lacks_is_named(run: Run) -> None:
    """Prometheus renders it as nothing."""
    run.rules[0].annotations["description"] = "Replica {{ $labels.nope }} with a 5xx status."
    run.say(description="Replica  with a 5xx status.")
    assert "uses the label nope" in run.failed()["notified texts"][1]


def test_a_rule_without_a_summary_says_too_little(run: Run) -> None:
    """Whether it is empty or missing."""
    run.rules[0].annotations["summary"] = ""
    run.say(summary="")
    assert run.failed()["notified texts"][1] == "HighErrorRate has no summary"
    del run.rules[0].annotations["summary"]
    assert run.failed()["notified texts"][1] == "HighErrorRate has no summary"


def test_an_annotation_that_did_not_arrive_is_found(run: Run) -> None:
    """The rule has it, the notification does not."""
    run.notifications = [
        replace(n, annotations={"summary": TEXTS["summary"]}) for n in run.notifications
    ]
    stage, summary = run.failed()["notified texts"]
    assert stage is Stage.RECEIVER
    assert "annotation description of its rule did not arrive" in summary


def test_a_text_that_the_scenario_wants_is_missed(run: Run) -> None:
    """Only firing notifications must say it."""
    run.scenario["expected_alerts"][0]["contains"] = ["never said"]
    assert "no annotation says 'never said'" in run.failed()["notified texts"][1]


def test_texts_are_wanted_of_the_expectation_whose_phase_and_labels_fit(run: Run) -> None:
    """The same alert may be expected twice, with other words."""
    run.scenario["phases"] = [
        {"name": "before", "duration": "1m", "rate": 10},
        {"name": "burst", "duration": "19m", "rate": 10},
    ]
    (expected,) = run.scenario["expected_alerts"]
    other = {**expected, "phase": "before", "contains": ["other words"]}
    third = {**expected, "labels": {"job": "other"}, "contains": ["third words"]}
    run.scenario["expected_alerts"] = [other, expected, third]
    assert not run.failed()
    run.scenario["expected_alerts"] = [other, third]
    assert "other words" in run.failed()["notified texts"][1]


@pytest.mark.parametrize(("low", "high", "passes"), [(14.9, 15.1, True), (1.4, 1.6, False)])
def test_a_shown_value_must_be_the_rules_own(
    run: Run, low: float, high: float, *, passes: bool
) -> None:
    """Ten times too much is not what the expression gave."""
    run.values = [Valued(alert=ALERT, labels=LABELS, received_at=1011.2, low=low, high=high)]
    assert ("notified texts" not in run.failed()) is passes


@pytest.mark.parametrize("allowed", [True, False])
def test_an_alert_that_never_resolves_is_found(run: Run, *, allowed: bool) -> None:
    """Also one that nobody expects and the scenario only allows."""
    run.notifications.pop()
    if allowed:
        run.scenario |= {"expected_alerts": [], "allowed_alerts": [ALERT]}
    stage, summary = run.failed()["notified ends"]
    assert stage is Stage.ROUTE
    assert "was not notified as resolved at warning" in summary


def test_each_receiver_must_hear_of_the_end(run: Run) -> None:
    """One of them did."""
    run.notify(1011.2, receiver="critical")
    assert "not notified as resolved at critical" in run.failed()["notified ends"][1]


@pytest.mark.parametrize("end", [1090.0, 1100.0])
def test_an_alert_that_ended_lately_or_fires_still_need_not_resolve(run: Run, end: float) -> None:
    """A group interval and what a busy machine takes must have passed."""
    run.spans.clear()
    run.fire(1010.0, end)
    run.notifications.pop()
    assert not run.failed()
    assert not run.results()["notified ends"].applicable


def test_a_receiver_that_sends_no_ends_is_found_before_one_is_missed(run: Run) -> None:
    """The configuration is read, too."""
    run.spans.clear()
    run.fire(1010.0, 1100.0)
    run.notifications.pop()
    run.receivers[1] = ReceiverFacts(name="warning", webhooks=1, unresolved=1)
    assert "send_resolved: false" in run.failed()["notified ends"][1]


@pytest.mark.parametrize("grouped", [True, False])
def test_the_same_notification_twenty_times_is_found(run: Run, *, grouped: bool) -> None:
    """Whether one receiver has twenty webhooks, or twenty routes lead to it."""
    for number in range(19):
        run.notify(1011.3)
        if not grouped:
            run.notifications[-1] = replace(run.notifications[-1], group_key=f"group {number}")
    stage, summary = run.failed()["repeated notifications"]
    assert stage is Stage.ROUTE
    assert "20 times with the same content" in summary


def test_an_alert_of_before_makes_a_webhook_another_one(run: Run) -> None:
    """On a used stack its end is sent once more, with an alert of the run that fires on."""
    run.notify(1020.0)
    assert "repeated notifications" in run.failed()
    again = run.notifications[-1]
    over = replace(again, status="resolved", starts_at=900.0, ends_at=950.0)
    run.earlier = [over, replace(over, received_at=1030.0, delivery=99)]
    run.sent = Sent(alerts=9, begun=len(run.notifications) + 1)
    assert not run.failed()


def test_webhooks_of_old_records_are_distinguished_by_their_time(run: Run) -> None:
    """They bear no number."""
    run.notify(1011.2001)
    run.notifications = [replace(n, delivery=None) for n in run.notifications]
    assert "repeated notifications" in run.failed()
    assert not run.results()["deliveries"].applicable


def test_repeats_are_allowed_where_they_are_the_configured_ones(run: Run) -> None:
    """But a repeat_interval of minutes is the defect itself."""
    run.spans.clear()
    run.fire(1010.0, 1100.0)
    run.notifications.pop()
    run.route["repeat_interval"] = "2m"
    run.notify(1011.2 + 120.0)
    assert not run.failed()
    run.route["repeat_interval"] = "20s"
    assert "repeated notifications" in run.failed()


@pytest.mark.parametrize("why", ["limit", "refused", "restart"])
def test_repeats_have_excuses(run: Run, why: str) -> None:
    """The scenario allows them, a request failed, or Alertmanager started anew."""
    run.notify(1020.0)
    assert "repeated notifications" in run.failed()
    if why == "limit":
        run.scenario["limits"] = {"repeats": 2}
    elif why == "refused":
        run.sent = Sent(alerts=9, begun=3, refused=1)
    else:
        run.timeline = [
            StoredEvent(t, "component_started", "alertmanager", {}) for t in (990.0, 1015.0)
        ]
    assert not run.failed()


def test_another_episode_is_no_repeat(run: Run) -> None:
    """It began at another time."""
    run.fire(1050.0, 1060.0)
    run.notify(1056.0, starts_at=1050.0)
    run.notify(1066.0, "resolved", starts_at=1050.0)
    assert not run.failed()


def test_an_alert_that_nobody_was_notified_of_is_found(run: Run) -> None:
    """A second set of labels of an alert that was notified otherwise."""
    run.fire(1010.0, 1040.0, job="other")
    stage, summary = run.failed()["held-back alerts"]
    assert stage is Stage.ROUTE
    assert 'HighErrorRate{job="other", severity="warning"} fired for 30.0 s' in summary


@pytest.mark.parametrize(("end", "due"), [(1017.0, False), (1022.0, True)])
def test_a_living_group_may_take_its_interval(run: Run, end: float, *, due: bool) -> None:
    """Ten seconds here, and six for a busy machine: an alert that ends before may go unheard."""
    run.fire(1004.0, end, job="other")
    assert ("held-back alerts" in run.failed()) is due


def test_an_inhibited_alert_is_named_with_what_inhibits_it(run: Run) -> None:
    """Source and target, and the route's stage, unless the scenario permits it."""
    critical = {"alertname": "APIDown", "severity": "critical"}
    run.fire(1010.0, 1040.0, **critical)
    held = HeldAlert(
        labels={**LABELS, **critical}, kind="inhibited", by='HighErrorRate{job="ml-api"}'
    )
    run.held = [HeldBack(time=1012.0, held=(held,)), HeldBack(time=1041.0)]
    ((name, (stage, summary)),) = run.failed().items()
    assert (name, stage) == ("held-back alerts", Stage.ROUTE)
    assert summary == (
        'APIDown{job="ml-api", severity="critical"} was held back: '
        'it was inhibited by HighErrorRate{job="ml-api"}'
    )
    run.scenario["muted_alerts"] = ["APIDown"]
    assert not run.failed()


def test_an_alert_without_a_recording_webhook_goes_nowhere(run: Run) -> None:
    """Its receiver has none."""
    run.fire(1010.0, 1040.0, alertname="APIDown", severity="critical")
    run.receivers[0] = ReceiverFacts(name="critical", others=("email",))
    assert "receiver critical, without a webhook" in run.failed()["held-back alerts"][1]


def test_webhooks_that_were_sent_and_not_recorded_are_the_receivers_fault(run: Run) -> None:
    """Alertmanager's own counter says that they went out."""
    run.sent = Sent(alerts=9, begun=5)
    assert run.failed() == {
        "deliveries": (
            Stage.RECEIVER,
            "Alertmanager sent 5 webhooks, the receiver recorded 2",
        )
    }
    run.notifications.clear()
    assert run.failed()["held-back alerts"][0] is Stage.RECEIVER


def test_outages_of_the_receiver_are_allowed_for(run: Run) -> None:
    """What it could not take then comes later."""
    run.notifications.pop()
    run.timeline = [
        StoredEvent(1035.0, "component_stopped", "receiver", {}),
        StoredEvent(1085.0, "component_ready", "receiver", {}),
    ]
    assert not run.failed()


@pytest.mark.parametrize(
    ("before", "lasted", "why"),
    [
        (True, 4.0, "5m of production time) (`group_interval`), as its group was notified before"),
        (
            False,
            0.5,
            "and Alertmanager waits for up to 1.0 s (30s of production time) (`group_wait`)",
        ),
        (True, 20.0, "no notification reached the receiver"),
        (False, 4.0, "no notification reached the receiver"),
    ],
)
def test_what_ended_before_its_group_was_notified_again_is_explained(
    run: Run,
    before: bool,  # noqa: FBT001 - a parameter of the test
    lasted: float,
    why: str,
) -> None:
    """Whoever reads the verdict looks for a wrong route in vain."""
    run.spans, run.notifications = [], []
    if before:
        run.fire(1010.0, 1040.0, cause="first")
    run.fire(1012.0, 1012.0 + lasted, cause="second")
    case = run.case()
    phase = PhaseRow(name="burst", start=1000.0, end=1040.0)
    item = case.scenario.expected_alerts[0].model_copy(update={"labels": {"cause": "second"}})
    said = not_notified(case, item, 1012.0, phase)
    assert why in said
    assert ("Alertmanager waits" in said) is ("`group_" in why)


def test_what_ended_early_once_explains_no_later_silence(run: Run) -> None:
    """The longest time that it fired counts: for that it should have been notified."""
    run.spans, run.notifications = [], []
    run.fire(1010.0, 1010.5, cause="second")
    run.fire(1060.0, 1090.0, cause="second", instance="other")
    case = run.case()
    phase = PhaseRow(name="burst", start=1000.0, end=1095.0)
    assert "Alertmanager waits" not in not_notified(
        case, case.scenario.expected_alerts[0], 1010.0, phase
    )

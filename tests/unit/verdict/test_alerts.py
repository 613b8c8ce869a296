"""Alerts: every outcome that an expected or unexpected one can have."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from testbed.checks.results import AlertStatus
from testbed.checks.stages import Stage
from testbed.snapshot import LoadedRule

if TYPE_CHECKING:
    from testbed.checks.results import AlertRow

    from tests.unit.verdict.conftest import World

ALERT = "HighErrorRate"
CHECK = "alert HighErrorRate in burst"


def expected_row(world: World) -> AlertRow:
    """The row of the expected alert."""
    return next(row for row in world.evaluate().alerts if row.expected)


def test_an_alert_in_time_passes_with_its_delays_at_both_scales(world: World) -> None:
    """Delays count from the phase's start and end, in real and in production seconds."""
    row = expected_row(world)
    assert world.evaluate().passed
    assert row.status is AlertStatus.DETECTED
    assert row.fired_at == 1016.0
    assert row.detection is not None
    assert (row.detection.real, row.detection.production) == (7.0, 210.0)
    assert row.detection.allowed_production == 600.0
    assert row.resolution is not None
    assert (row.resolution.real, row.resolution.production) == (8.0, 240.0)


def test_a_missing_rule_is_distinguished_from_one_that_never_fired(world: World) -> None:
    """The reason says that no such rule is loaded."""
    world.silence()
    world.rules = [LoadedRule(name="Other")]
    assert expected_row(world).status is AlertStatus.RULE_MISSING
    assert "no rule of that name is loaded" in world.failed()[CHECK]


def test_a_rule_that_fails_to_evaluate_says_why(world: World) -> None:
    """Prometheus's own error is the reason."""
    world.silence()
    world.rules = [LoadedRule(name=ALERT, health="err", last_error="many-to-many\nmatching")]
    assert expected_row(world).status is AlertStatus.RULE_FAILING
    assert "many-to-many matching" in world.failed()[CHECK]


def test_a_condition_that_was_never_true_never_fired(world: World) -> None:
    """As when the threshold is ten times too high."""
    world.silence()
    assert expected_row(world).status is AlertStatus.NEVER_FIRED
    assert "never true" in world.failed()[CHECK]


def test_an_alert_that_only_pended_names_the_hold_of_its_rule(world: World) -> None:
    """As when ``for`` is an hour."""
    world.silence()
    world.rules = [LoadedRule(name=ALERT, for_=120.0)]
    world.fire(ALERT, 1012.0, 1030.0, "pending")
    assert expected_row(world).status is AlertStatus.NEVER_FIRED
    reason = world.failed()[CHECK]
    assert "pending once, for 18.0 s" in reason
    assert "120.0 s (1h of production time)" in reason


def test_unknown_rules_are_no_missing_rule(world: World) -> None:
    """When Prometheus can't be asked, the verdict does not guess."""
    world.silence()
    world.rules = None
    assert expected_row(world).status is AlertStatus.NEVER_FIRED


def test_an_alert_that_fired_without_a_notification_fails(world: World) -> None:
    """Prometheus had it, the receiver did not; a component that was left out is named."""
    world.notifications.clear()
    world.without = ("receiver",)
    assert expected_row(world).status is AlertStatus.NOT_NOTIFIED
    assert "without receiver" in world.failed()[CHECK]


def test_another_receiver_than_the_scenario_names_does_not_count(world: World) -> None:
    """The alert was notified, but not to whom it should."""
    world.scenario["expected_alerts"][0]["receiver"] = "warning"
    assert expected_row(world).status is AlertStatus.NOT_NOTIFIED
    assert "default was notified in place of warning" in world.failed()[CHECK]
    world.notifications = [replace(n, receiver="warning") for n in world.notifications]
    assert world.evaluate().passed


def test_what_fired_in_time_and_was_held_up_is_the_routes_fault(world: World) -> None:
    """What fired too late is the rule's."""
    world.notifications = [
        replace(n, received_at=n.received_at + 15.0) for n in world.notifications
    ]
    assert world.evaluate().culprit is Stage.ROUTE
    world.spans.clear()
    world.fire(ALERT, 1030.0, 1050.0)
    assert world.evaluate().culprit is Stage.RULE


def test_what_still_fires_at_the_end_is_the_rules_fault(world: World) -> None:
    """What has stopped was not passed on."""
    world.notifications.pop()
    assert world.evaluate().culprit is Stage.ROUTE
    world.spans.clear()
    world.fire(ALERT, 1016.0, 1060.0)
    assert world.evaluate().culprit is Stage.RULE


def test_a_late_alert_fails(world: World) -> None:
    """Ten production minutes are twenty real seconds here."""
    world.silence()
    world.notify(ALERT, 1030.5)
    world.notify(ALERT, 1031.0, "resolved")
    assert expected_row(world).status is AlertStatus.LATE
    assert "10m of production time" in world.failed()[CHECK]


@pytest.mark.parametrize(("at", "passes"), [(1030.0, True), (1030.1, False)])
def test_the_limit_of_the_delay_is_scaled(world: World, at: float, *, passes: bool) -> None:
    """Exactly in time is in time."""
    world.silence()
    world.notify(ALERT, at)
    world.notify(ALERT, at + 1, "resolved")
    assert expected_row(world).passed is passes


def test_an_alert_that_does_not_resolve_fails(world: World) -> None:
    """Also when another instance of the same alert did resolve."""
    world.notify(ALERT, 1018.0, endpoint="/other")
    assert expected_row(world).status is AlertStatus.NOT_RESOLVED
    assert "not notified as resolved" in world.failed()[CHECK]


def test_an_alert_that_resolves_late_fails(world: World) -> None:
    """Twenty production minutes after the phase's end are forty real seconds."""
    world.notifications.pop()
    world.notify(ALERT, 1071.0, "resolved")
    assert expected_row(world).status is AlertStatus.RESOLVED_LATE


def test_resolution_is_not_asked_for_where_the_scenario_does_not(world: World) -> None:
    """An alert without ``resolves_within`` may fire on."""
    world.scenario["expected_alerts"] = [{"alert": ALERT, "phase": "burst", "within": "10m"}]
    world.notifications.pop()
    assert world.evaluate().passed


def test_an_expected_alert_before_its_phase_is_a_false_positive(world: World) -> None:
    """It counts neither as detection nor as allowed, even if it fires on into the phase."""
    world.silence()
    world.fire(ALERT, 1004.0, 1036.0)
    world.notify(ALERT, 1005.0)
    world.notify(ALERT, 1038.0, "resolved")
    assert expected_row(world).status is AlertStatus.EARLY
    assert set(world.failed()) == {CHECK, "unexpected alerts"}


def test_a_phase_that_was_never_played_is_the_reason(world: World) -> None:
    """The load ended too soon."""
    world.timeline = [event for event in world.timeline if event.name == "normal"]
    assert expected_row(world).status is AlertStatus.NOT_PLAYED
    assert {"truth", CHECK} <= set(world.failed())


def test_repeats_and_copies_to_other_receivers_are_one_alarm(world: World) -> None:
    """The first notification counts, whoever got it."""
    world.notify(ALERT, 1020.0)
    world.notifications.sort(key=lambda n: n.received_at)
    row = expected_row(world)
    assert row.notified_at == 1017.0
    assert row.resolved_at == 1038.0


def test_the_same_alert_may_be_expected_twice(world: World) -> None:
    """Each expectation takes the alarms that began in its own phase."""
    world.scenario["expected_alerts"] = [
        {"alert": ALERT, "phase": "burst", "within": "10m"},
        {"alert": ALERT, "phase": "recovery", "within": "10m"},
    ]
    assert list(world.failed()) == ["alert HighErrorRate in recovery"]
    world.notifications = [n for n in world.notifications if n.status == "firing"]
    world.notify(ALERT, 1030.5, "resolved")
    first = world.notifications[0]
    world.notifications.append(
        type(first)(1040.0, "firing", ALERT, first.labels, {}, 1039.0, "default")
    )
    assert world.evaluate().passed


def test_a_notified_alert_that_nobody_expects_is_a_false_positive(world: World) -> None:
    """Its phase and how often it fired are reported."""
    world.notify("HighLatency", 1015.0)
    verdict = world.evaluate()
    (check,) = verdict.failed
    assert check.name == "unexpected alerts"
    assert check.details == (
        "HighLatency: notified 1 time, first in burst: neither expected nor allowed",
    )
    assert verdict.alerts[-1].status is AlertStatus.FALSE_POSITIVE


def test_an_alert_that_only_fired_is_a_false_positive_too(world: World) -> None:
    """Prometheus fired it, though Alertmanager kept it back."""
    world.fire("HighLatency", 1055.0, 1056.0)
    (check,) = world.evaluate().failed
    assert "fired in Prometheus, but was not notified, first outside of every phase" in str(
        check.details
    )


def test_a_pending_alert_is_no_false_positive(world: World) -> None:
    """Pending is what ``for`` is there for."""
    world.fire("HighLatency", 1015.0, 1016.0, "pending")
    assert world.evaluate().passed


def test_an_allowed_alert_is_listed_and_passes(world: World) -> None:
    """It may fire; the table still shows it."""
    world.scenario["allowed_alerts"] = ["HighLatency"]
    world.notify("HighLatency", 1015.0)
    verdict = world.evaluate()
    assert verdict.passed
    assert verdict.alerts[-1].status is AlertStatus.ALLOWED


def test_labels_report_alerts_of_one_name_apart(world: World) -> None:
    """Another cause is not the one that is expected, and is expected nowhere."""
    expected = world.scenario["expected_alerts"][0]
    world.silence()
    for cause in ("silent", "queue"):
        world.notify(ALERT, 1017.0, cause=cause)
        world.notify(ALERT, 1038.0, "resolved", cause=cause)
    expected["labels"] = {"cause": "queue"}
    assert "unexpected alerts" in world.failed()
    assert CHECK not in world.failed()
    expected["labels"] = {"cause": "losing"}
    assert CHECK in world.failed()
    world.scenario["expected_alerts"] = [
        expected | {"labels": {"cause": cause}} for cause in ("silent", "queue")
    ]
    assert world.evaluate().passed

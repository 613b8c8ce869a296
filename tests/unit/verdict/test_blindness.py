"""A monitoring that was blind for a while: what it could not see is not applicable, no failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.checks.results import AlertRow, AlertStatus
from testbed.facts.alertspans import AlertSpan
from testbed.facts.delivery import Delivery
from testbed.records import StoredEvent

if TYPE_CHECKING:
    from typing import Any

    from tests.unit.verdict.conftest import World

ALERT = "HighErrorRate"
CHECK = "alert HighErrorRate in burst"


def gone(world: World, component: str, start: float, end: float | None, **details: Any) -> None:  # noqa: ANN401 - of an event
    """Let a component be gone for a while; for good, where there is no end."""
    details = {"outcome": f"{component} frozen", **details}
    world.timeline.append(StoredEvent(start, "component_gone", component, details))
    if end is not None:
        world.timeline.append(StoredEvent(end, "component_back", component, {}))


def row(world: World) -> AlertRow:
    """The row of the expected alert."""
    return next(row for row in world.evaluate().alerts if row.expected)


def test_an_alert_that_nobody_could_see_is_not_applicable(world: World) -> None:
    """The verdict says since when, until when and why, and passes."""
    world.silence()
    gone(world, "prometheus", 1012.0, 1029.0)
    verdict = world.evaluate()
    found = {check.name: check for check in verdict.checks}
    assert verdict.passed
    assert not found[CHECK].applicable
    assert "at most 2.0 s (1m of production time) of burst" in found[CHECK].summary
    said = found["monitoring blind: prometheus"].summary
    assert "blind from 17.0 s to 34.0 s into the run (prometheus: prometheus frozen)" in said
    assert row(world).status is AlertStatus.BLIND
    assert any("monitoring blind: prometheus" in line for line in verdict.lines())


def test_an_alert_that_had_its_time_in_spite_of_it_is_judged(world: World) -> None:
    """What was over before the phase began took nothing from it."""
    world.silence()
    gone(world, "prometheus", 1002.0, 1009.0)
    assert row(world).status is AlertStatus.NEVER_FIRED
    assert CHECK in world.failed()
    world.timeline.clear()
    gone(world, "receiver", 1012.0, 1029.0)
    assert CHECK in world.failed(), "rules were evaluated, so that it could fire"


def test_the_time_of_an_alert_begins_anew_after_it(world: World) -> None:
    """Allowed are 20 s, from the phase's start or from the end of what blinded."""
    world.silence()
    world.fire(ALERT, 1036.0, 1045.0)
    world.notify(ALERT, 1037.0)
    world.notify(ALERT, 1046.0, "resolved")
    assert row(world).status is AlertStatus.LATE
    gone(world, "prometheus", 1012.0, 1020.0)
    found = row(world)
    assert found.status is AlertStatus.DETECTED
    assert "the monitoring was blind from 17.0 s to 25.0 s" in found.reason


def test_what_fired_while_nobody_could_be_notified_is_not_applicable(world: World) -> None:
    """It is, where it fired on for as long as its routes take."""
    world.silence()
    route = {"receiver": "default", "group_wait": "1s", "group_interval": "1s"}
    fired = AlertSpan(
        alert=ALERT, labels={"alertname": ALERT}, state="firing", start=1016.0, end=1024.0
    )
    world.spans.append(fired)
    gone(world, "alertmanager", 1014.0, 1025.0)
    world.delivery = Delivery(route=route)
    assert row(world).status is AlertStatus.BLIND
    world.spans[:] = [fired.model_copy(update={"end": 1059.0})]
    assert row(world).status is AlertStatus.NOT_NOTIFIED


def test_a_killed_alertmanager_forgets_whom_it_notified(world: World) -> None:
    """One that was only frozen does not."""
    world.notifications.pop()
    world.scenario["expected_alerts"][0]["resolves_within"] = "5m"
    gone(world, "alertmanager", 1034.0, 1038.0)
    assert row(world).status is AlertStatus.NOT_RESOLVED
    world.timeline[-2:] = []
    gone(world, "alertmanager", 1034.0, 1038.0, signal=9)
    assert row(world).status is AlertStatus.BLIND


def test_an_alert_that_had_no_time_to_resolve_is_not_applicable(world: World) -> None:
    """The run ended before those who notify it had been back for as long as it may take."""
    world.notifications.pop()
    gone(world, "receiver", 1034.0, None)
    found = row(world)
    assert found.status is AlertStatus.BLIND
    assert "to 65.0 s into the run (receiver" in found.reason

"""What a scenario says of alerts, against the rules, before anything starts."""

from __future__ import annotations

from typing import Any

import pytest
from testbed.alertneeds import refuse_unknown_alerts
from testbed.errors import UsageError
from testbed.scenario import Scenario

KNOWN: dict[str, list[dict[str, str]]] = {
    "HighErrorRate": [{"severity": "warning"}, {"severity": "{{ .Value }}"}],
    "HighLatency": [{"severity": "warning"}, {"severity": "critical"}],
}
LATENCY = {"HighLatency": KNOWN["HighLatency"]}


def scenario(**changes: Any) -> Scenario:  # noqa: ANN401 - of YAML
    """Two phases, 28 minutes in all."""
    plain: dict[str, Any] = {
        "name": "mine",
        "title": "t",
        "description": "d",
        "phases": [
            {"name": "normal", "duration": "6m", "rate": 5},
            {"name": "burst", "duration": "12m", "rate": 5},
        ],
        "settle": "10m",
        "expected_alerts": [{"alert": "HighErrorRate", "phase": "burst", "within": "22m"}],
        "allowed_alerts": ["HighLatency"],
    }
    return Scenario.model_validate(plain | changes)


def test_what_the_rules_have_passes() -> None:
    """Until the very end of the run."""
    labels = {"severity": "page", "instance": "a"}  # which a template, or a series, may give
    of_a_template = {"alert": "HighErrorRate", "phase": "burst", "within": "9m", "labels": labels}
    for changes in ({}, {"expected_alerts": [of_a_template]}):
        refuse_unknown_alerts(scenario(**changes), KNOWN, own_rules=False)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"expected_alerts": [{"alert": "HighErorRate", "phase": "burst", "within": "1m"}]},
            "it expects the alert HighErorRate, for which there is no rule; did you mean HighErr",
        ),
        (
            {
                "expected_alerts": [
                    {
                        "alert": "HighLatency",
                        "phase": "burst",
                        "within": "9m",
                        "labels": {"severity": "page"},
                    }
                ]
            },
            (
                'it expects the alert HighLatency with severity="page", and each of its rules sets '
                'another: severity="warning"; severity="critical"'
            ),
        ),
        ({"allowed_alerts": ["Foo"]}, "it allows the alert Foo, for which there is no rule"),
        ({"muted_alerts": ["Foo"]}, "it calls muted the alert Foo"),
        (
            {"forbidden_notifications": [{"alert": "Foo", "receiver": "pager"}]},
            "it forbids notifications of the alert Foo",
        ),
        (
            {"expected_alerts": [{"alert": "HighErrorRate", "phase": "burst", "within": "23m"}]},
            "23m after the start of phase burst at the latest, and the run ends 22m after it",
        ),
    ],
)
def test_what_can_not_come_is_refused(changes: dict[str, Any], reason: str) -> None:
    """A misspelt alert, or a time that the run does not have."""
    with pytest.raises(UsageError, match=r"^the scenario mine: ") as caught:
        refuse_unknown_alerts(scenario(**changes), KNOWN, own_rules=False)
    assert reason in str(caught.value)


def test_all_of_it_is_said_at_once() -> None:
    """A line for each."""
    wrong = scenario(allowed_alerts=["Foo", "Bar"])
    with pytest.raises(UsageError) as caught:
        refuse_unknown_alerts(wrong, KNOWN, own_rules=True)
    assert len(str(caught.value).splitlines()) == 2


def test_a_shipped_scenario_may_allow_what_the_users_rules_lack() -> None:
    """What it expects must be there all the same."""
    shipped = scenario(name="error-burst", allowed_alerts=["Foo"])
    refuse_unknown_alerts(shipped, KNOWN, own_rules=True)
    with pytest.raises(UsageError, match="expects the alert HighErrorRate"):
        refuse_unknown_alerts(shipped, LATENCY, own_rules=True)


def test_an_expected_alert_that_is_set_aside_is_named_with_the_reason() -> None:
    """The run would wait for it in vain."""
    aside = ["my.yml: HighErrorRate: changes counts events"]
    with pytest.raises(UsageError, match=r"is set aside: my\.yml: HighErrorRate: changes"):
        refuse_unknown_alerts(scenario(), LATENCY, own_rules=True, aside=aside)

"""Facts of the delivery: the run's routes and rules, Alertmanager's counters, shown values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from testbed.clients.prometheus import Series, SeriesSample
from testbed.errors import StackError, UsageError
from testbed.facts.delivery import Delivery, read_delivery
from testbed.facts.sources import RunSpan, Sources
from testbed.layout import RunLayout
from testbed.scenario import Scenario
from testbed.targets import BundledApi
from testbed.truth import Truth

LABELS = {
    "alertname": "Slow",
    "job": "ml-api",
    "severity": "warning",
    "site": "lab",
    "team": "ml",
}
RULES = {
    "groups": [
        {
            "name": "g",
            "labels": {"team": "ml"},
            "rules": [
                {"record": "r", "expr": "1"},
                {"alert": "Other", "expr": "1"},
                {
                    "alert": "Slow",
                    "expr": "latency > 1",
                    "labels": {"severity": "warning"},
                    "annotations": {"summary": "{{ $value }} s"},
                },
            ],
        }
    ]
}
ALERTMANAGER = {
    "route": {"receiver": "warning"},
    "receivers": [
        {
            "name": "warning",
            "webhook_configs": [
                {"url": "http://127.0.0.1:9080/x", "send_resolved": False},
                {"url": "http://127.0.0.1:9080/x"},
                {"url": "https://example.com/x"},
            ],
            "email_configs": [{"to": "a@b"}],
        }
    ],
}


class Prometheus:
    """Answers as the one of a run; a counter of it begins anew once."""

    def __init__(self, *, broken: bool = False, older: bool = False) -> None:
        self.broken = broken
        self.older = older

    def last_values(self, selector: str, **_: float) -> list[SeriesSample]:
        """What fired."""
        assert selector.startswith("ALERTS")
        return []

    def raw(self, selector: str, *, at: float, window: float) -> list[Series]:
        """Counters."""
        counts = {
            "alertmanager_notifications_total": (3.0, 5.0, 1.0),
            "alertmanager_notifications_failed_total": (0.0, 1.0),
        }
        values = counts.get(selector.partition("{")[0], ())
        points = tuple((at, value) for value in values)
        if self.older and window > 100.0:
            points = tuple((at - 150.0, value) for value in (1.0, 2.0)) + points
        return [Series({"reason": "other"}, points)] if points else []

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[Series]:
        """What the rule's expression gave."""
        if self.broken:
            raise StackError("no such function")
        assert expression == "latency > 1"
        assert start < 1020.0 < end
        own = {"job": "ml-api", "__name__": "latency"}
        other = {"job": "other", "__name__": "latency"}
        points = ((end - step, 2.0), (end, 3.0))
        return [Series(own, points), Series(other, ((end, 99.0),))]


def read(
    root: Path, prometheus: Prometheus, *, times: int = 1, born: float | None = None
) -> Delivery:
    """The facts of a run that was notified of one alert, some times in the same words."""
    layout = RunLayout(root).create()
    (layout.config / "rules").mkdir()
    documents: dict[str, Any] = {
        "alertmanager.yml": ALERTMANAGER,
        "prometheus.yml": {"global": {"external_labels": {"site": "lab"}}},
        "rules/g.yml": RULES,
    }
    for name, document in documents.items():
        (layout.config / name).write_text(yaml.safe_dump(document))
    line = {"alertname": "Slow", "labels": LABELS, "received_at": 1020.0, "ends_at": None}
    lines = [line | {"received_at": 1020.0 + 10 * number} for number in range(times)]
    layout.notifications.write_text("".join(json.dumps(each) + "\n" for each in lines))
    held = {"time": 1.0, "held": [{"labels": LABELS, "kind": "muted", "by": "night"}]}
    layout.held_back.write_text(json.dumps(held) + "\n")
    return read_delivery(sources(layout, prometheus, born))


def sources(layout: RunLayout, prometheus: Prometheus, born: float | None = None) -> Sources:
    """What facts are read from."""
    scenario = Scenario.model_validate(
        {
            "name": "s",
            "title": "S",
            "description": "",
            "phases": [{"name": "p", "duration": "1m", "rate": 1}],
        }
    )
    return Sources(
        prometheus=prometheus,  # type: ignore[arg-type] # a fake
        alertmanager=object(),  # type: ignore[arg-type] # it is only known to be there
        layout=layout,
        scenario=scenario,
        factor=30.0,
        truth=Truth(None, None, (), (), ()),
        target=BundledApi(),
        target_pages={},
        log_url="",
        span=RunSpan(1000.0, 1100.0, 0.5, born),
    )


def test_configuration_counters_and_values_are_read(tmp_path: Path) -> None:
    """Only of rules that matter, and only what this machine records."""
    facts = read(tmp_path, Prometheus())
    (receiver,) = facts.receivers
    assert (receiver.webhooks, receiver.unresolved, receiver.others) == (2, 1, ("email",))
    (rule,) = facts.rules
    assert (rule.alert, rule.labels) == ("Slow", {"team": "ml", "severity": "warning"})
    assert facts.held is not None
    assert facts.held[0].held[0].by == "night"
    assert facts.external == {"site": "lab"}
    assert Delivery.model_validate_json(facts.model_dump_json()) == facts


def test_counters_go_on_over_a_restart_of_alertmanager(tmp_path: Path) -> None:
    """A value below the one before it began from nothing."""
    sent = read(tmp_path, Prometheus()).sent
    assert sent is not None
    assert (sent.begun, sent.failed, sent.reasons) == (6, 1, ("other",))


def test_what_a_running_stack_has_sent_before_the_run_is_not_the_runs(tmp_path: Path) -> None:
    """An older counter counts from its first scrape in the run."""
    sent = read(tmp_path, Prometheus(older=True), born=400.0).sent
    assert sent is not None
    assert (sent.begun, sent.failed) == (2 + 1, 1)


def test_the_value_is_that_of_the_alerts_own_series(tmp_path: Path) -> None:
    """Labels of the rule and of Prometheus itself are no labels of the series."""
    (valued,) = read(tmp_path, Prometheus()).values
    assert (valued.low, valued.high) == (2.0, 3.0)


def test_the_value_of_what_is_repeated_is_asked_for_once(tmp_path: Path) -> None:
    """The repeats of a heartbeat leave room for other alerts."""
    (valued,) = read(tmp_path, Prometheus(), times=60).values
    assert valued.received_at == 1020.0


def test_a_rule_that_can_not_be_evaluated_leaves_its_values_out(tmp_path: Path) -> None:
    """It is reported elsewhere, and all else is read."""
    facts = read(tmp_path, Prometheus(broken=True))
    assert facts.values == ()
    assert facts.route == {"receiver": "warning"}


def test_a_route_that_can_not_be_read_is_a_problem(tmp_path: Path) -> None:
    """One line that shows it."""
    layout = RunLayout(tmp_path).create()
    broken = {"route": {"receiver": "r", "matchers": ["a=~("]}}
    (layout.config / "alertmanager.yml").write_text(yaml.safe_dump(broken))
    with pytest.raises(UsageError, match="the matcher"):
        read_delivery(sources(layout, Prometheus()))


def test_a_run_without_configuration_has_no_facts(tmp_path: Path) -> None:
    """As one that was made before there were any."""
    layout = RunLayout(tmp_path).create()
    assert read_delivery(sources(layout, Prometheus())) == Delivery()

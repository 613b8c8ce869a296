"""Selectors that match nothing: typos fail, what only did not happen does not."""

from __future__ import annotations

import pytest
from testbed.checks.stages import Stage
from testbed.facts.rulehealth import RuleHealth, RuleState
from testbed.facts.selectors import Culprit, IdleSelector, selectors
from testbed_rules.selectors import LabelMatcher

from .conftest import ALERT, World

COUNT = "http_server_request_duration_seconds_count"


def test_selectors_are_found_but_not_below_absent() -> None:
    """In ranges, subqueries, aggregations and on both sides; absent() may match nothing."""
    found = selectors(
        'sum by (job) (rate(a{x="1", y!~"2.*"}[5m])) > 0 and on (job) '
        "max_over_time(max by (job) (b)[5m:1m]) or absent(c) or absent_over_time(d[1m])"
    )
    assert list(map(str, found)) == ['a{x="1", y!~"2.*"}', "b{}"]
    (named,) = selectors('{__name__="a",x="1"}')
    assert str(named) == 'a{x="1"}'
    assert selectors('{x="1"}') == (), "it names no metric"
    assert selectors("this is not PromQL") == ()


@pytest.mark.parametrize(
    ("operator", "value", "text", "passes"),
    [
        ("=", "a", "a", True), ("=", "a", "", False), ("!=", "a", "", True),
        ("=~", "5..", "500", True), ("=~", "5..", "5000", False), ("!~", "5..", "200", True),
        ("=~", "(?P<x", "anything", True),
    ],
)  # fmt: skip
def test_matchers_match_as_in_prometheus(
    operator: str, value: str, text: str, *, passes: bool
) -> None:
    """Expressions are anchored; one that Python can't read is given the benefit of the doubt."""
    assert LabelMatcher("x", operator, value).matches(text) is passes


def idle(
    label: str,
    value: str,
    *values: str,
    metric: str = COUNT,
    operator: str = "=",
    rule: str = "Other",
    series: int = 3,
) -> IdleSelector:
    """A selector with one matcher that matches nothing."""
    culprit = Culprit(
        label=label, operator=operator, value=value, known=bool(values), values=values
    )
    labels = ("http_request_method", "http_response_status_code", "http_route", "instance", "job")
    return IdleSelector(
        rules=(rule,), selector=f'{metric}{{{label}{operator}"{value}"}}', metric=metric,
        series=series, labels=labels, culprits=(culprit,),
    )  # fmt: skip


def evaluated(world: World, found: IdleSelector, *, custom: bool = False) -> str | None:
    """Summary of the failed check, or None."""
    state = RuleState(name="Other", kind="alerting", group="g", health="ok")
    world.rulehealth = RuleHealth(groups=1, rules=(state,), idle=(found,))
    world.run = {"custom_rules": custom}
    checks = {check.name: check for check in world.evaluate().checks}
    check = checks["rule selectors"]
    assert check.stage is Stage.RULE
    return None if check.passed else check.summary


@pytest.mark.parametrize(
    ("found", "complaint"),
    [
        (idle("job", "ml-apii", "ml-api"), "did you mean ml-api?"),
        (idle("http_response_status", "500"), "none has a label http_response_status"),
        (idle("http_response_status_code", "5xx", "200", operator="=~"), "can't be 5xx"),
        (idle("http_route", "/predit", "/predict"), "did you mean /predict?"),
        (
            idle("decision", "ALARM", "ALERT", metric="ml_drift_decision"),
            "decision can't be ALARM",
        ),
        (
            idle("name", "notfy", "scrape", metric="prometheus_sd_discovered_targets"),
            "name can't be notfy",
        ),
        (idle("exporterr", "x", metric="up").model_copy(update={"labels": ("exporter",)}),
         "did you mean exporter?"),
        (idle("job", "x", metric="ml_data_drift_rati", series=0).model_copy(
            update={"culprits": ()}), "did you mean ml_data_drift_ratio?"),
    ],
)  # fmt: skip
def test_typos_fail_in_shipped_and_own_rules(
    world: World, found: IdleSelector, complaint: str
) -> None:
    """A name that looks like another, or a value that can't be."""
    assert complaint in str(evaluated(world, found))
    assert complaint in str(evaluated(world, found, custom=True))


@pytest.mark.parametrize(
    "found",
    [
        # As in a run without Alertmanager.
        idle("name", "notify", "scrape", metric="prometheus_sd_discovered_targets"),
        idle("http_response_status_code", "5..", "200", operator="=~"),
        idle("error_type", "500"),
        idle("job", "x", metric="ml_retraining_state", series=0),
        idle("cause", "concept", "concept", metric="ml_drift_decision_cause", operator="!="),
        idle("http_route", "/labels", "/predict"),
    ],
)
def test_what_only_did_not_happen_is_no_finding(world: World, found: IdleSelector) -> None:
    """No error, no retraining, no label: the selector is right all the same."""
    assert evaluated(world, found) is None


def test_a_component_that_was_left_out_has_no_series(world: World) -> None:
    """By the user's own wish."""
    found = idle("job", "otel-collector", "ml-api", metric="up")
    assert evaluated(world, found) is not None
    world.without = ("collector",)
    assert evaluated(world, found) is None


def test_own_rules_on_what_the_testbed_does_not_know_are_only_mentioned(world: World) -> None:
    """Unless the scenario expects the alert."""
    found = idle("job", "shop", "ml-api", metric="up")
    assert evaluated(world, found, custom=True) is None
    checks = {check.name: check for check in world.evaluate().checks}
    assert checks["rule selectors"].details[0].startswith("warning: Other: the selector")
    assert evaluated(world, idle("job", "shop", "ml-api", rule=ALERT), custom=True) is not None


@pytest.mark.parametrize("without", [(), ("collector",)])
def test_a_metric_that_a_component_always_has_must_be_there(
    world: World, without: tuple[str, ...]
) -> None:
    """Dropped at the scrape, say; where there is no Collector, it has none."""
    metric = "otelcol_exporter_queue_size"
    lost = IdleSelector(rules=("TelemetryPipelineDown",), selector=metric, metric=metric, series=0)
    world.rulehealth = RuleHealth(
        groups=1,
        rules=(RuleState(name="Other", kind="alerting", group="g", health="ok"),),
        idle=(lost,),
    )
    world.without = without
    check = next(check for check in world.evaluate().checks if check.name == "rule series")
    assert check.stage is Stage.PROMETHEUS
    assert check.passed is bool(without)
    assert check.passed or "Prometheus holds no otelcol_exporter_queue_size" in check.summary

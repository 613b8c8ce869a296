"""The tests of the rules notice every small mistake in a rule: each mutant fails one of them.

The verdict of a run takes these tests for a second witness of what the rules say, so a mistake that
they let pass would be in no verdict either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import promql_parser as promql
import pytest
import yaml
from testbed.stack.asking import ask_tool
from testbed.stack.build import find
from testbed_rules.conditions import (
    Condition,
    Leaf,
    comparisons,
    exchanged,
    read_condition,
    written,
)
from testbed_rules.mutants import mutants
from testbed_rules.parsing import nodes_of, parse
from testbed_rules.replay import RuleTiming
from testbed_rules.rulefiles import read_rules
from testbed_rules.timescale import format_duration, parse_duration

from tests.support.yamltext import load_yaml

REPOSITORY = Path(__file__).parents[2]
RULES = [
    pytest.param(
        name, rule, id="-".join(filter(None, (rule["alert"], rule["labels"].get("cause"))))
    )
    for name, document in read_rules(REPOSITORY / "prometheus/rules").items()
    for group in document["groups"]
    for rule in group["rules"]
]
STEP = 15.0
NEAR = 0.1
NEAR_ZERO = 0.005  # one in a range of five minutes is less

# Mutants that no series can distinguish from the rule, with the reason.
ALIKE = {
    ("HighErrorRate", "> becomes >="): "a rate is never exactly the limit",
    ("HighLatency", "> becomes >="): "a quantile is never exactly the limit",
    ("SlowInference", "> becomes >="): "a quantile is never exactly the limit",
    ("ConceptDrift", 'cause="concept" of ml_drift_decision_cause dropped'): (
        "`unless` drops the other causes"
    ),
    ("DriftJobStale", 'job="drift-job" of ml_drift_job_last_completed_timestamp_seconds dropped'): (
        "`and on (job)` has it on its other side"
    ),
    ("TelemetryPipelineDown", 'job="otel-collector" of otelcol_exporter_queue_size dropped'): (
        "the division has it on its other side"
    ),
    ("TelemetryPipelineDown", 'job="otel-collector" of otelcol_exporter_queue_capacity dropped'): (
        "the division has it on its other side"
    ),
    ("TelemetryPipelineDown", 'job="ml-api" of ml_model_loaded dropped'): (
        "`unless on (job, instance)` has it on its other side"
    ),
    ("PredictionLogSpooling", "limit 0.005"): "rows are whole numbers",
    ("PrometheusTSDBFailing", "limit 0.005"): "failures are whole numbers",
    ("PrometheusNotConnectedToAlertmanagers", "limit ÷ 2"): "Alertmanagers are whole numbers",
    ("PrometheusNotConnectedToAlertmanagers", "limit ÷ 10"): "Alertmanagers are whole numbers",
    ("PrometheusNotConnectedToAlertmanagers", "limit 0.9"): "Alertmanagers are whole numbers",
    **{
        ("PrometheusNotConnectedToAlertmanagers", f'job="prometheus" of {metric} dropped'): (
            "`and on (job, instance)` has it on its other side"
        )
        for metric in (
            "prometheus_notifications_alertmanagers_discovered",
            "prometheus_sd_discovered_targets",
        )
    },
    **{
        (
            "PrometheusErrorSendingAlertsToAnyAlertmanager",
            f'job="prometheus" of prometheus_notifications_{metric}_total dropped',
        ): "the division or the sum has it on its other side"
        for metric in ("errors", "sent")
    },
}


def close(condition: Condition, timing: RuleTiming) -> Iterator[tuple[str, Condition, RuleTiming]]:
    """Mistakes that are smaller than those of :func:`mutants`."""
    for part in comparisons(condition):
        # What is compared with 0 or 1 by equality has no limit that could be a little off.
        if part.operator in {">", ">=", "<", "<="}:
            for change in (NEAR, -NEAR) if part.limit else (NEAR_ZERO,):
                limit = part.limit * (1 + change) if part.limit else change
                mutant = replace(part, limit=limit)
                yield f"limit {limit:g}", exchanged(condition, part, mutant), timing
    for for_ in (timing.for_ + STEP, timing.for_ - STEP):
        if for_ >= 0:
            yield f"`for` {for_:g} s", condition, replace(timing, for_=for_)
    # What never ends has nothing to be kept for.
    for keep_firing in () if holds_always(condition) else (2 * STEP, 300.0):
        yield (
            f"`keep_firing_for` {keep_firing:g} s",
            condition,
            replace(timing, keep_firing=keep_firing),
        )


def holds_always(condition: Condition) -> bool:
    """Whether it neither asks for a series nor compares, such as ``vector(1)``."""
    return isinstance(condition, Leaf) and not any(
        isinstance(node, promql.VectorSelector | promql.MatrixSelector | promql.BinaryExpr)
        for node in nodes_of(parse(condition.text))
    )


def mistaken(rule: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each mistake in words, and the rule with it."""
    condition = read_condition(rule["expr"])
    timing = RuleTiming(
        *(parse_duration(str(rule.get(key, "0"))) for key in ("for", "keep_firing_for"))
    )
    found = [(each.text, each.condition, each.timing) for each in mutants(condition, timing)]
    for text, changed, times in (*found, *close(condition, timing)):
        durations = {"for": times.for_, "keep_firing_for": times.keep_firing}
        yield (
            text,
            rule
            | {"expr": written(changed)}
            | {key: format_duration(value) for key, value in durations.items()},
        )


def own_tests(name: str, rule: dict[str, Any]) -> list[dict[str, Any]]:
    """The tests that look at a rule, without what they say of others."""
    path = REPOSITORY / "prometheus/rules_test" / name
    found = []
    for test in load_yaml(path.read_text())["tests"]:
        mine = [each for each in test["alert_rule_test"] if each["alertname"] == rule["alert"]]
        expected = [alert["exp_labels"] for each in mine for alert in each.get("exp_alerts", ())]
        if mine and (not expected or any(rule["labels"].items() <= e.items() for e in expected)):
            found.append(test | {"alert_rule_test": mine})
    return found


@pytest.mark.parametrize(("name", "rule"), RULES)
def test_every_mistake_in_a_rule_fails_a_test(
    run_tool: Callable[..., str], tmp_path: Path, name: str, rule: dict[str, Any]
) -> None:
    """Limits, comparisons, durations, ranges, quantiles, matchers and labels, also by a little."""
    run_tool("promtool", "--version")  # is skipped where there is none
    document = read_rules(REPOSITORY / "prometheus/rules")[name]
    # Others of the same name can make an alert of it, too.
    others = [
        other
        for group in document["groups"]
        for other in group["rules"]
        if other["alert"] == rule["alert"] and other != rule
    ]
    tests = own_tests(name, rule)
    made: dict[str, str] = {}
    for index, (text, changed) in enumerate((("the rule itself", rule), *mistaken(rule))):
        rules = {"groups": [{"name": "mutants", "rules": [changed, *others]}]}
        content = {"rule_files": [f"{index}.rules"], "evaluation_interval": "15s", "tests": tests}
        (tmp_path / f"{index}.rules").write_text(yaml.safe_dump(rules))
        (tmp_path / f"{index}.yml").write_text(yaml.safe_dump(content))
        made[str(tmp_path / f"{index}.yml")] = text
    report = tmp_path / "junit.xml"
    ask_tool([find().path("promtool"), "test", "rules", f"--junit={report}", *made])
    suites = list(ET.fromstring(report.read_text()).iter("testsuite"))  # noqa: S314 - by promtool
    assert {suite.get("name") for suite in suites} == set(made)
    survivors = {
        made[suite.get("name", "")]
        for suite in suites
        if not any(len(case) for case in suite.iter("testcase"))
    }
    alike = {text for alert, text in ALIKE if alert == rule["alert"]}
    assert survivors - alike == {"the rule itself"}

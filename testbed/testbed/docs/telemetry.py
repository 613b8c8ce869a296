"""The pages of metrics and alerts, from the vocabulary and the rules."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, Final

from testbed_otel import names
from testbed_rules.rulefiles import read_rules

from testbed.docs.markdown import code, codes, fence, section, table
from testbed.heartbeat import always_fires
from testbed.resources import scenario_files, shipped_rules
from testbed.scenario import read_scenario

REFERENCE: Final = "docs/reference"
STATUS_DIGITS: Final = 3
JOBS: Final = (
    (names.JOB_API, "OTLP; scraped for `up` only", "the API"),
    (names.SERVICE_DRIFT, "OTLP", "the drift job"),
    (names.JOB_COLLECTOR, "scraped", "the Collector's own metrics"),
    (names.JOB_PROMETHEUS, "scraped", "Prometheus's own metrics"),
    (names.JOB_ALERTMANAGER, "scraped", "Alertmanager's own metrics"),
    (names.JOB_NODE, "scraped", "the machine, by node_exporter"),
    ("cadvisor", "scraped", "the containers, under Compose only"),
)


UNPROVOKED: Final = {
    "PrometheusNotConnectedToAlertmanagers": "a Prometheus that knows no Alertmanager can notify "
    "nobody of it, and a scenario asks for notifications; the heartbeat is missing instead, which "
    "`testbed selftest --only heartbeat-unsent` shows",
}
"""Alerts that no shipped scenario makes fire, and why."""


def metrics() -> str:
    """The page of the metrics."""
    histograms = [metric for metric in names.METRICS if metric.buckets]
    return section(
        "# Metrics",
        "All that rules, dashboards and checks may use, from `testbed_otel.names`. Every series "
        "also carries `job`, the service's name, and `instance`, its `service.instance.id`: new at "
        "every start, so that two starts never share a counter.",
        "## Metrics of the testbed",
        table(
            ("OpenTelemetry name", "series in Prometheus", "kind", "unit", "labels", "what"),
            (
                (
                    code(metric.name),
                    codes(metric.prometheus_series),
                    metric.kind,
                    code(metric.unit),
                    _labels(metric),
                    metric.help,
                )
                for metric in names.METRICS
            ),
        ),
        "## Buckets",
        table(
            ("histogram", "upper bounds"),
            (
                (code(metric.name), " ".join(f"{bound:g}" for bound in metric.buckets))
                for metric in histograms
            ),
        ),
        "## Jobs",
        table(("job", "how it comes", "what"), ((code(job), *rest) for job, *rest in JOBS)),
        "## Series of other programs",
        "Used by rules, dashboards or checks; their meaning is in the documentation of Prometheus, "
        "the Collector, the OpenTelemetry SDK, node_exporter and cAdvisor.",
        "\n".join(f"- `{name}`" for name in names.FOREIGN_SERIES),
    )


def _labels(metric: names.Metric) -> str:
    allowed = dict(metric.values)
    return ", ".join(
        code(names.label(attribute))
        + (f" ({_values(allowed[attribute])})" if attribute in allowed else "")
        for attribute in metric.attributes
    )


def _values(values: tuple[str, ...]) -> str:
    """The values as code; three-digit numbers, of which there are many, by first and last."""
    numbers = [value for value in values if value.isdigit() and len(value) == STATUS_DIGITS]
    if not numbers:
        return codes(values)
    others = [value for value in values if value not in numbers]
    return f"{code(numbers[0])} to {code(numbers[-1])}, {codes(others)}"


def rules() -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """Name of an alert to its rules, each with the name of its file."""
    found: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for file, document in read_rules(shipped_rules()).items():
        for rule in (rule for group in document["groups"] for rule in group["rules"]):
            found.setdefault(rule["alert"], []).append((file, rule))
    return found


def alerts() -> str:
    """The page of the alerts."""
    found, scenarios = rules(), expecting()
    return section(
        "# Alerts",
        "Durations are production durations; a run divides them by its time scale. Each rule has a "
        "promtool test that fires and, but for the heartbeat, one that stays silent, in "
        "`prometheus/rules_test/`. "
        "[Write your own](../how-to/write-rules.md).",
        table(
            ("alert", "severity", "for", "summary"),
            (
                (f"[{alert}](#{alert.lower()})", *_facts(rule))
                for alert, rules_of_it in found.items()
                for _, rule in rules_of_it
            ),
        ),
        *(
            block
            for alert, items in found.items()
            for block in _alert(alert, items, scenarios.get(alert, ()))
        ),
    )


def _facts(rule: dict[str, Any]) -> tuple[str, str, str]:
    return rule["labels"]["severity"], rule.get("for", "0s"), rule["annotations"]["summary"]


def _alert(
    alert: str, items: list[tuple[str, dict[str, Any]]], scenarios: Sequence[str]
) -> Iterator[str]:
    file, rule = items[0]
    target = rule["annotations"]["runbook_url"]
    source = f"prometheus/rules/{file}"
    yield f"## {alert}"
    yield (
        f"[Runbook]({_relative(target)}), [rule]({_relative(source)}). "
        f"Must fire in: {_provoked(alert, rule['expr'], scenarios)}."
    )
    for _, each in items:
        severity, for_, summary = _facts(each)
        others = {name: text for name, text in each["labels"].items() if name != "severity"}
        more = "".join(f", `{name}={text}`" for name, text in others.items())
        yield f"{summary} ({severity}, for {for_}{more})"
        yield fence(each["expr"], "promql")


def _provoked(alert: str, expression: str, scenarios: Sequence[str]) -> str:
    """By which scenarios, or why by none."""
    if always_fires(expression):
        return "every scenario, all the time"
    expected = [f"[{name}](scenarios/{name}.md)" for name in scenarios]
    return ", ".join(expected) or f"no shipped scenario, for {UNPROVOKED[alert]}"


def expecting() -> dict[str, list[str]]:
    """Name of an alert to those of the shipped scenarios that expect it."""
    found: dict[str, list[str]] = {}
    for name, path in scenario_files().items():
        for alert in dict.fromkeys(item.alert for item in read_scenario(path).expected_alerts):
            found.setdefault(alert, []).append(name)
    return found


def _relative(path: str) -> str:
    return os.path.relpath(path, REFERENCE)

"""The pages of scenarios and drifts, from the scenario files and the registry of drifts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from testbed_domain.use_cases import USE_CASES
from testbed_load.drifts import DRIFTS

from testbed.coverage import alert_coverage, coverage_text, covering_text
from testbed.docs.markdown import code, codes, section, table
from testbed.facts.configured import read_groups
from testbed.resources import root, scenario_files
from testbed.scenario import (
    Drift,
    ExpectedAlert,
    Phase,
    RequestLimits,
    Scenario,
    read_scenario,
)
from testbed.timescale import format_duration

FOLDER: Final = "../../scenarios"


def scenarios() -> str:
    """The page of the scenarios."""
    found = {name: read_scenario(path) for name, path in scenario_files().items()}
    covered = alert_coverage(read_groups(root() / "prometheus" / "rules"), found)
    return section(
        "# Scenarios",
        "Played by `testbed run NAME`. Durations are production durations; a run divides them by "
        "its time scale, and rates are real requests per second. The real duration is that of the "
        "load; starting takes some seconds more, and settling at most what is given. An alert that "
        "is not listed must not fire. [Write your own](../how-to/bring-your-own.md#scenarios); "
        "[the schema](scenario.schema.json).",
        table(
            ("scenario", "must fire", "drift decision", "time scale", "real duration"),
            ((_link(name), *_overview(item)) for name, item in found.items()),
        ),
        "## Coverage",
        f"{coverage_text(covered)}. `testbed scenarios --rules FOLDER` shows the same of your own "
        "rules; each verdict says which alerts its run exercised.",
        table(
            ("alert", "exercised by"),
            (
                (_alert(alert), covering_text([*map(_link, by)], found))
                for alert, by in covered.items()
            ),
        ),
        *(block for name, item in found.items() for block in _scenario(name, item)),
    )


def _link(name: str) -> str:
    return f"[{name}](#{name})"


def _overview(item: Scenario) -> tuple[str, ...]:
    return (
        ", ".join(dict.fromkeys(_alert(alert.alert) for alert in item.expected_alerts))
        or "nothing",
        _decision(item),
        f"{item.time_scale:g}",
        f"{item.duration / item.time_scale:.0f} s, settling {item.settle / item.time_scale:.0f} s",
    )


def _decision(item: Scenario) -> str:
    grounds = f" on {', '.join(item.expected_causes)}" if item.expected_causes else ""
    return " or ".join(map(code, item.expected_decision)) + grounds


def _scenario(name: str, item: Scenario) -> Iterator[str]:
    yield f"## {name}"
    yield " ".join(item.description.split())
    yield (
        f"[File]({FOLDER}/{name}.yaml). Use case {code(item.use_case)}, time scale "
        f"{item.time_scale:g}. Labels: {item.labels.share:.0%} of the predictions, "
        f"{format_duration(item.labels.delay)} later. Limits: {_limits(item.limits)}."
        f"{_settings(item)}"
    )
    yield table(
        ("phase", "duration", "real", "rate", "drift", "faults"),
        (_phase(phase, item.time_scale) for phase in item.phases),
    )
    if item.expected_alerts:
        yield table(
            ("must fire", "from the start of", "notified within", "resolved within, from its end"),
            (_expected(alert) for alert in item.expected_alerts),
        )
    if item.allowed_alerts:
        yield f"May fire: {', '.join(map(_alert, item.allowed_alerts))}."


def _settings(item: Scenario) -> str:
    """What it sets of its parts."""
    parts = item.settings
    variables = {**parts.api_environment, **parts.drift_environment}
    found = [code(f"{name}={value}") for name, value in variables.items()]
    if size := parts.collector.queue_size:
        found.append(f"a queue of {size} batches in the Collector")
    return f" Settings: {', '.join(found)}." if found else ""


def _phase(phase: Phase, factor: float) -> tuple[str, ...]:
    return (
        phase.name,
        format_duration(phase.duration),
        f"{phase.duration / factor:.0f} s",
        f"{phase.rate:g}/s",
        _drift(phase.drift) if phase.drift else "",
        "; ".join(fault.description for fault in phase.faults),
    )


def _drift(drift: Drift) -> str:
    where = f", only {drift.only.words}" if drift.only else ""
    return f"[{drift.name}](drifts.md), severity {drift.severity:g}{where}"


def _expected(alert: ExpectedAlert) -> tuple[str, ...]:
    over = alert.resolves_within
    labels = "".join(f", {name} {code(value)}" for name, value in alert.labels.items())
    return (
        f"{_alert(alert.alert)}{labels}",
        alert.phase,
        format_duration(alert.within),
        "not asked for" if over is None else format_duration(over),
    )


def _limits(limits: RequestLimits) -> str:
    return (
        f"{limits.error_share:.0%} errors, 95th percentile {limits.p95_seconds:g} s, "
        f"{limits.lost_requests} lost requests"
    )


def _alert(name: str) -> str:
    return f"[{name}](alerts.md#{name.lower()})"


def drifts() -> str:
    """The page of the drifts."""
    cases = USE_CASES.values()
    return section(
        "# Drifts",
        "What a phase of a scenario, or `testbed load drifted`, does to the rows before they are "
        "sent. Severity 0 changes nothing, 1 is what stands here, more changes more. No row is "
        "made that the API would refuse: numbers stay within the bounds of their column. The label "
        "of a row stays what it was, except under `concept_drift`.",
        table(
            ("drift", "at severity 1", *(f"columns in {case.name}" for case in cases)),
            (
                (
                    code(drift.name),
                    drift.description,
                    *(
                        codes(feature.name for feature in drift.columns(case.schema))
                        or ("none: labels only" if drift.of_labels else "none: can't be used")
                        for case in cases
                    ),
                )
                for drift in DRIFTS.values()
            ),
        ),
    )

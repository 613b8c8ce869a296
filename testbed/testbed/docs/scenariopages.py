"""A page for each scenario: what it plays, and what must come of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from testbed_load.plan import PhaseDrift
from testbed_rules.timescale import format_duration

from testbed.docs.markdown import code, fence, section, table
from testbed.resources import scenario_files
from testbed.scenario import ExpectedAlert, Phase, RequestLimits, Scenario, read_scenario

FOLDER: Final = "../../../scenarios"


def scenario_pages() -> dict[str, str]:
    """Content of each page by its file name below the reference."""
    return {
        f"scenarios/{name}.md": section(*_blocks(name, read_scenario(path)))
        for name, path in scenario_files().items()
    }


def _blocks(name: str, item: Scenario) -> Iterator[str]:
    yield f"# {name}"
    yield " ".join(item.description.split())
    yield (
        f"[File]({FOLDER}/{name}.yaml). Use case {code(item.use_case)}, time scale "
        f"{item.time_scale:g}. Labels: {item.labels.ratio:.0%} of the predictions, "
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
    if item.assertions:
        yield table(
            ("asserted", "must hold", "else"),
            ((each.name, each.words, each.severity) for each in item.assertions),
        )
    if item.allowed_alerts:
        yield f"May fire: {', '.join(map(_alert, item.allowed_alerts))}."
    if item.muted_alerts:
        yield f"May be held back by Alertmanager: {', '.join(map(_alert, item.muted_alerts))}."
    yield (
        f"Every other alert must not fire. Most severe decision of the drift job: {decision(item)}."
    )
    yield fence(f"testbed run {name}", "")
    yield "[All scenarios](../scenarios.md)"


def _settings(item: Scenario) -> str:
    """What it sets of its components."""
    components = item.settings
    variables = {**components.api_environment, **components.drift_environment}
    found = [code(f"{name}={value}") for name, value in variables.items()]
    if components.api.keys:
        found.append("an API that demands keys")
    if size := components.collector.queue_size:
        found.append(f"a queue of {size} batches in the Collector")
    return f" Settings: {', '.join(found)}." if found else ""


def _phase(phase: Phase, factor: float) -> tuple[str, ...]:
    return (
        phase.name,
        format_duration(phase.duration),
        f"{phase.duration / factor:.0f} s",
        phase.load,
        _drift(phase.drift) if phase.drift else "",
        "; ".join(fault.description for fault in phase.faults),
    )


def _drift(drift: PhaseDrift) -> str:
    return f"[{drift.name}](../drifts.md), {drift.words}"


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
        f"{limits.error_ratio:.0%} errors, 95th percentile {limits.p95_seconds:g} s, "
        f"{limits.lost_requests} lost requests"
    )


def _alert(name: str) -> str:
    return f"[{name}](../alerts.md#{name.lower()})"


def decision(item: Scenario) -> str:
    """What the drift job must decide, and on what."""
    grounds = f" on {', '.join(item.expected_causes)}" if item.expected_causes else ""
    return " or ".join(map(code, item.expected_decision)) + grounds

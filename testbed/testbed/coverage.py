"""Which alert is exercised by which scenario, over all scenarios and any folder of rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.heartbeat import heartbeat_names

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from testbed.facts.configured import ConfiguredGroup
    from testbed.scenario import Scenario


def alert_coverage(
    groups: Iterable[ConfiguredGroup], scenarios: Mapping[str, Scenario]
) -> dict[str, tuple[str, ...]]:
    """Alert of the rules, in their order, to the scenarios that expect it; a heartbeat to all.

    Args:
        groups: of the rule files.
        scenarios: by name.
    """
    rules = [rule for group in groups for rule in group.rules if rule.kind == "alerting"]
    alerts = dict.fromkeys(rule.name for rule in rules)
    beating = heartbeat_names((rule.name, rule.expression) for rule in rules)
    return {
        alert: tuple(
            name
            for name, scenario in scenarios.items()
            if alert in beating or any(i.alert == alert for i in scenario.expected_alerts)
        )
        for alert in alerts
    }


def covering_text(by: Sequence[str], scenarios: Collection[str]) -> str:
    """By which of all scenarios an alert is exercised."""
    if by and len(by) == len(scenarios):
        return "every scenario"
    return ", ".join(by) or "no scenario"


def coverage_text(covered: Mapping[str, tuple[str, ...]]) -> str:
    """How many alerts some scenario expects, and the names of the others."""
    idle = [alert for alert, by in covered.items() if not by]
    rest = f"; by none: {', '.join(idle)}" if idle else ""
    return f"{len(covered) - len(idle)} of {len(covered)} alerts exercised by some scenario{rest}"

"""Which alert is exercised by which scenario, over all scenarios and any folder of rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from testbed.facts.configured import ConfiguredGroup
    from testbed.scenario import Scenario


def alert_coverage(
    groups: Iterable[ConfiguredGroup], scenarios: Mapping[str, Scenario]
) -> dict[str, tuple[str, ...]]:
    """Alert of the rules, in their order, to the scenarios that expect it.

    Args:
        groups: of the rule files.
        scenarios: by name.
    """
    alerts = dict.fromkeys(
        rule.name for group in groups for rule in group.rules if rule.kind == "alerting"
    )
    return {
        alert: tuple(
            name
            for name, scenario in scenarios.items()
            if any(item.alert == alert for item in scenario.expected_alerts)
        )
        for alert in alerts
    }


def coverage_text(covered: Mapping[str, tuple[str, ...]]) -> str:
    """How many alerts some scenario expects, and the names of the others."""
    idle = [alert for alert, by in covered.items() if not by]
    rest = f"; by none: {', '.join(idle)}" if idle else ""
    return f"{len(covered) - len(idle)} of {len(covered)} alerts exercised by some scenario{rest}"

"""What a scenario says of alerts, against the rules of the run; told before it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed_domain.problems import nearest
from testbed_rules.timescale import format_duration

from testbed.errors import UsageError
from testbed.resources import scenario_files

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from testbed.facts.configured import ConfiguredGroup
    from testbed.scenario import Scenario


def refuse_unknown_alerts(
    scenario: Scenario,
    known: Mapping[str, Sequence[Mapping[str, str]]],
    *,
    own_rules: bool,
    aside: Collection[str] = (),
    waits: Mapping[str, float] | None = None,
) -> None:
    """Refuse a scenario that waits for what can't come.

    Args:
        scenario: what is to be played.
        known: alerts that the rules have, with the labels that each rule of the name sets.
        own_rules: whether the rules are the user's: what a shipped scenario allows may then be
            missing.
        aside: rules that are not played, one line each with the reason.
        waits: alert to the production seconds that it is pending before it fires. A run gives none:
            a rule that fires too late is what its verdict is to say.

    Raises:
        UsageError: an alert has no rule, or too little time; a line for each.
    """
    shipped = own_rules and scenario.name in scenario_files()
    problems = [
        *_unknown(scenario, known, aside, only_expected=shipped),
        *_other_labels(scenario, known),
        *_too_late(scenario),
        *_too_early(scenario, waits or {}),
    ]
    if problems:
        raise UsageError("\n".join(f"the scenario {scenario.name}: {each}" for each in problems))


def alert_labels(groups: Iterable[ConfiguredGroup]) -> dict[str, list[Mapping[str, str]]]:
    """Alert of rule groups to the labels that each of its rules sets."""
    found: dict[str, list[Mapping[str, str]]] = {}
    for rule in (rule for group in groups for rule in group.rules if rule.kind == "alerting"):
        found.setdefault(rule.name, []).append(rule.labels)
    return found


def alert_names(groups: Iterable[ConfiguredGroup]) -> frozenset[str]:
    """Alerts of rule groups."""
    return frozenset(
        rule.name for group in groups for rule in group.rules if rule.kind == "alerting"
    )


def alert_waits(groups: Iterable[ConfiguredGroup]) -> dict[str, float]:
    """Shortest ``for`` of each alert of rule groups, in the seconds of their files."""
    found: dict[str, float] = {}
    for rule in (rule for group in groups for rule in group.rules if rule.kind == "alerting"):
        found[rule.name] = min(rule.for_, found.get(rule.name, rule.for_))
    return found


def _unknown(
    scenario: Scenario, known: Collection[str], aside: Collection[str], *, only_expected: bool
) -> Iterator[str]:
    named = {each.alert: "expects" for each in scenario.expected_alerts}
    if not only_expected:
        named |= {
            each.alert: "forbids notifications of" for each in scenario.forbidden_notifications
        }
        named |= dict.fromkeys(scenario.allowed_alerts, "allows")
        named |= dict.fromkeys(scenario.muted_alerts, "calls muted")
    for alert, verb in named.items():
        if alert in known:
            continue
        reason = next((line for line in aside if f": {alert}: " in line), None)
        if reason is None:
            yield f"it {verb} the alert {alert}, for which there is no rule{nearest(alert, known)}"
        else:
            yield f"it {verb} the alert {alert}, whose rule is set aside: {reason}"


def _other_labels(
    scenario: Scenario, known: Mapping[str, Sequence[Mapping[str, str]]]
) -> Iterator[str]:
    """Alerts that are expected with a label which every rule of the name sets otherwise."""
    for each in scenario.expected_alerts:
        rules = known.get(each.alert, ())
        others = [_set_otherwise(each.labels, labels) for labels in rules]
        if others and all(others):
            have = "; ".join(dict.fromkeys(map(_written, others)))
            yield (
                f"it expects the alert {each.alert} with {_written(each.labels)}, and each of its "
                f"rules sets another: {have}"
            )


def _written(labels: Mapping[str, str]) -> str:
    return ", ".join(f'{name}="{value}"' for name, value in labels.items())


def _set_otherwise(wanted: Mapping[str, str], labels: Mapping[str, str]) -> dict[str, str]:
    """Labels of a rule that have another value; one of a template may have any."""
    return {
        name: labels[name]
        for name, value in wanted.items()
        if name in labels and "{{" not in labels[name] and labels[name] != value
    }


def _too_late(scenario: Scenario) -> Iterator[str]:
    end = scenario.duration + scenario.settle
    starts = _starts(scenario)
    for each in scenario.expected_alerts:
        left = end - starts[each.phase]
        if each.within > left:
            yield (
                f"{each.alert} is to be notified {format_duration(each.within)} after the start "
                f"of phase {each.phase} at the latest, and the run ends {format_duration(left)} "
                "after it: lengthen settle, or ask for less"
            )


def _too_early(scenario: Scenario, waits: Mapping[str, float]) -> Iterator[str]:
    starts = _starts(scenario)
    for each in scenario.expected_alerts:
        wait = waits.get(each.alert, 0.0)
        if starts[each.phase] + each.within < wait:
            yield (
                f"{each.alert} is to be notified {format_duration(each.within)} after the start "
                f"of phase {each.phase} at the latest, and its rule waits {format_duration(wait)} "
                "(`for`) before it fires: give it more time"
            )


def _starts(scenario: Scenario) -> dict[str, float]:
    """Phase to its start, in production seconds of the load."""
    start, starts = 0.0, {}
    for phase in scenario.phases:
        starts[phase.name] = start
        start += phase.duration
    return starts

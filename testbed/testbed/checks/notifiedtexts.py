"""What notifications say: the labels and annotations of each, against rule, series and scenario."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed_rules.templates import TemplateReading, is_template, read_text

from testbed.checks.deployed import other_rules
from testbed.checks.findings import CheckFinding, finding_result
from testbed.checks.stages import Stage
from testbed.heldback import described

if TYPE_CHECKING:
    from collections.abc import Iterable

    from testbed_rules.templates import ShownValue

    from testbed.checks.contract import NotifiedContract
    from testbed.checks.results import CheckResult
    from testbed.facts.delivery import RuleTexts, Valued
    from testbed.records import ReceivedNotification

WANTED: Final = ("summary", "description")
"""Annotations without which an alert of the project's rules says nothing."""

TOLERANCE: Final = 0.25
"""By which a shown value may differ: samples that came late are in what is asked for at the end."""


def check_labels(contract: NotifiedContract, name: str) -> CheckResult:
    """Each notification bears the labels of its rule, of its series, and of the scenario."""
    findings = [
        finding for identity in contract.notified for finding in _labels(contract, dict(identity))
    ]
    count = len(contract.notified)
    many = "1 notified alert bears" if count == 1 else f"{count} notified alerts bear"
    passed = f"{many} the labels of rule and series"
    return finding_result(name, Stage.ROUTE, passed, findings)


def check_texts(contract: NotifiedContract, name: str) -> CheckResult:
    """Each annotation of the rule arrived, rendered, with its values."""
    findings: dict[str, CheckFinding] = {}
    seen = set()
    for item in contract.case.evidence.notifications:
        key = (item.status, *sorted(item.labels.items()), *sorted(item.annotations.items()))
        if key not in seen:
            seen.add(key)
            for finding in _texts(contract, item):
                findings.setdefault(finding.text, finding)
    passed = f"{len(seen)} different texts were rendered as the rules have them"
    return finding_result(name, Stage.RULE, passed, list(findings.values()))


def _labels(contract: NotifiedContract, labels: dict[str, str]) -> Iterable[CheckFinding]:
    alert, name = labels.get("alertname", ""), described(labels)
    severities = {e.severity for e in contract.expectations(labels) if e.severity}
    if severities and labels.get("severity") not in severities:
        wanted = " or ".join(sorted(severities))
        has = repr(labels["severity"]) if labels.get("severity") else "none"
        rules = [rule for rule in contract.delivery.rules if rule.alert == alert]
        right = any(rule.labels.get("severity") in severities for rule in rules)
        yield CheckFinding(
            f"{alert} has the severity {has}, the scenario says {wanted}",
            Stage.ROUTE if right else Stage.RULE,
        )
    for label, value in labels.items():
        if is_template(value) or "<error expanding template" in value:
            yield CheckFinding(f"{name}: the label {label} was not rendered: {value!r}", Stage.RULE)
    known_rule = alert in other_rules(contract.case) or bool(_rules_of(contract, labels))
    if contract.delivery.rules and not known_rule:
        yield _unlike_rules(contract, labels)
    if not contract.firings:
        return  # that nothing fired at all is said of the alerts, or could not be read
    known = [firing.labels for firing in contract.firings if firing.alert == alert]
    if labels not in known:
        yield CheckFinding(f"{name} was notified, but Prometheus holds {_nearest(labels, known)}")


def _unlike_rules(contract: NotifiedContract, labels: dict[str, str]) -> CheckFinding:
    alert = labels.get("alertname", "")
    rules = [rule for rule in contract.delivery.rules if rule.alert == alert]
    if not rules:
        return CheckFinding(f"{alert} was notified, but no rule of the run has that name")
    lacking = [
        f'{key}="{value}"'
        for key, value in rules[0].labels.items()
        if not is_template(value) and labels.get(key) != value
    ] or [key for key in rules[0].labels if key not in labels]
    stage = Stage.RULE if any(is_template(v) for v in rules[0].labels.values()) else Stage.ROUTE
    return CheckFinding(
        f"{described(labels)} lacks what its rule adds: {', '.join(lacking)}", stage
    )


def _nearest(labels: dict[str, str], known: list[dict[str, str]]) -> str:
    if not known:
        return "no such alert"
    nearest = max(known, key=lambda each: len(each.items() & labels.items()))
    return described(nearest)


def _rules_of(contract: NotifiedContract, labels: dict[str, str]) -> list[RuleTexts]:
    """The rules that a notification may come from."""
    return [
        rule
        for rule in contract.delivery.rules
        if rule.alert == labels.get("alertname")
        and all(
            name in labels if is_template(value) else labels.get(name, "") == value
            for name, value in rule.labels.items()
        )
    ]


def _texts(contract: NotifiedContract, item: ReceivedNotification) -> list[CheckFinding]:
    """What is wrong with the texts of one notification, by the rule that fits it best."""
    found = min(
        (_against(contract, rule, item) for rule in _rules_of(contract, dict(item.labels))),
        key=len,
        default=[],
    )
    if item.alert in other_rules(contract.case):
        found = []  # it may come from the rule that a fault had deployed
    lost = any(finding.stage is Stage.RECEIVER for finding in found)
    # With a user's own receivers, what was rendered for them is held against the scenario.
    if item.status == "firing" and not lost and not contract.own:
        spoken = "\n".join(item.annotations.values())
        expected = contract.expectations(item.labels, item.starts_at)
        wanted = {text for each in expected for text in each.contains}
        found += [
            CheckFinding(f"{item.alert}: no annotation says {text!r}, as the scenario wants")
            for text in sorted(wanted)
            if text not in spoken
        ]
    return found


def _against(
    contract: NotifiedContract, rule: RuleTexts, item: ReceivedNotification
) -> list[CheckFinding]:
    """What is wrong with the texts of a notification, if it comes from this rule."""
    custom = contract.case.evidence.run.custom_rules
    wanted = () if custom else WANTED
    strict = not custom or bool(contract.expectations(item.labels))
    missing = [name for name in wanted if not rule.annotations.get(name, "").strip()]
    found = [CheckFinding(f"{item.alert} has no {name}") for name in missing]
    labels: dict[str, str | None] = {
        name: value for name, value in item.labels.items() if name not in contract.delivery.external
    }
    # What these were before the rule put its own over them is not known.
    labels |= dict.fromkeys(("alertname", *rule.labels))
    for name, template in rule.annotations.items():
        text = item.annotations.get(name)
        if not template.strip():
            if strict and name not in missing:
                found.append(CheckFinding(f"{item.alert}: its rule has an empty {name}"))
        elif text is None:
            # What Prometheus renders it sends, even if nothing came of it.
            why = f"{item.alert}: the annotation {name} of its rule did not arrive"
            found.append(CheckFinding(why, Stage.RECEIVER))
        else:
            reading = read_text(template, text, labels)
            fault = reading.fault or _wrong_value(contract, item, reading)
            found += [CheckFinding(f"{item.alert}: its {name} {fault}")] if fault else []
    return found


def _wrong_value(
    contract: NotifiedContract, item: ReceivedNotification, reading: TemplateReading
) -> str:
    """Whether a text shows another value than the rule's expression had."""
    mine = [
        valued
        for valued in contract.delivery.values
        if valued.received_at == item.received_at and valued.labels == item.labels
    ]
    if not mine:
        return ""
    for shown in reading.shown:
        if not any(_agrees(shown, valued) for valued in mine):
            low, high = mine[0].low, mine[0].high
            between = f"{low:.4g}" if low == high else f"between {low:.4g} and {high:.4g}"
            return f"shows the value {shown.value:.4g}, but the rule's expression gave {between}"
    return ""


def _agrees(shown: ShownValue, valued: Valued) -> bool:
    size = max(abs(valued.low), abs(valued.high))
    # Between two samples it may have been what was not looked at.
    room = shown.precision + TOLERANCE * size + (valued.high - valued.low)
    return valued.low - room <= shown.value <= valued.high + room

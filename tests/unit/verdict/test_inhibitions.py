"""Which alerts hold back which, against what is meant to."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from testbed.facts.inhibitions import read_inhibitions, wrong_inhibitions
from testbed_rules.rulefiles import read_rules

from tests.support.yamltext import load_yaml

DOWN, SLOW = 'alertname="Down"', 'alertname="Slow"'
RULES = [
    {"alert": "Down", "labels": {"severity": "critical"}},
    {"alert": "Slow", "labels": {"severity": "warning", "cause": "{{ $labels.cause }}"}},
    {"alert": "Busy", "labels": {"severity": "warning"}},
]


def wrong(sources: list[str], targets: list[str], *equal: str, meant: Any = ()) -> list[str]:  # noqa: ANN401 - YAML
    """What one inhibition does beyond what is meant."""
    rule = {"source_matchers": sources, "target_matchers": targets, "equal": list(equal)}
    return list(
        wrong_inhibitions(
            {"inhibit_rules": [rule]}, RULES, read_inhibitions({"inhibitions": meant})
        )
    )


def test_the_shipped_inhibitions_are_those_that_are_meant(repository: Path) -> None:
    """Neither more nor fewer, and a `equal` that is gone or shorter is found."""
    folder = repository / "alertmanager"
    document = load_yaml((folder / "alertmanager.yml").read_text())
    meant = read_inhibitions(load_yaml((folder / "inhibitions.yml").read_text()))
    rules = [
        rule
        for file in read_rules(repository / "prometheus/rules").values()
        for group in file["groups"]
        for rule in group["rules"]
    ]
    assert meant
    assert list(wrong_inhibitions(document, rules, meant)) == []
    for equal, where in (([], ", wherever it is"), (["job"], " with the same job")):
        changed = deepcopy(document)
        changed["inhibit_rules"][0]["equal"] = equal
        assert list(wrong_inhibitions(changed, rules, meant)) == [
            f"SegmentDrift would be held back while DataDrift fires{where}",
            "SegmentDrift would not be held back while DataDrift fires with the same instance, job",
        ]


@pytest.mark.parametrize(
    ("targets", "held"),
    [
        (['severity="warning"'], ["Slow", "Busy"]),
        (['severity="critical"'], []),  # only the alert itself fits
        (['alertname=~"Slow|Other"'], ["Slow"]),
        (['instance="a"'], ["Down", "Slow", "Busy"]),
        (['cause="x"', 'severity="warning"'], ["Slow", "Busy"]),
        (['severity="page"'], []),
    ],
)
def test_every_pair_of_alerts_counts(targets: list[str], held: list[str]) -> None:
    """Labels that a rule does not fix may have any value."""
    assert wrong([DOWN], targets) == [
        f"{alert} would be held back while Down fires, wherever it is" for alert in held
    ]


def test_alerts_that_fit_both_sides_do_not_inhibit_each_other() -> None:
    """As in Alertmanager: all of them would be mute otherwise."""
    assert wrong(['severity="warning"'], ['severity="warning"']) == []
    assert wrong(['severity="warning"'], ['severity=~"warning|critical"']) == [
        f"Down would be held back while {alert} fires, wherever it is" for alert in ("Slow", "Busy")
    ]


def test_what_is_meant_is_no_fault_and_must_be_there() -> None:
    """With the same labels in `equal`; alerts that no rule makes are of no interest."""
    meant = [{"alert": "Slow", "by": "Down", "equal": ["job"]}]
    assert wrong([DOWN], [SLOW], "job", meant=meant) == []
    assert wrong([DOWN], [SLOW], "job", "instance", meant=meant) == [
        "Slow would be held back while Down fires with the same instance, job",
        "Slow would not be held back while Down fires with the same job",
    ]
    gone = [{"alert": "Gone", "by": "Down", "equal": []}]
    assert wrong([DOWN], ['severity="page"'], meant=gone) == []


def test_the_older_forms_of_matchers_are_read() -> None:
    """`source_match` and `target_match_re`."""
    rule = {"source_match": {"alertname": "Down"}, "target_match_re": {"alertname": "S.*"}}
    (line,) = wrong_inhibitions({"inhibit_rules": [rule]}, RULES, frozenset())
    assert line == "Slow would be held back while Down fires, wherever it is"

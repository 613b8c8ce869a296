"""Rendered texts against their templates."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from testbed_rules.templates import names_value, read_text

from tests.support.yamltext import load_yaml

RULES = Path(__file__).parents[3] / "prometheus"
LABELS: dict[str, str | None] = {"job": "ml-api", "instance": "api-1", "severity": None}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("Plain.", "Plain."),
        ("{{ $labels.job }} is {{ $value }}.", "ml-api is 1.5e-05."),
        ("{{ .Labels.job }} is {{ .Value | humanizePercentage }}.", "ml-api is 75%."),
        ('{{ index $labels "job" }} {{ printf "%.1f" $value }}', "ml-api +Inf"),
        ("a {{- /* nothing */ -}} b", "ab"),
        ("{{ $x := $labels.job }}{{ $x }} is up", "ml-api is up"),
        ("{{ if $labels.nope }}A {{ $labels.nope }}{{ else }}B{{ end }}.", "B."),
        ("{{ if $labels.job }}A{{ else if $labels.x }}B{{ end }}.", "."),
        ("x{{ with query `up` }} ({{ . | first | value }}){{ end }}.", "x."),
        ("x{{ with query `up` }} ({{ . | first | value }}){{ end }}.", "x (1)."),
        ("x{{ range query `up` }}, {{ .Value }}{{ end }}.", "x, 1, 2."),
        ("of {{ $labels.severity }}.", "of warning."),
        ("{{ $externalURL }}/x", "/x"),
        ("{{ if $labels.nope }}only then{{ end }}", ""),
        ('{{ template "other" . }}', "anything"),
        ("{{ if }}never closed", "anything"),
    ],
)
def test_texts_that_their_templates_can_give_pass(template: str, text: str) -> None:
    """Conditions may go either way."""
    assert read_text(template, text, LABELS).fault == ""


@pytest.mark.parametrize(
    ("template", "text", "fault"),
    [
        ("Plain.", "Other.", "does not read"),
        ("{{ $labels.job }} is {{ $value }}.", "ml-api is .", "does not read"),
        ("{{ $labels.job }} is {{ $value }}.", "ml-api is ml-api.", "does not read"),
        ("{{ $labels.job }} is up.", "drift is up.", "does not read"),
        ("of {{ $labels.severity }}.", "of .", "does not read"),
        ("{{ $labels.nope }} is up.", " is up.", "uses the label nope"),
        ("x{{ with query `up` }} ({{ . | value }}){{ end }}.", "x ().", "does not read"),
        ("{{ $labels.job }}", " ", "is empty"),
        ("x {{ $value }}", "x <no value>", "'<no value>'"),
        ("x {{ $value }}", "x %!d(float64=1)", "'%!d'"),
        ('{{ template "other" . }}', "", "is empty"),
    ],
)
def test_texts_that_miss_something_are_found(template: str, text: str, fault: str) -> None:
    """The fault says what."""
    assert fault in read_text(template, text, LABELS).fault


@pytest.mark.parametrize(
    ("template", "text", "value"),
    [
        ("is {{ $value }}", "is 3", 3.0),
        ('is {{ $value | printf "%.2f" }} s', "is 1.25 s", 1.25),
        ("{{ $value | humanizePercentage }} full", "75.5% full", 0.755),
        ("{{ with query `up` }}{{ . | first }}{{ end }}{{ $value }}", "15.02", 15.02),
        ("v1.{{ $value }}", "v1.15", 15.0),
    ],
)
def test_the_value_that_a_text_shows_is_read(template: str, text: str, value: float) -> None:
    """With how exact it is."""
    (shown,) = read_text(template, text, LABELS).shown
    assert shown.value == pytest.approx(value)
    assert 0 < shown.precision < 1
    assert names_value(template)


def test_a_value_within_a_condition_is_not_read() -> None:
    """It may not be there."""
    assert not names_value("{{ if $labels.job }}{{ $value }}{{ end }}")


def test_every_text_of_the_rules_tests_fits_its_template() -> None:
    """What promtool holds right is right here."""
    rules: list[dict[str, Any]] = []
    for path in sorted((RULES / "rules").glob("*.yml")):
        for group in load_yaml(path.read_text())["groups"]:
            rules += group["rules"]
    seen = 0
    for path in sorted((RULES / "rules_test").glob("*.yml")):
        for test in load_yaml(path.read_text())["tests"]:
            for case in test.get("alert_rule_test") or ():
                for alert in case.get("exp_alerts") or ():
                    seen += _fits(case["alertname"], alert, rules)
    assert seen > 20


def _fits(name: str, alert: dict[str, Any], rules: list[dict[str, Any]]) -> int:
    labels, texts = alert["exp_labels"], alert.get("exp_annotations") or {}
    mine = [r for r in rules if r["alert"] == name and r["labels"].items() <= labels.items()]
    assert mine
    series = {**labels, "alertname": None} | dict.fromkeys(mine[0]["labels"])
    for key, text in texts.items():
        faults = [read_text(rule["annotations"][key], text, series).fault for rule in mine]
        assert "" in faults, (name, key, faults)
    return len(texts)


def test_a_hostile_template_takes_no_time() -> None:
    """Holes without anything between them could be filled in endless ways."""
    began = time.process_time()
    for count in (4, 30):
        nested = "{{ with f }}{{ . }}x{{ end }}" * count
        for template in ("{{ f }}x" * count + "end", "{{ f }}" * count + "end", nested + "end"):
            read_text(template, "x" * 200, LABELS)
    assert time.process_time() - began < 5.0  # of the processor's: nobody else is measured

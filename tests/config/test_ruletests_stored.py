"""Tests of rules that passed are not run again before rules, tests or promtool change."""

from __future__ import annotations

from pathlib import Path

import pytest
from testbed.facts import ruletests
from testbed.facts.ruletests import RuleTests, read_ruletests

from .conftest import Run

RULES = """\
groups:
  - name: g
    rules:
      - {alert: Up, expr: up > 0}
"""
TESTS = """\
rule_files: [../rules/r.yml]
tests:
  - name: Up fires
    input_series: [{series: up, values: "1 1 1"}]
    alert_rule_test: [{eval_time: 1m, alertname: Up, exp_alerts: [{exp_labels: {}}]}]
"""


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_tool: Run) -> Path:
    """A source of one rule with its test, and an empty cache."""
    run_tool("promtool", "--version")
    monkeypatch.setattr(ruletests, "cache_folder", lambda: tmp_path / "cache")
    for name, text in (("rules/r.yml", RULES), ("rules_test/r.yml", TESTS)):
        file = tmp_path / "prometheus" / name
        file.parent.mkdir(parents=True)
        file.write_text(text)
    return tmp_path


def _stored(source: Path) -> list[Path]:
    return sorted((source / "cache").rglob("*.json"))


def test_tests_that_passed_are_not_run_again(source: Path) -> None:
    """What is stored is what the next run gets; what can't be read is made anew."""
    assert read_ruletests(source) == RuleTests(tests=1)
    (stored,) = _stored(source)
    stored.write_text(RuleTests(tests=7).model_dump_json())
    assert read_ruletests(source) == RuleTests(tests=7)
    stored.write_text("{")
    assert read_ruletests(source) == RuleTests(tests=1)


@pytest.mark.parametrize(
    ("name", "old", "new"), [("rules", "up > 0", "up > 2"), ("rules_test", "1 1 1", "0 0 0")]
)
def test_a_change_has_them_run_and_a_failure_is_not_stored(
    source: Path, name: str, old: str, new: str
) -> None:
    """Of a rule or of a test."""
    read_ruletests(source)
    file = source / "prometheus" / name / "r.yml"
    file.write_text(file.read_text().replace(old, new))
    (failed,) = read_ruletests(source).failed
    assert failed.says == "Up does not fire at 1m, as its test wants"
    assert len(_stored(source)) == 1


def test_a_cache_that_can_t_be_written_to_is_no_matter(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then each run asks promtool."""
    (source / "file").write_text("")
    monkeypatch.setattr(ruletests, "cache_folder", lambda: source / "file")
    assert read_ruletests(source) == RuleTests(tests=1)

"""Rules of a user's, held against promtool before anything starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from testbed.cli import app
from testbed.errors import UsageError
from testbed.facts.loadedrules import same_expression
from testbed.rulecheck import ask_promtool, fit_rules, write_rules
from testbed.stack.build import Tools, find
from testbed_rules.rulefiles import read_rule_set
from testbed_rules.scaling import scaled_rules
from typer.testing import CliRunner

from tests.support.needs import missing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RULE = """\
groups:
  - name: g
    rules:
      - alert: A
        expr: {expr}
        labels: {{severity: warning}}
        annotations:
          summary: "{text}"
"""


@pytest.fixture(scope="module")
def tools() -> Tools:
    """The compiled tools."""
    found = find()
    if "promtool" in found.missing:
        missing("promtool is not compiled; run: testbed stack install")
    return found


@pytest.mark.parametrize(
    ("expr", "text", "wanted"),
    [
        ("sum(up", "fine", "A: could not parse expression: 1:7: parse error: unclosed left paren"),
        ("rat(up[5m])", "fine", "A: could not parse expression: 1:1: parse error: unknown"),
        ("rate(up)", "fine", "A: could not parse expression: 1:6: parse error: expected type"),
        ("up", "{{ $valeu }}", 'A: annotation "summary": template: __alert_A:1: undefined'),
        ("up", "{{ $value | humanise }}", 'A: annotation "summary": template: __alert_A:1: func'),
    ],
)  # fmt: skip
def test_what_promtool_refuses_is_told_with_file_and_line(
    tools: Tools, tmp_path: Path, expr: str, text: str, wanted: str
) -> None:
    """The line is that of the rule in the file that was read, whatever kind of file it is."""
    plain = RULE.format(expr=expr, text=text)
    (tmp_path / "a.rules").write_text(f"\n{plain}")
    indented = "".join(f"  {line}\n" for line in plain.splitlines())
    (tmp_path / "b.yml").write_text(f"kind: PrometheusRule\nspec:\n{indented}")
    found = ask_promtool(read_rule_set(tmp_path), tools)
    first, second = (str(mistake) for mistake in found.mistakes)
    assert first.startswith(f"{tmp_path / 'a.rules'}:5: {wanted}")
    assert second.startswith(f"{tmp_path / 'b.yml'}:6: {wanted}")


def test_all_mistakes_are_refused_at_once(tools: Tools, tmp_path: Path) -> None:
    """A line each."""
    (tmp_path / "a.yml").write_text(RULE.format(expr="sum(up", text="{{ $valeu }}"))
    with pytest.raises(UsageError) as caught:
        fit_rules(read_rule_set(tmp_path), tools, 30, lambda _: None)
    assert len(str(caught.value).splitlines()) == 2


def test_mistakes_of_files_do_not_hide_those_of_expressions(tools: Tools, tmp_path: Path) -> None:
    """Those that the reader finds and those that promtool finds, in the order of their lines."""
    path = tmp_path / "a.yml"
    path.write_text(
        "groups:\n- name: g\n  rules:\n  - {alert: A, expr: sum(up}\n  - {alert: B}\n  - text\n"
        "  - {alert: C, expr: up, for: 10 m}\n  - {record: a:x, expr: sum(up, labels: {a: [b]}}\n"
    )
    with pytest.raises(UsageError) as caught:
        fit_rules(read_rule_set(path), tools, 30, lambda _: None)
    found = [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]
    assert [line.partition(":")[0] for line in found] == ["4", "5", "6", "7", "8", "8"]


def test_rules_of_victoria_metrics_are_set_aside(tools: Tools, tmp_path: Path) -> None:
    """They are no mistakes; Prometheus has no such function."""
    text = "groups: [{name: 'g \"1\"', rules: [{alert: A, expr: 'median_over_time(up[5m]) > 1'}]}]"
    (tmp_path / "a.yml").write_text(text)
    said: list[str] = []
    fitting = fit_rules(read_rule_set(tmp_path), tools, 1, said.append)
    reason = "median_over_time is a function of VictoriaMetrics that Prometheus lacks"
    assert said == [f"rules: set aside: a.yml: A: {reason}"]
    assert fitting.files["a.yml"] == {"groups": []}


def test_the_command_checks_as_a_run_does(tools: Tools, tmp_path: Path) -> None:  # noqa: ARG001 - needed
    """What is set aside, what is worth a look, and what would be played."""
    (tmp_path / "a.yml").write_text(RULE.format(expr="changes(up[5m]) > 2", text="fine"))
    (tmp_path / "b.yml").write_text(RULE.format(expr="up == 0", text="fine"))
    done = CliRunner().invoke(app, ["rules", "check", str(tmp_path)])
    assert done.exit_code == 0, done.output
    output = " ".join(done.output.split())
    assert "set aside: a.yml: A: changes counts events" in output
    assert "advice b.yml: A: it has no" in output
    assert "; it has no annotation runbook_url: add one" in output
    assert "2 files, 1 rules to play at time scale 30, 1 set aside" in output
    (tmp_path / "c.yml").write_text("groups: 5\n")
    refused = CliRunner().invoke(app, ["rules", "check", str(tmp_path)])
    assert isinstance(refused.exception, UsageError)
    assert str(refused.exception) == f"{tmp_path / 'c.yml'}:1: groups of the file must be a list"


def test_public_rules_are_taken_at_a_time_scale(
    tools: Tools, public_rules: Path, tmp_path: Path, run_tool: Callable[..., str]
) -> None:
    """At most 2 % of their alerts are set aside, each with its reason; promtool takes the rest."""
    rules = read_rule_set(public_rules)
    assert len({file.path for file in rules.files.values()}) == 130
    fitting = fit_rules(rules, tools, 30, lambda _: None)
    alerts = [
        rule
        for document in rules.documents.values()
        for group in document["groups"]
        for rule in group["rules"]
        if "alert" in rule
    ]
    aside = [note for note in fitting.aside if not note.rule.startswith("slo:")]
    assert len(aside) <= 0.02 * len(alerts)
    assert all(note.reason for note in fitting.aside)
    scaled = scaled_rules(fitting.files, 30)
    write_rules(tmp_path, scaled)
    run_tool("promtool", "check", "rules", "--lint=none", *sorted(tmp_path.glob("*.yml")))
    for name, document in scaled.items():
        for group, written in zip(document["groups"], fitting.files[name]["groups"], strict=True):
            for one, other in zip(group["rules"], written["rules"], strict=True):
                assert same_expression(str(one["expr"]), str(other["expr"]), 30), one["expr"]

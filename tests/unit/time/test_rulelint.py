"""The lint of alert rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from testbed.errors import UsageError
from testbed_rules.lint import LintFinding, lint, require_scale
from testbed_rules.rulefiles import read_rules

if TYPE_CHECKING:
    from pathlib import Path

GOOD: dict[str, Any] = {
    "alert": "Good",
    "expr": 'up{job="ml-api"} == 0',
    "for": "1m",
    "labels": {"severity": "critical"},
    "annotations": {
        "summary": "It is down.",
        "description": "{{ $labels.instance }} is down.",
        "runbook_url": "docs/runbooks/Good.md",
    },
}
RUNBOOKS = frozenset({"docs/runbooks/Good.md"})


def check(rule: dict[str, Any], factor: float = 30, interval: float = 15) -> list[LintFinding]:
    """Lint one rule."""
    files = {"my.yml": {"groups": [{"name": "g", "rules": [rule]}]}}
    return lint(files, interval=interval, factor=factor, runbooks=RUNBOOKS)


def scale_reasons(expression: str, factor: float = 30) -> list[str]:
    """Reasons of kind ``scale`` that an expression brings."""
    return [p.reason for p in check(GOOD | {"expr": expression}, factor) if p.kind == "scale"]


def test_a_good_rule_has_no_problem() -> None:
    """A complete alert passes."""
    assert check(GOOD) == []


def test_a_problem_names_file_rule_and_reason() -> None:
    """One line that says where and what."""
    (problem,) = check(GOOD | {"expr": "rate(up[30s]) > 0"})
    assert problem.kind == "scale"
    assert str(problem).startswith("my.yml: Good: rate over 30s holds 2.0 samples")
    assert "\n" not in str(problem)


@pytest.mark.parametrize(
    ("expression", "largest"),
    [
        ("rate(up[1m]) > 0", 60),
        ("increase(up[5m]) > 0", 300),
        ("max_over_time(up[1m]) > 0", 240),
        ("absent_over_time(up[2m])", 480),
    ],
)
def test_the_scale_at_which_a_range_gets_too_short(expression: str, largest: float) -> None:
    """Rates need four samples, other functions one; the reason names the largest scale."""
    assert scale_reasons(expression, largest) == []
    (reason,) = scale_reasons(expression, largest * 1.01)
    assert reason.endswith(f"or use a time scale up to {largest:g}")


def test_a_subquery_counts_its_own_steps() -> None:
    """The step is scaled with the range, so their ratio counts at every scale."""
    assert scale_reasons("changes(up[2m:30s]) == 0", 1000) == []
    (reason,) = scale_reasons("changes(up[1m:30s]) == 0", 30)
    assert "2.0 samples" in reason


def test_unreadable_durations_are_problems_of_scale() -> None:
    """A duration that can't be divided stops the run, with the rule's name."""
    assert "30m1h" in str(check(GOOD | {"for": "30m1h"})[0])
    assert "can't be read" in scale_reasons("sum(ml_model_loaded) by")[0]
    assert "can't be checked" in check(GOOD | {"expr": "sum(up) by"}, factor=1)[0].reason
    assert "[5m * 2]" in scale_reasons("rate(up[5m * 2]) > 0")[0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"labels": {}}, "no label severity"),
        ({"annotations": GOOD["annotations"] | {"summary": ""}}, "no annotation summary"),
        ({"annotations": None}, "no annotation description"),
        (
            {"annotations": GOOD["annotations"] | {"runbook_url": "docs/runbooks/Bad.md"}},
            "names no file",
        ),
        ({"expr": "http_request_total > 0"}, "http_request_total is not a metric"),
    ],
)
def test_style(change: dict[str, Any], reason: str) -> None:
    """What an alert must carry, and the vocabulary, are problems of style."""
    problems = check(GOOD | change)
    assert {problem.kind for problem in problems} == {"style"}
    assert any(reason in problem.reason for problem in problems)


def test_recorded_series_and_web_runbooks_are_known() -> None:
    """A series that the same rules record may be used, and a runbook may be a web page."""
    web = GOOD["annotations"] | {"runbook_url": "https://example.com/runbook"}
    files = {
        "a.yml": {"groups": [{"name": "a", "rules": [{"record": "a:up", "expr": "sum(up)"}]}]},
        "b.yml": {
            "groups": [
                {"name": "b", "rules": [GOOD | {"expr": "a:up < 1", "annotations": web}]},
            ]
        },
    }
    assert lint(files, interval=15, factor=30, runbooks=RUNBOOKS) == []


def test_the_projects_rules_are_clean(repository: Path) -> None:
    """The project keeps its own rules, at the scales that its scenarios use."""
    runbooks = {f"docs/runbooks/{path.name}" for path in (repository / "docs/runbooks").iterdir()}
    files = read_rules(repository / "prometheus/rules")
    for factor in (1, 30, 60):
        assert lint(files, interval=15, factor=factor, runbooks=runbooks) == []
    alerts = {
        rule["alert"] for file in files.values() for g in file["groups"] for rule in g["rules"]
    }
    assert {f"docs/runbooks/{alert}.md" for alert in alerts} == runbooks


def test_require_scale_names_the_first_rule_that_can_not_be_scaled() -> None:
    """The project's own rules are all scaled, or nothing starts."""
    files = {"a.yml": {"groups": [{"name": "g", "rules": [GOOD | {"expr": "rate(up[1m]) > 0"}]}]}}
    require_scale(files, interval=15, factor=30)
    with pytest.raises(UsageError, match=r"a\.yml: Good: rate over 1m .* time scale up to 60"):
        require_scale(files, interval=15, factor=61)


@pytest.mark.parametrize("text", ["{{ $value }}", "{{ printf `%f` .Value }}", "{{$value|x}}"])
def test_a_label_with_the_value_is_warned_of(text: str) -> None:
    """Each change of the value makes another alert, which waits anew."""
    (problem,) = check(GOOD | {"labels": {"severity": "critical", "size": text}})
    assert "its label size holds the value" in problem.reason
    named = GOOD["annotations"] | {"description": text}
    assert check(GOOD | {"annotations": named}) == []


def test_a_users_series_may_be_any() -> None:
    """What the project does not know is no problem of rules that are not its own."""
    rule = GOOD | {"expr": "my_own_total > 0"}
    files = {"my.yml": {"groups": [{"name": "g", "rules": [rule]}]}}
    assert lint(files, interval=15, factor=30, runbooks=RUNBOOKS, known=None) == []
    assert lint(files, interval=15, factor=30, runbooks=RUNBOOKS)

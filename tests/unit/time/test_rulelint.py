"""The lint of alert rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from testbed.errors import UsageError
from testbed_rules.lint import LintFinding, lint, read_rules, require_scale

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
    (reason,) = scale_reasons("changes(up[1m:30s]) == 0", 1)
    assert "2.0 samples" in reason


@pytest.mark.parametrize(
    "expression",
    [
        "time() - process_start_time_seconds > 900",
        "time() - process_start_time_seconds > 15m",
        "(time() - x) / 60 > 15",
        "time() > x + 900",
        "900 < time() - x",
        "timestamp(up) - x > 60",
        "time() - max(max_over_time(x_timestamp_seconds[1h])) > 900",
        "abs(a_timestamp_seconds - b_timestamp_seconds) > 60",
        "increase(up[5m]) > 3",
        "sum(increase(up[5m])) >= 3",
        "changes(up[15m]) < 2",
        "delta(up[15m]) > 10",
        "predict_linear(up[1h], 4 * 3600) < 0",
        "predict_linear(up[1h], 1h) < 0",
    ],
)
def test_plain_numbers_that_time_changes_are_refused(expression: str) -> None:
    """Seconds, and events within a range, can't be scaled, unless the rule says it is right."""
    (reason,) = scale_reasons(expression)
    assert "testbed_unscaled" in reason
    for place in ("annotations", "labels"):
        marked = {**GOOD[place], "testbed_unscaled": "the age of the model is real time"}
        rule = GOOD | {"expr": expression, place: marked}
        assert [problem for problem in check(rule) if problem.kind == "scale"] == []


@pytest.mark.parametrize(
    "expression",
    [
        "increase(up[5m]) > 0",
        "changes(up[15m]) == 0",
        "rate(up[5m]) > 3",
        "sum(increase(up[5m])) / sum(increase(up[5m])) > 0.1",
        "up > 5 and time() - x > 0",
        "time() - x / 1000 > 0",
        "predict_linear(up[1h], 0) < 0",
        "count(x_timestamp_seconds) < 2",
        "count_over_time(up[5m]) < 10",
        "histogram_quantile(0.95, sum by (le) (rate(up[5m]))) > 0.5",
        "hour() > 8",
        "x_seconds > 900",
    ],
)
def test_numbers_that_no_scale_changes_pass(expression: str) -> None:
    """Zero, rates, shares, counts, latencies and unit conversions are right at every scale."""
    assert scale_reasons(expression) == []


def test_unreadable_durations_are_problems_of_scale() -> None:
    """A duration that can't be divided stops the run, with the rule's name."""
    assert "30m1h" in str(check(GOOD | {"for": "30m1h"})[0])
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
        ({"expr": "sum(ml_model_loaded) by"}, "can't be checked"),
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


def test_require_scale_refuses_and_warns(tmp_path: Path) -> None:
    """Problems of scale stop the run, those of style come back."""
    file = tmp_path / "own.yaml"
    file.write_text("groups: [{name: g, rules: [{alert: A, expr: 'rate(up[1m]) > 0'}]}]")
    problems = require_scale(tmp_path, interval=15, factor=30)
    assert {problem.kind for problem in problems} == {"style"}
    with pytest.raises(UsageError, match=r"own\.yaml: A: rate over 1m .* time scale up to 60"):
        require_scale(tmp_path, interval=15, factor=61)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "holds no rules"),
        ("groups: [", "cannot read"),
        ("- a", "is not a Prometheus rules file"),
        ("groups: [{name: g, rules: [{alert: A}]}]", r"groups\.0\.rules\.0\.expr"),
        ("\x00", "cannot read"),
    ],
)
def test_unreadable_rules_are_one_line(tmp_path: Path, content: str | None, reason: str) -> None:
    """A folder without rules and a broken file say what is wrong."""
    if content is not None:
        (tmp_path / "own.yml").write_text(content)
    with pytest.raises(UsageError, match=reason) as caught:
        read_rules(tmp_path)
    assert "\n" not in str(caught.value)

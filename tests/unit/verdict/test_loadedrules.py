"""Loaded rules against rule files: what differs is named, and notation is no difference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from testbed.clients.prometheus import AlertRule, RuleGroup
from testbed.facts.configured import (
    Configured,
    ConfiguredGroup,
    ConfiguredRule,
    interval_differences,
    read_configured,
    read_groups,
)
from testbed.facts.loadedrules import differences, same_expression
from testbed.layout import RunLayout

WRITTEN = 'sum by (job) (\n  rate(x{job="ml-api", status=~"5.."}[5m] offset 1m)\n) > 0.1'
LOADED = 'sum by (job) (rate(x{job="ml-api",status=~"5.."}[10s] offset 2s)) > 0.1'


def rule(**changes: object) -> AlertRule:
    """A rule as Prometheus has it, at time scale 30."""
    plain = AlertRule(
        "A", "g", LOADED, 10.0, "inactive", "ok", labels={"severity": "warning"},
        annotations={"summary": "s"}, interval=0.5,
    )  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]


def loaded(*rules: AlertRule, interval: float = 0.5) -> list[RuleGroup]:
    """One group of a file."""
    return [RuleGroup("g", "/run/config/rules/api.yml", interval, rules)]


FILES = (
    ConfiguredGroup(
        "api.yml",
        "g",
        None,
        (
            ConfiguredRule(
                "alerting", "A", WRITTEN, 300.0, 0.0, {"severity": "warning"}, {"summary": "s"}
            ),
        ),
    ),
)


def found(groups: list[RuleGroup], files: tuple[ConfiguredGroup, ...] = FILES) -> tuple[str, ...]:
    """Differences at time scale 30."""
    return differences(groups, files, interval=0.5, factor=30.0)


def test_rules_that_are_scaled_rightly_do_not_differ() -> None:
    """Spaces, and durations divided by the time scale, are no difference."""
    assert found(loaded(rule())) == ()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"for_": 5.0}, "A: `for` is 5 s, and must be 10 s"),
        ({"keep_firing": 5.0}, "A: `keep_firing_for` is 5 s, and must be 0 s"),
        ({"labels": {"severity": "critical"}}, "label severity is critical, not warning"),
        ({"labels": {}}, "its label severity is missing"),
        ({"annotations": {"summary": ""}}, "annotation summary is , not s"),
        ({"query": LOADED.replace("0.1", "0.01")}, "its expression is"),
        ({"query": LOADED.replace("[10s]", "[5m]")}, "its expression is"),
        ({"query": LOADED.replace("offset 2s", "")}, "its expression is"),
        ({"name": "B"}, "B is loaded in place of A"),
    ],
)
def test_what_differs_in_a_rule_is_named(changes: dict[str, object], complaint: str) -> None:
    """Each field that a rule has."""
    (line,) = found(loaded(rule(**changes)))
    assert complaint in line


def test_a_runbook_may_only_gain_an_address() -> None:
    """Against the source; another runbook, or any change of a rendered file, is named."""
    relative = "docs/runbooks/A.md"
    [group] = FILES
    [plain] = group.rules
    files = (replace(group, rules=(replace(plain, annotations={"runbook_url": relative}),)),)

    def named(link: str, *, located: bool) -> tuple[str, ...]:
        groups = loaded(rule(annotations={"runbook_url": link}))
        return differences(groups, files, interval=0.5, factor=30.0, located=located)

    for link in (relative, f"file:///x/{relative}", f"https://wiki/{relative}"):
        assert named(link, located=True) == ()
    assert "runbook_url" in named("file:///x/docs/runbooks/B.md", located=True)[0]
    assert "runbook_url" in named(f"file:///x/{relative}", located=False)[0]


def test_a_file_that_is_not_loaded_is_named_with_its_rules() -> None:
    """As with a glob that misses it."""
    assert found([]) == ("group g of api.yml is not loaded: A can't fire",)
    strange = [*loaded(rule()), RuleGroup("h", "/elsewhere/own.yml", 0.5, ())]
    assert found(strange) == ("group h of own.yml is loaded, but no rule file of the run has it",)


def test_rules_too_few_or_too_many_are_named() -> None:
    """Within a group."""
    assert found(loaded()) == ("A of group g is not loaded",)
    (line,) = found(loaded(rule(), rule(name="B")))
    assert line == "B of group g is loaded, but its file does not have it"


def test_a_group_must_have_its_own_interval() -> None:
    """That of its file, scaled; else Prometheus's."""
    assert "every 2 s, configured are 0.5 s" in found(loaded(rule(), interval=2.0))[0]
    (group,) = FILES
    own = (replace(group, interval=60.0),)
    assert found(loaded(rule(), interval=2.0), own) == ()


def test_intervals_of_a_run_are_those_of_its_source(tmp_path: Path) -> None:
    """Divided by the time scale, but not below what a machine can keep up with."""
    source = tmp_path / "prometheus.yml"
    source.write_text(
        "global: {evaluation_interval: 15s, scrape_interval: 15s}\n"
        "scrape_configs: [{job_name: a}, {job_name: b, scrape_interval: 5s}, {job_name: gone}]"
    )
    configured = Configured(8.0, 0.5, {"a": 0.5, "b": 0.25}, {}, ())
    (line,) = interval_differences(configured, source, 30.0)
    assert line == "evaluation_interval is 8 s, and must be 0.5 s at this time scale"
    slower = replace(configured, evaluation_interval=0.5, jobs={"a": 5.0})
    (line,) = interval_differences(slower, source, 30.0)
    assert line.startswith("scrape_interval of a is 5 s")


def test_matchers_in_another_order_are_the_same_expression() -> None:
    """Prometheus sorts them; what a parser can't read is no difference."""
    assert same_expression('x{a="1",b=~"[{]2}"}[5m]', 'x{b=~"[{]2}", a="1"}[5m]')
    assert not same_expression('x{a="1",b="2"}', 'x{a="1",b="3"}')
    assert same_expression("what is this", "something else")


def test_the_configuration_is_read_with_its_defaults(tmp_path: Path) -> None:
    """Intervals of jobs and groups; 1 m where a file says nothing."""
    layout = RunLayout(tmp_path).create()
    (layout.config / "prometheus.yml").write_text(
        "global: {scrape_interval: 500ms}\n"
        "scrape_configs:\n"
        "- {job_name: a, scrape_interval: 2s, static_configs: [{targets: ['h:1']}]}\n"
        "- {job_name: b, file_sd_configs: [{files: [x.json]}]}\n".replace("\\\n", "\n")
    )
    (layout.config / "rules").mkdir()
    (layout.config / "rules" / "own.yml").write_text(
        "groups: [{name: g, interval: 3s, rules: [{record: 'r:x', expr: x}]}]"
    )
    configured = read_configured(layout)
    assert (configured.evaluation_interval, configured.scrape_interval) == (60.0, 0.5)
    assert configured.jobs == {"a": 2.0, "b": 0.5}
    assert configured.targets == {"a": ("h:1",), "b": ()}
    (group,) = read_groups(layout.config / "rules")
    assert (group.file, group.interval, group.rules[0].kind) == ("own.yml", 3.0, "recording")


@pytest.mark.parametrize("number", ["86400 * 30", "Inf", "NaN", "(30 / 30)"])
def test_numbers_that_look_divided_are_the_same_expression(number: str) -> None:
    """A product with the time scale in it, and numbers that are words."""
    assert same_expression(f"time() - x > ({number}) / 30", f"time() - x > {number}", 30)
    assert not same_expression(f"time() - x > ({number}) / 20", f"time() - x > {number}", 30)

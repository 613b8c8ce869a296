"""Rules: loaded, healthy, evaluated at their interval; scrapes without holes; clocks agreed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed.checks.clocks import check_clocks
from testbed.checks.findings import lines_result
from testbed.checks.registry import CHECKS
from testbed.checks.results import CheckResult
from testbed.checks.rhythm import check_evaluations, check_exports, check_scrapes
from testbed.checks.selectors import check_selectors
from testbed.checks.stages import Stage

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.facts.rulehealth import RuleHealth, RuleState

DETAILS: Final = 10

FAILURES: Final = 2
"""Evaluations of a group that may fail: a query may run out of its time once."""


@CHECKS.register
def check_rulehealth(case: Case) -> tuple[CheckResult, ...]:
    """Rules: loaded, healthy, evaluated at their interval; scrapes without holes."""
    health = case.evidence.snapshot.rulehealth
    if health is None:
        return ()
    return (
        _loaded(health),
        *_healthy(case, health),
        *_intervals(health),
        *check_evaluations(case, health),
        *check_selectors(case, health),
        *check_scrapes(case, health),
        *check_exports(case, health),
        check_clocks(case, health),
    )


def _loaded(health: RuleHealth) -> CheckResult:
    """There are rules, and they are those of the run's files and of the files behind them."""
    lines = list(dict.fromkeys((*health.unlike_files, *health.unlike_source)))
    if not health.rules:
        summary = "Prometheus has loaded no rule, so that no alert could ever fire"
    elif health.unlike_files:
        summary = f"Prometheus runs other rules than its files say: {lines[0]}"
    elif lines:
        summary = f"the run's rules are not the source files at its time scale: {lines[0]}"
    else:
        summary = f"{len(health.rules)} rules in {health.groups} groups, as their files say"
    return CheckResult(
        name="rules loaded",
        passed=bool(health.rules) and not lines,
        stage=Stage.RULE,
        summary=summary,
        details=tuple(lines[:DETAILS]),
    )


def _intervals(health: RuleHealth) -> tuple[CheckResult, ...]:
    """The configured intervals are short enough for the rules that they serve."""
    found = (
        ("rule intervals", Stage.RULE, health.seldom.evaluations),
        ("scrape intervals", Stage.PROMETHEUS, health.seldom.scrapes),
        ("Collector intervals", Stage.COLLECTOR, health.seldom.collector),
    )
    return tuple(
        lines_result(name, stage, "short enough for the shipped rules", lines)
        for name, stage, lines in found
    )


def _healthy(case: Case, health: RuleHealth) -> tuple[CheckResult, ...]:
    """Every rule was evaluated, and its last evaluation succeeded.

    Single ones fail where a fault lets Prometheus keep no results.
    """
    if not health.rules:
        return ()
    faults = (fault for phase in case.scenario.phases for fault in phase.faults)
    meant = any(fault.disk == "prometheus" for fault in faults)
    sick = [rule for rule in health.rules if not rule.evaluated or rule.health != "ok"]
    known = {rule.group for rule in sick}
    lines = (
        *map(_sickness, sick),
        *(
            f"{each.failures} evaluations of rules of the group {each.name} failed"
            for each in health.evaluations
            if each.failures > FAILURES and each.name not in known and not meant
        ),
    )
    return (
        CheckResult(
            name="rules healthy",
            passed=not lines,
            stage=Stage.RULE,
            summary=lines[0] if lines else f"all {len(health.rules)} were evaluated without error",
            details=lines[:DETAILS],
        ),
    )


def _sickness(rule: RuleState) -> str:
    if not rule.evaluated:
        return f"the rule {rule.name} of group {rule.group} was never evaluated"
    why = f": {rule.last_error}" if rule.last_error else ""
    return f"the evaluation of the rule {rule.name} fails (its health is {rule.health}){why}"

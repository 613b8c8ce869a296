"""Rules: loaded, healthy, evaluated at their interval; scrapes without holes; clocks agreed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed.checks.findings import CheckFinding, finding_result, lines_result
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

SKEW: Final = 1.0
"""Seconds by which clocks of one machine may seem to differ: each is read at its own moment."""

LATE: Final = 30.0
"""Seconds after which the runner has seen the load start: that long it waits for Locust."""


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
        _clocks(case, health),
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


def _clocks(case: Case, health: RuleHealth) -> CheckResult:
    """Prometheus, the processes, the load and Alertmanager go by the same time as the runner."""
    found = [
        *_prometheus_clock(health),
        *_process_clocks(case, health),
        *_load_clock(case),
        *_notification_clock(case),
    ]
    wrong = [CheckFinding(line, stage) for stage, line in found]
    return finding_result("clocks", Stage.PROMETHEUS, "all clocks agree", wrong)


def _prometheus_clock(health: RuleHealth) -> list[tuple[Stage, str]]:
    ahead, doubt = health.clocks.prometheus, health.clocks.doubt
    if ahead is None or abs(ahead) <= SKEW + doubt:
        return []
    return [(Stage.PROMETHEUS, f"Prometheus's clock is {_differs(ahead)} that of the testbed")]


def _process_clocks(case: Case, health: RuleHealth) -> list[tuple[Stage, str]]:
    """Samples bear the time of their process: none is of the future, or older than the run."""
    found = [
        (Stage.INSTRUMENT, f"{name} stamps its metrics {ahead:.1f} s in the future")
        for name, ahead in health.clocks.future.items()
        if ahead > SKEW
    ]
    pipeline = case.evidence.snapshot.pipeline
    for process in pipeline.processes if pipeline else ():
        since = _started(case, process.instance)
        early = since - process.exports[0].time if process.exports else 0.0
        if early > SKEW:
            line = f"{process.instance} stamps its first metrics {early:.1f} s before its start"
            found.append((Stage.INSTRUMENT, line))
    return found


def _started(case: Case, instance: str) -> float:
    """When the component of an instance was first started; the run's start, where unknown."""
    name = instance.partition("-")[0]
    times = [
        event.time
        for event in case.evidence.timeline
        if event.event == "component_started" and event.name == name
    ]
    return min(times, default=case.evidence.snapshot.started_at)


def _load_clock(case: Case) -> list[tuple[Stage, str]]:
    """The load's own start, against the moment at which the runner saw it."""
    start = case.evidence.truth.started_at
    seen = next((e.time for e in case.evidence.timeline if e.event == "load_started"), None)
    if start is None or seen is None or -SKEW <= seen - start <= LATE:
        return []
    return [(Stage.LOAD, f"the load's clock is {_differs(start - seen)} that of the testbed")]


def _notification_clock(case: Case) -> list[tuple[Stage, str]]:
    """No alert started after it was notified, or long before Prometheus did."""
    began = min(case.evidence.snapshot.started_at, _started(case, "prometheus"))
    for item in case.evidence.notifications:
        if item.starts_at is None:
            continue
        if item.starts_at - item.received_at > SKEW:
            ahead = item.starts_at - item.received_at
            return [(Stage.ROUTE, f"{item.alert} started {ahead:.1f} s after its notification")]
        if began - item.starts_at > SKEW:
            early = began - item.starts_at
            return [(Stage.ROUTE, f"{item.alert} started {early:.1f} s before the stack did")]
    return []


def _differs(seconds: float) -> str:
    return f"{abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'}"

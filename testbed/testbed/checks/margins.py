"""Margins: how far alerts were from their limits, and which mutants of rules survive.

Neither fails a verdict: they say how much it proves. What is checked is their footing, that the
replay of each rule does what Prometheus did.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from testbed.checks.deployed import other_rules
from testbed.checks.registry import CHECKS
from testbed.checks.results import CheckResult, RuleLimitRow, RuleRow, not_applicable
from testbed.checks.stages import Stage
from testbed.facts.margins import LATE_DATA
from testbed.timeline import GONE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from testbed.checks.case import Case
    from testbed.facts.alertspans import AlertSpan
    from testbed.facts.marginmodels import LimitMargin, Replayed, RuleMargins

NAME: Final = "rule replay"
SHOWN: Final = 10
LISTED: Final = 4
"""Survivors of one rule that a single line names."""

LATE_BY_DESIGN: Final = frozenset({"collector", "prometheus"})
"""Components whose outage delays points until rules have been evaluated without them."""


def rule_rows(case: Case) -> tuple[RuleRow, ...]:
    """The table of rules, as Prometheus has them; empty where nothing is known of them."""
    margins = case.evidence.snapshot.margins
    return () if margins is None else tuple(_row(rule) for rule in margins.rules)


@CHECKS.register
def check_margins(case: Case) -> tuple[CheckResult, ...]:
    """The replay of each rule fires when Prometheus did, save for what late data can do."""
    snapshot = case.evidence.snapshot
    if snapshot.margins is None or not snapshot.margins.rules:
        return ()
    reason = _hindered(case)
    if reason is not None:
        return (not_applicable(NAME, Stage.RULE, reason),)
    others = other_rules(case)
    replayed = [
        rule for rule in snapshot.margins.rules if not rule.problem and rule.alert not in others
    ]
    wrong = [line for rule in replayed for line in _differences(case, rule)]
    count = len(replayed)
    summary = (
        f"Prometheus did otherwise than the replay of its own rules: {wrong[0]}"
        if wrong
        else f"the replay of {count} rules on the run's series fires as Prometheus did"
    )
    problems = [
        f"{rule.alert} was not replayed: {rule.problem}"
        for rule in snapshot.margins.rules
        if rule.problem
    ]
    if others:
        problems.append(
            f"a fault replaced for a while, so not replayed: {', '.join(sorted(others))}"
        )
    return (
        CheckResult(
            name=NAME,
            passed=not wrong,
            stage=Stage.RULE,
            summary=summary,
            details=(*wrong[1:], *problems)[:SHOWN],
        ),
    )


def mutant_line(rows: tuple[RuleRow, ...]) -> str:
    """What came of the mutants of the exercised rules, in one line; empty without any."""
    exercised = [row for row in rows if row.exercised]
    total = sum(row.mutants for row in exercised)
    if not total:
        return ""
    killed = sum(row.killed for row in exercised)
    lines = [f"mutants: {killed} of {total} killed"]
    lines += [
        f"survivors of {row.alert}: {_first(row.survivors)}" for row in exercised if row.survivors
    ]
    return "; ".join(lines)


def _first(texts: tuple[str, ...]) -> str:
    more = f" and {len(texts) - LISTED} more" if texts[LISTED:] else ""
    return ", ".join(texts[:LISTED]) + more


def _hindered(case: Case) -> str | None:
    """Why replay and rules may differ though nothing is wrong; None if they may not."""
    snapshot = case.evidence.snapshot
    if any(problem.startswith("alerts: ") for problem in snapshot.problems):
        return "the alerts that Prometheus held could not be read"
    if snapshot.margins is not None and snapshot.margins.restarted:
        return "Prometheus was restarted, which begins `for` anew"
    ended = {event.name for event in case.evidence.timeline if event.event in GONE}
    components = sorted(ended & LATE_BY_DESIGN)
    if components:
        return f"{' and '.join(components)} was gone for a while: rules did without late points"
    faults = (fault for phase in case.scenario.phases for fault in phase.faults)
    if any(fault.interrupts and "exports" in fault.cuts for fault in faults):
        return "a fault kept exports back for a while, so rules had to do without late points"
    pause, instance = _longest_pause(case)
    if pause > LATE_DATA + (case.evidence.run.export_interval or 0.0):
        return f"exports of {instance} paused for {pause:.1f} s, so rules had to do without them"
    return None


def _longest_pause(case: Case) -> tuple[float, str]:
    """Seconds between two exports of one process; the next one waits while one is under way."""
    pipeline = case.evidence.snapshot.pipeline
    pauses = [
        (after.time - before.time, process.instance)
        for process in (() if pipeline is None else pipeline.processes)
        for before, after in pairwise(process.exports)
    ]
    return max(pauses, default=(0.0, ""))


def _differences(case: Case, rule: RuleMargins) -> Iterator[str]:
    """Where a rule fired though it could not, or did not though it must have."""
    templated = {name for name, value in rule.labels.items() if "{{" in value}
    fixed = {name: value for name, value in rule.labels.items() if name not in templated}
    ignored = {"alertname", *rule.labels}
    held = [
        span
        for span in case.evidence.snapshot.spans
        if span.alert == rule.alert
        and span.state == "firing"
        and fixed.items() <= span.labels.items()
    ]
    edge = 2 * rule.interval
    start = case.evidence.snapshot.started_at
    for span in held:
        labels = _without(span.labels, ignored)
        possible = [r for r in rule.possible if _without(r.labels, ignored) == labels]
        if not any(_inside(span, each, edge) for each in possible):
            yield (
                f"{rule.alert} fired from {span.start - start:+.1f} s to {span.end - start:+.1f} s "
                "of the run, where its expression and `for` do not allow it"
            )
    for certain in rule.certain:
        labels = _without(certain.labels, ignored)
        mine = [span for span in held if _without(span.labels, ignored) == labels]
        if not any(_covers(span, certain, edge) for span in mine):
            yield (
                f"{rule.alert} must have fired from {certain.start - start:+.1f} s of the run on "
                "by its expression and `for`, and did not"
            )


def _inside(span: AlertSpan, possible: Replayed, edge: float) -> bool:
    end = math.inf if possible.end is None else possible.end
    return possible.start - edge <= span.start and span.end <= end + edge


def _covers(span: AlertSpan, certain: Replayed, edge: float) -> bool:
    end = certain.start if certain.end is None else certain.end
    return span.start <= certain.start + edge and span.end >= end - edge


def _without(labels: Mapping[str, str], names: set[str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name not in names and value}


def _row(rule: RuleMargins) -> RuleRow:
    return RuleRow(
        alert=rule.alert,
        labels=rule.labels,
        expression=rule.expression,
        exercised=rule.exercised,
        limits=tuple(_limit(limit) for limit in rule.limits),
        mutants=rule.mutants,
        killed=rule.killed,
        alike=rule.alike,
        survivors=rule.survivors,
        problem=rule.problem,
        unscored=rule.unscored,
    )


def _limit(limit: LimitMargin) -> RuleLimitRow:
    nearest = min if limit.operator.startswith("<") else max
    return RuleLimitRow(
        expression=limit.expression,
        operator=limit.operator,
        limit=limit.limit,
        quiet=_finite(limit.quiet_held),
        fault=_finite(nearest(limit.fault_held.values(), default=None)),
        bounded=limit.bounded,
        passes_from=_finite(limit.passes_from),
        passes_to=_finite(limit.passes_to),
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None

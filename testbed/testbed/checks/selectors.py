"""Rules whose selectors match nothing: a typo, or only something that did not happen."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

from testbed_otel import names
from testbed_otel.names import Metric
from testbed_rules.selectors import LabelMatcher

from testbed.checks.findings import lines_result
from testbed.checks.results import CheckResult
from testbed.checks.stages import Stage
from testbed.componentnames import BY_JOB

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from testbed.checks.case import Case
    from testbed.facts.rulehealth import RuleHealth
    from testbed.facts.selectors import Culprit, IdleSelector

DETAILS: Final = 10
SIMILAR: Final = 0.8
"""From here on two names are taken for one that is written wrongly."""

SHOWN: Final = 6
"""Values that a sentence names."""

JOBS: Final = (
    names.JOB_API, names.SERVICE_DRIFT, names.JOB_COLLECTOR, names.JOB_PROMETHEUS,
    names.JOB_ALERTMANAGER, names.JOB_NODE,
)  # fmt: skip
STATUSES: Final = tuple(map(str, range(100, 600)))
ROUTES: Final = (
    "/predict", "/predict/batch", "/predict/stream", "/labels", "/monitoring", "/metrics",
)  # fmt: skip

METRICS: Final[Mapping[str, Metric]] = {
    series: metric for metric in names.METRICS for series in metric.prometheus_series
}
KNOWN: Final = frozenset(METRICS) | frozenset(names.FOREIGN_SERIES)


STEADY: Final = {
    "otelcol_exporter_queue_size": names.JOB_COLLECTOR,
    "otelcol_exporter_queue_capacity": names.JOB_COLLECTOR,
}
"""Metrics that a component has from its start on, to the job by which they are scraped."""


def check_selectors(case: Case, health: RuleHealth) -> tuple[CheckResult, ...]:
    """No selector of a rule is idle for another reason than that nothing happened.

    What is certain fails the run: a label that the metric can't have, a value that it can't have,
    and what looks like a name that exists. Of users' own rules, what the testbed can't know is only
    mentioned, unless the scenario expects the alert.
    """
    expected = {item.alert for item in case.scenario.expected_alerts}
    absent = [job for job, component in BY_JOB.items() if component in case.evidence.run.without]
    wrong: list[str] = []
    unsure: list[str] = []
    for idle in health.idle:
        certain, reason = _reason(idle, absent)
        if reason is None:
            continue
        line = f"{', '.join(idle.rules)}: the selector {idle.selector} {reason}"
        own = case.evidence.run.custom_rules and not expected & set(idle.rules)
        (wrong if certain or not own else unsure).append(line)
    summary = wrong[0] if wrong else "every selector that must match something did"
    if unsure and not wrong:
        summary += f"; {len(unsure)} of own rules matched nothing, which may be meant so"
    return (
        CheckResult(
            name="rule selectors",
            passed=not wrong,
            stage=Stage.RULE,
            summary=summary,
            details=(*wrong, *(f"warning: {line}" for line in unsure))[:DETAILS],
        ),
        _steady(health, absent),
    )


def _steady(health: RuleHealth, absent_jobs: Collection[str]) -> CheckResult:
    """What rules ask for and a component always has is in Prometheus."""
    lost = (
        f"{', '.join(idle.rules)}: Prometheus holds no {idle.metric}, which {job} always has"
        for idle in health.idle
        if not idle.series
        and (job := STEADY.get(idle.metric)) is not None
        and job not in absent_jobs
    )
    fine = "Prometheus holds what rules ask of the Collector"
    return lines_result("rule series", Stage.PROMETHEUS, fine, lost)


def _reason(idle: IdleSelector, absent_jobs: Collection[str]) -> tuple[bool, str | None]:
    """Whether it is certain that a selector is wrong, and why; None where it may be right."""
    if not idle.series:
        if idle.metric in KNOWN or idle.recorded:
            return False, None  # nothing of the kind happened, or a setting turns it on
        hint = _hint(idle.metric, KNOWN, 0.9)
        return bool(hint), (
            f"matched no series in the whole run, and no metric {idle.metric} is known{hint}"
        )
    doubts = [
        doubt for each in idle.culprits if (doubt := _doubt(idle, each, absent_jobs)) is not None
    ]
    if not doubts:
        return False, None
    certain, why = max(doubts, key=lambda each: each[0])
    return certain, (
        f"matched no series in the whole run, though {idle.metric} has {idle.series} series: {why}"
    )


def _doubt(
    idle: IdleSelector, culprit: Culprit, absent_jobs: Collection[str]
) -> tuple[bool, str] | None:
    """Whether a matcher is certainly wrong, and why; None where it may be right."""
    matcher = LabelMatcher(culprit.label, culprit.operator, culprit.value)
    if culprit.label == "job":
        if any(map(matcher.matches, absent_jobs)):
            return None
        hint = _hint(culprit.value, {*culprit.values, *JOBS})
        return bool(hint), f"{matcher} fits none, they have {_few(culprit.values)}{hint}"
    metric = METRICS.get(idle.metric)
    if not culprit.known and (metric is None or not _bears(metric, culprit.label)):
        hint = _hint(culprit.label, idle.labels)
        return metric is not None or bool(hint), f"none has a label {culprit.label}{hint}"
    possible = _possible(idle.metric, metric, culprit.label)
    if possible is not None:
        if any(map(matcher.matches, possible)):
            return None
        return True, f"{culprit.label} can't be {culprit.value}, only {_few(possible)}"
    return _open(culprit, matcher)


def _open(culprit: Culprit, matcher: LabelMatcher) -> tuple[bool, str] | None:
    """The same of a label whose values are no closed set."""
    known = culprit.values
    if culprit.label == names.label(names.HTTP_ROUTE):
        known = (*known, *ROUTES)
    if culprit.operator not in {"=", "=~"} or any(map(matcher.matches, known)):
        return None
    hint = _hint(culprit.value, known)
    return bool(hint), f"{matcher} fits none, they have {_few(culprit.values)}{hint}"


def _possible(series: str, metric: Metric | None, label: str) -> Collection[str] | None:
    """The closed set of a label's values; None where it is open."""
    if metric is None:
        return names.FOREIGN_VALUES.get((series, label))
    if label == names.label(names.HTTP_STATUS):
        return STATUSES
    return {names.label(attribute): values for attribute, values in metric.values}.get(label)


def _bears(metric: Metric, label: str) -> bool:
    own = set(map(names.label, metric.attributes))
    return label in own or label == "instance" or (label == "le" and metric.kind == "histogram")


def _hint(name: str, known: Collection[str], similar: float = SIMILAR) -> str:
    close = difflib.get_close_matches(name, sorted(set(known) - {name}), 1, similar)
    return f"; did you mean {close[0]}?" if close else ""


def _few(values: Collection[str]) -> str:
    shown = list(values)[:SHOWN]
    return ", ".join(shown) + (" …" if len(values) > len(shown) else "")

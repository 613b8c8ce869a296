"""Integrity: every component lived, and the evidence is whole."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from testbed_otel import names

from testbed.checks.registry import CHECKS
from testbed.checks.results import CheckResult
from testbed.checks.stages import Stage
from testbed.componentnames import API, DATABASE

if TYPE_CHECKING:
    from testbed.checks.case import Case

# Component of the stack to the link that breaks with it.
STAGES = {
    API: Stage.SERVICE,
    DATABASE: Stage.LOG,
    "drift": Stage.DRIFT_JOB,
    "collector": Stage.COLLECTOR,
    "prometheus": Stage.PROMETHEUS,
    "node_exporter": Stage.PROMETHEUS,
    "alertmanager": Stage.ROUTE,
    "receiver": Stage.RECEIVER,
}


@CHECKS.register
def check_components(case: Case) -> tuple[CheckResult, ...]:
    """No component crashed; one that a fault stops is none that crashes."""
    crashed = [event for event in case.evidence.timeline if event.event == "component_crashed"]
    names = ", ".join(sorted({event.name for event in crashed}))
    details = tuple(
        f"{event.name}: {event.details.get('outcome', 'ended by itself')}" for event in crashed
    )
    summary = f"crashed: {names}" if crashed else "no component crashed"
    broken = [STAGES.get(event.name, Stage.EVIDENCE) for event in crashed]
    stage = min(broken, key=lambda each: each.place, default=Stage.SERVICE)
    return (
        CheckResult(
            name="components", passed=not crashed, stage=stage, summary=summary, details=details
        ),
    )


@CHECKS.register
def check_replicas(case: Case) -> tuple[CheckResult, ...]:
    """All replicas were started, and none crashed; Prometheus counted the same starts."""
    wanted = case.evidence.run.replicas
    if wanted == 1:
        return ()
    events = case.evidence.timeline
    why = Counter(str(e.details.get("why")) for e in events if e.event == "replica_started")
    ended = [event for event in events if event.event == "replica_crashed"]
    crashed = [event for event in ended if event.details.get("why") != "fault"]
    starts: Counter[str] = Counter()
    for counts in case.evidence.snapshot.prometheus.values():
        for count in counts:
            if count.metric == names.REPLICA_STARTS.prometheus:
                starts[count.labels[names.label(names.REASON)]] += count.value
    details = [f"{e.name}: crashed, {e.details.get('outcome', 'of itself')}" for e in crashed]
    # Of one that crashed before its first export Prometheus can't know.
    unknown = (why - starts).total()
    if unknown > len(ended) or starts - why:
        details.append(f"starts by reason: {dict(why)}, in Prometheus {dict(starts)}")
    if crashed:
        summary = f"{len(crashed)} crashed, {why['crash']} started again"
    elif why["first"] < wanted:
        summary = f"{why['first']} of {wanted} were started"
        details.append(summary)
    else:
        summary = "Prometheus counted other starts" if details else f"{wanted} ran to the end"
    return (
        CheckResult(
            name="replicas",
            passed=not details,
            stage=Stage.SERVICE,
            summary=summary,
            details=tuple(details),
        ),
    )


@CHECKS.register
def check_truth(case: Case) -> tuple[CheckResult, ...]:
    """The load wrote all of its truth, and every phase was played."""
    problems = list(case.evidence.truth.problems)
    if not case.evidence.truth.requests:
        problems.append("no request was recorded")
    problems += [
        f"the phase {phase.name} was never played"
        for phase in case.scenario.phases
        if case.phase(phase.name) is None
    ]
    sent = len(case.evidence.truth.requests)
    summary = "the truth has gaps" if problems else f"complete, {sent} requests"
    return (
        CheckResult(
            name="truth",
            passed=not problems,
            stage=Stage.LOAD,
            summary=summary,
            details=tuple(problems),
        ),
    )


@CHECKS.register
def check_evidence(case: Case) -> tuple[CheckResult, ...]:
    """Everything could be asked for at the end, and every record can be read."""
    problems = (*case.evidence.snapshot.problems, *case.evidence.problems)
    summary = "evidence is missing or broken" if problems else "complete"
    return (
        CheckResult(
            name="evidence",
            passed=not problems,
            stage=Stage.EVIDENCE,
            summary=summary,
            details=problems,
        ),
    )

"""Clocks: Prometheus, the processes, the load and Alertmanager go by the same time."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

from testbed.checks.findings import CheckFinding, finding_result
from testbed.checks.stages import Stage

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.checks.results import CheckResult
    from testbed.facts.clockoffsets import ClockOffset
    from testbed.facts.rulehealth import RuleHealth
    from testbed.pipeline import Process

SKEW: Final = 1.0
"""Seconds by which clocks of one machine may seem to differ: each is read at its own moment."""

LATE: Final = 30.0
"""Seconds after which the runner has seen the load start: that long it waits for Locust."""

STRAGGLERS: Final = 0.02
"""Ratio of the stamps of a process that a busy machine may put far outside of their requests."""


def check_clocks(case: Case, health: RuleHealth) -> CheckResult:
    """Prometheus, the processes, the load and Alertmanager go by the same time as the runner."""
    found = [
        *_prometheus_clock(health),
        *_process_clocks(case, health),
        *_stamp_clocks(case),
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
        back = _set_back(process)
        if back > SKEW:
            line = (
                f"{process.instance} stamps metrics {back:.1f} s before those that it sent before"
            )
            found.append((Stage.INSTRUMENT, line))
        since = _started(case, process.instance)
        early = since - process.exports[0].time if process.exports else 0.0
        if early > SKEW:
            line = f"{process.instance} stamps its first metrics {early:.1f} s before its start"
            found.append((Stage.INSTRUMENT, line))
    return found


def _set_back(process: Process) -> float:
    """By how many seconds its clock went back at most, by the exports in their own order."""
    in_order = sorted(process.exports, key=lambda export: export.exports)
    return max((a.time - b.time for a, b in pairwise(in_order)), default=0.0)


def _stamp_clocks(case: Case) -> list[tuple[Stage, str]]:
    """Spans and log records bear times at which the load waited for their requests."""
    signals = case.evidence.snapshot.signals
    if signals is None:
        return []
    stamped: list[tuple[str, ClockOffset]] = []
    if signals.traces is not None:
        stamped += [("spans", each) for each in signals.traces.clocks]
    if signals.logs is not None:
        stamped += [("log records", each) for each in signals.logs.clocks]
    return [
        (
            Stage.INSTRUMENT,
            f"{each.instance} stamps {each.count} of {each.of} {what} {_by_the_load(each)}",
        )
        for what, each in stamped
        if each.count > max(2, STRAGGLERS * each.of)
    ]


def _by_the_load(offset: ClockOffset) -> str:
    return f"{_differs(offset.seconds)} the load's clock (median)"


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

"""Telemetry: what the processes exported is found again in the Collector and in Prometheus.

Everything is compared on raw counters. Nothing stands still for that: processes export and the
Collector passes on while counters are read. What is on its way arrives, on a busy machine later
than on a quiet one, and what is lost stays lost; so each hop is compared at the one of the
Collector's last scrapes at which least is missing, and among these around which least was on its
way. How much may have been on its way then is known from the exports themselves, and no more than
that is explained by it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal

from testbed.checks.counts import Cause, hop_result, make_hop
from testbed.checks.registry import CHECKS
from testbed.checks.results import CheckResult, Hop, Reason
from testbed.componentnames import LOAD

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from testbed.checks.case import Case
    from testbed.pipeline import CounterReading, Flow, Pipeline, Process

LOOKBACK: Final = 20
"""Scrapes of which one is chosen."""

DELIVERY: Final = 0.25
"""Seconds in which an export has reached the Collector's counters."""

SKEW: Final = 0.1
"""Seconds by which a scrape's values may be newer than its time says."""

SILENCE: Final = 3
"""Intervals without an export after which a process has ended."""

Kind = Literal["points", "spans"]
ONWARD: Final[Mapping[Kind, str]] = {"points": "points_prometheus", "spans": "spans_viewer"}


@dataclass(frozen=True, slots=True)
class Offered:
    """What one process had exported at a moment, for as far as that is known.

    Attributes:
        minimum: exported, and counted by the Collector where nothing was lost.
        now: exported at that moment.
        maximum: what the Collector may have counted.
    """

    minimum: int
    now: int
    maximum: int

    @property
    def spread(self) -> int:
        """How much may have been on its way."""
        return self.maximum - self.minimum


@dataclass(frozen=True, slots=True)
class Life:
    """One life of the Collector: its readings, and when it was missed; None while it lives."""

    readings: tuple[CounterReading, ...]
    missed: float | None


def telemetry_hops(case: Case) -> tuple[Hop, ...]:
    """The part of the loss table that is about the telemetry itself."""
    pipeline = case.evidence.snapshot.pipeline
    if pipeline is None or "collector" in case.evidence.run.without:
        return ()
    found = lives(pipeline)
    if not found:
        made = sum(
            export.points for process in pipeline.processes for export in process.exports[-1:]
        )
        return (_hop("points_collector", made, 0, ()),)
    return (
        *_to_collector_and_on(pipeline, found, "points"),
        _exports_to_prometheus(case, pipeline, found),
        *_to_collector_and_on(pipeline, found, "spans"),
    )


@CHECKS.register
def check_telemetry(case: Case) -> tuple[CheckResult, ...]:
    """Each of these hops' residual is 0."""
    return tuple(hop_result(case, hop) for hop in telemetry_hops(case))


def lives(pipeline: Pipeline) -> tuple[Life, ...]:
    """The Collector's lives, in order: its counters begin at 0 with each."""
    readings = pipeline.readings
    starts = [0] + [
        index + 1 for index, (a, b) in enumerate(pairwise(readings)) if b.uptime < a.uptime
    ]
    groups = [readings[a:b] for a, b in pairwise([*starts, len(readings)])]
    found = []
    for group, following in zip(groups, [*groups[1:], ()], strict=True):
        if not group:
            continue
        missed = None
        if following:
            next_reading = following[0].time
            silent = (time for time in pipeline.down if group[-1].time < time < next_reading)
            missed = min(silent, default=next_reading)
        found.append(Life(group, missed))
    return tuple(found)


def _to_collector_and_on(pipeline: Pipeline, found: Sequence[Life], kind: Kind) -> tuple[Hop, Hop]:
    """From the processes to the Collector, and from there on."""
    offered = _points_offered if kind == "points" else _spans_offered
    flow = _points if kind == "points" else _spans
    before = [flow(life.readings[-1]) for life in found[:-1]]
    recent = _comparable(pipeline, found[-1])
    unread = _unread(pipeline, found, kind)

    def at(time: float) -> Offered:
        return _sum(offered(process, time) for process in pipeline.processes)

    earlier = sum(each.accepted for each in before)

    def missing(reading: CounterReading) -> tuple[int, int]:
        there = at(reading.time)
        return max(0, there.minimum - earlier - flow(reading).accepted), there.spread

    here = min(reversed(recent), key=missing)
    exported = at(here.time)
    accepted = earlier + flow(here).accepted
    # An export that the Collector has counted was made, whatever the clocks say.
    sent = max(exported.now, min(accepted, exported.maximum))
    # The load says how many it sent with its last export, which follows its last spans.
    served = [process for process in pipeline.processes if process.component != LOAD]
    if kind == "spans" and any(_ended(process, here.time) for process in served):
        sent = max(sent, accepted)  # one that was killed may not have reported its last spans
    arriving: list[Cause] = [
        *_losses(pipeline, kind),
        (Reason.COLLECTOR_ENDED, unread),
        (Reason.IN_TRANSIT, sent - exported.minimum),
    ]
    to_collector = _hop(f"{kind}_collector", sent, accepted, arriving)

    # What is on its way arrives, what is lost stays lost: the least difference is the loss.
    there = min(reversed(recent), key=lambda reading: _waiting(flow(reading)))
    previous = [r for r in found[-1].readings if r.time < there.time]
    newest = flow(there).accepted - (flow(previous[-1]).accepted if previous else 0)
    accepted = sum(each.accepted for each in (*before, flow(there)))
    passed_on = sum(each.sent for each in (*before, flow(there)))
    counted = sum(e.count for e in to_collector.explained if e.reason is Reason.COLLECTOR_ENDED)
    # An export that failed for its process may have been taken by the Collector all the same.
    counted = max(counted, min(unread, passed_on - accepted))
    leaving: list[Cause] = [
        (Reason.ENQUEUE_FAILED, sum(each.enqueue_failed for each in (*before, flow(there)))),
        (Reason.SEND_FAILED, sum(each.send_failed for each in (*before, flow(there)))),
        (Reason.COLLECTOR_ENDED, unread + sum(each.accepted - each.sent for each in before)),
        (Reason.IN_TRANSIT, newest),
    ]
    return to_collector, _hop(ONWARD[kind], accepted + counted, passed_on, leaving)


def _comparable(pipeline: Pipeline, life: Life) -> Sequence[CounterReading]:
    """Readings before and after which each process that lives has reported; else the last one."""
    exporting = [process for process in pipeline.processes if process.exports]
    newest = max((process.exports[-1].time for process in exporting), default=0.0)
    living = [process for process in exporting if not _ended(process, newest)]
    reported = min((process.exports[-1].time for process in living), default=newest)
    known = [reading for reading in life.readings if reading.time + SKEW <= reported]
    return known[-LOOKBACK:] or life.readings[-1:]


def _exports_to_prometheus(case: Case, pipeline: Pipeline, found: Sequence[Life]) -> Hop:
    """Each export is a sample in Prometheus, which the last of them knows of.

    Of those that the Collector dropped it counted the points only: no more exports than these were
    of the smallest kind are explained so.
    """
    made = sum(export.exports for process in pipeline.processes for export in process.exports[-1:])
    stored = sum(len(process.exports) for process in pipeline.processes)
    failures = sum(process.failures for process in pipeline.processes)
    counted = [life.readings[-1].points for life in found]
    firsts = [process.exports[0] for process in pipeline.processes if process.exports]
    smallest = min((first.points / first.exports for first in firsts), default=1.0)
    possible: list[Cause] = [
        (Reason.EXPORT_FAILED, failures),
        (Reason.ENQUEUE_FAILED, round(sum(c.enqueue_failed for c in counted) / smallest)),
        (Reason.SEND_FAILED, round(sum(c.send_failed for c in counted) / smallest)),
        (Reason.DISK_FULL, _not_stored(case, pipeline)),
    ]
    return _hop("exports_prometheus", made, stored, possible)


def _not_stored(case: Case, pipeline: Pipeline) -> int:
    """The most exports that came while a fault had filled Prometheus's disk."""
    interval = case.evidence.run.export_interval
    full = [
        phase
        for planned in case.scenario.phases
        if any(fault.disk == "prometheus" for fault in planned.faults)
        and (phase := case.phase(planned.name)) is not None
    ]
    if not interval:
        return 0
    each = sum(math.ceil((phase.end - phase.start) / interval) + 1 for phase in full)
    return each * len(pipeline.processes)


def _losses(pipeline: Pipeline, kind: Kind) -> list[Cause]:
    if kind == "points":
        failed = sum(process.failed for process in pipeline.processes)
        return [(Reason.EXPORT_FAILED, failed)]
    last = [process.spans[-1] for process in pipeline.processes if process.spans]
    return [
        (Reason.QUEUE_FULL, sum(count.dropped for count in last)),
        (Reason.EXPORT_FAILED, sum(count.failed for count in last)),
    ]


def _unread(pipeline: Pipeline, found: Sequence[Life], kind: Kind) -> int:
    """The most that Collectors counted after they were last scraped."""
    total = 0
    for life in found:
        if life.missed is None:
            continue
        since = life.readings[-1].time - DELIVERY
        for process in pipeline.processes:
            if kind == "points":
                total += _points_at(process, life.missed) - _points_at(process, since)
            else:
                total += max(0, _delivered(process, life.missed) - _delivered_by(process, since))
    return total


def _points_offered(process: Process, time: float) -> Offered:
    """Points by the time of their export, which is the time of their sample."""
    return Offered(
        _points_at(process, time - DELIVERY),
        _points_at(process, time),
        _points_at(process, time + SKEW),
    )


def _points_at(process: Process, time: float) -> int:
    return max((export.points for export in process.exports if export.time <= time), default=0)


def _ended(process: Process, time: float) -> bool:
    """Whether it had ended by then: it exports no more."""
    last = [export.time for export in process.exports[-2:]]
    return bool(last) and time - last[-1] > SILENCE * max(last[-1] - last[0], DELIVERY)


def _spans_offered(process: Process, time: float) -> Offered:
    """Spans are exported at other times than the points that report them: before, that is.

    The process takes an export for over when it has the answer, which on a busy machine is well
    after the Collector has counted it.
    """
    before = [count.ended for count in process.spans if count.time <= time - DELIVERY]
    until = [count for count in process.spans if count.time >= time + SKEW] or process.spans[-1:]
    # Runs of earlier versions don't hold what was begun.
    maximum = sum(max(count.ended, count.begun + count.dropped) for count in until[:1])
    return Offered(before[-1] if before else 0, maximum, maximum)


def _delivered(process: Process, time: float) -> int:
    """Spans that were exported for sure, by the first word after a time."""
    later = [count for count in process.spans if count.time >= time] or process.spans[-1:]
    return sum(count.ended - count.dropped - count.failed for count in later[:1])


def _delivered_by(process: Process, time: float) -> int:
    """The same by the last word before it."""
    earlier = [count for count in process.spans if count.time <= time]
    return sum(count.ended - count.dropped - count.failed for count in earlier[-1:])


def _sum(each: Iterable[Offered]) -> Offered:
    found = list(each)
    return Offered(
        sum(o.minimum for o in found), sum(o.now for o in found), sum(o.maximum for o in found)
    )


def _points(reading: CounterReading) -> Flow:
    return reading.points


def _spans(reading: CounterReading) -> Flow:
    return reading.spans


def _waiting(flow: Flow) -> int:
    return flow.accepted - flow.sent - flow.send_failed - flow.enqueue_failed


# Key of a hop to what is counted, where it starts and where it ends.
HOPS: Final = {
    "points_collector": ("Metric points", "processes", "Collector"),
    "points_prometheus": ("Metric points", "Collector", "Prometheus"),
    "exports_prometheus": ("Exports", "processes", "Prometheus"),
    "spans_collector": ("Spans", "processes", "Collector"),
    "spans_viewer": ("Spans", "Collector", "trace viewer"),
}


def _hop(key: str, sent: int, arrived: int, possible: Iterable[Cause]) -> Hop:
    return make_hop(key, HOPS[key], (sent, arrived), (), possible)

"""Traces and logs: spans and records arrive, with the right content."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from testbed.checks.loadspans import check_load_spans
from testbed.checks.registry import CHECKS, of_bundled_api
from testbed.checks.results import CheckResult, not_applicable
from testbed.checks.stages import Stage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed.checks.case import Case
    from testbed.facts.logrecords import RecordFacts
    from testbed.facts.signals import Arrival
    from testbed.facts.spans import Found, SpanFacts

SAMPLED: Final = "spans sampled"
CONTENT: Final = "spans content"
SPANS_ARRIVED: Final = "spans arrived"
RECORDS: Final = "log records content"
RECORDS_ARRIVED: Final = "log records arrived"

EVERYTHING: Final = {
    SAMPLED: Stage.INSTRUMENT,
    CONTENT: Stage.INSTRUMENT,
    SPANS_ARRIVED: Stage.COLLECTOR,
    RECORDS: Stage.INSTRUMENT,
    RECORDS_ARRIVED: Stage.COLLECTOR,
}

LEVEL: Final = 1e-6
"""Chance at most that a sound run has so few, or so many, sampled requests."""
STRAGGLERS: Final = 0.02
"""Share of times that a busy machine may put outside of what the client saw."""
LONGER: Final = 0.002
"""Seconds by which the typical span may last longer than its client waited."""
AGREEMENT: Final = 0.01
"""Seconds by which the durations of one request in its span and in its record may differ."""

# Faults that a busy machine makes now and then.
_TIMES: Final = frozenset(
    {
        "outside of the time in which the client waited",
        "shorter than the latency that was added",
        "with a wrong time",
    }
)
# Faults that spans or records which were lost on the way leave behind.
_OF_LOSSES: Final = frozenset({"whose parent did not arrive", "whose span did not arrive"})
"""Lost are spans in both cases: records are only what shows it."""
# Faults of exports that failed for their process and arrived all the same.
_OF_RETRIES: Final = frozenset({"arrived more than once", "twice for one request"})


@CHECKS.register
@of_bundled_api(EVERYTHING)
def check_signals(case: Case) -> tuple[CheckResult, ...]:
    """Traces and logs: spans and records arrive, with the right content."""
    signals = case.evidence.snapshot.signals
    if signals is None or signals.ratio is None:
        return ()
    if not signals.sink:
        gone = " and ".join(sorted({"collector", "receiver"} & set(case.evidence.run.without)))
        why = f"The run has no {gone}" if gone else "Jaeger gets the spans, not the receiver"
        return _nothing(f"{why}, so no spans or log records were looked at")
    found = [_arrived(case, SPANS_ARRIVED, "spans", signals.spans)]
    if signals.traces is not None:
        lost = _lost_spans(case, signals.spans)
        full = signals.spans.full
        found += [
            _sampled(case, signals.ratio, signals.traces, lost, full=full),
            _content(
                CONTENT,
                "spans",
                signals.traces.joined,
                _span_faults(signals.traces, lost, signals.spans.failed),
            ),
        ]
        if signals.traces.load is not None:
            found.append(check_load_spans(signals.traces.load, signals.spans, lost))
    if signals.logs is None:
        reason = "The API sends no log records: the scenario does not ask for them (`logs: true`)"
        found.append(not_applicable(RECORDS, Stage.INSTRUMENT, reason))
    else:
        found += [
            _arrived(case, RECORDS_ARRIVED, "log records", signals.records),
            _records(case, signals.logs, signals.records, _lost_spans(case, signals.spans)),
        ]
    return tuple(found)


def _nothing(reason: str) -> tuple[CheckResult, ...]:
    """All of these checks, where none can be made."""
    return tuple(not_applicable(name, stage, reason) for name, stage in EVERYTHING.items())


def _lost_spans(case: Case, arrival: Arrival) -> int | None:
    """The most spans that were made and did not arrive; None where nobody knows.

    Where they were lost, the hops say.
    """
    pipeline = case.evidence.snapshot.pipeline
    if pipeline is None or None in case.evidence.snapshot.api.values():
        return None
    last = [process.spans[-1] for process in pipeline.processes if process.spans]
    begun = sum(max(count.ended - count.dropped, count.begun) for count in last)
    return max(0, begun - arrival.received) + sum(count.dropped for count in last)


def _sampled(
    case: Case, ratio: float, spans: SpanFacts, lost: int | None, *, full: bool
) -> CheckResult:
    """As many requests have spans as the sampling ratio says, and each that failed has one."""
    if not case.scenario.traces:
        reason = "The scenario does not ask for spans (`traces: false`)"
        return not_applicable(SAMPLED, Stage.INSTRUMENT, reason)
    if full:
        reason = "traces.jsonl is full, so that spans could not be counted"
        return not_applicable(SAMPLED, Stage.INSTRUMENT, reason)
    low, high = bounds(spans.ordinary, ratio)
    expectation = f"a ratio of {ratio:g} gives {low} to {high}"
    counted = f"{spans.sampled} of {spans.ordinary} ordinary requests have a span"
    problem = None
    if ratio <= 0:
        problem = "No request is to be sampled: the ratio is 0, and this run must yield spans"
    elif not spans.joined and lost is None:
        reason = "A process of the API ended without its last spans, and no other span arrived"
        return not_applicable(SAMPLED, Stage.INSTRUMENT, reason)
    elif spans.sampled > high or (lost is not None and spans.sampled + lost < low):
        problem = f"The API samples other requests than it was asked to: {counted}; {expectation}"
    elif lost is not None and spans.untraced.count > lost:
        problem = (
            f"The API makes no span of requests that fail: {spans.untraced.count} of "
            f"{spans.failed} requests answered with 5xx have none"
        )
    elif spans.joined < low and not lost:
        problem = f"Spans don't name their requests: {spans.joined} do; {expectation}"
    traced = spans.failed - spans.untraced.count
    details = (
        f"{counted}; {expectation}",
        f"{traced} of {spans.failed} requests answered with 5xx have a span",
    )
    if problem is None:
        summary = _as_reported(spans, ratio, low, counted)
        return CheckResult(
            name=SAMPLED, passed=True, stage=Stage.INSTRUMENT, summary=summary, details=details
        )
    return CheckResult(
        name=SAMPLED,
        passed=False,
        stage=Stage.INSTRUMENT,
        summary=problem,
        details=(*details, *spans.untraced.examples),
    )


def _as_reported(spans: SpanFacts, ratio: float, low: int, counted: str) -> str:
    """How many were sampled, said of a run in which nothing is wrong with it."""
    if spans.sampled < low:
        return f"{counted}; more were made and lost on the way, which the hops show"
    if low == 0:
        return f"{counted}; at a ratio of {ratio:g} so few need not have any"
    return f"{counted}, as a ratio of {ratio:g} has it"


def bounds(number: int, ratio: float) -> tuple[int, int]:
    """What so many independent choices give but for a chance of :data:`LEVEL` on either side.

    By Chernoff's bound, which is a little wider than the exact one.
    """
    ratio = min(max(ratio, 0.0), 1.0)
    mean = number * ratio
    low, high = math.floor(mean), math.ceil(mean)
    limit = -math.log(LEVEL)
    while low > 0 and number * _divergence((low - 1) / number, ratio) < limit:
        low -= 1
    while high < number and number * _divergence((high + 1) / number, ratio) < limit:
        high += 1
    return low, high


def _divergence(seen: float, expected: float) -> float:
    """Kullback-Leibler divergence of two coins."""
    total = 0.0
    for a, b in ((seen, expected), (1 - seen, 1 - expected)):
        if a > 0:
            total += math.inf if b <= 0 else a * math.log(a / b)
    return total


def _span_faults(spans: SpanFacts, lost: int | None, failed: int) -> list[str]:
    faults = _faults("spans", spans.faults, spans.joined, lost, failed)
    if spans.excess is not None and spans.excess > LONGER:
        faults.append(
            f"spans last {1000 * spans.excess:.1f} ms longer than their clients waited (median)"
        )
    return faults


def _faults(
    what: str, faults: Mapping[str, Found], joined: int, lost: int | None, failed: int
) -> list[str]:
    """One line per kind of fault that is more than chance or a loss explains."""
    lines = []
    for kind, found in faults.items():
        if kind in _TIMES and found.count <= max(2, STRAGGLERS * joined):
            continue
        if kind in _OF_LOSSES and (lost is None or found.count <= lost):
            continue
        if kind in _OF_RETRIES and found.count <= failed:
            continue
        lines.append(f"{found.count} {what} {kind}, as {found.examples[0]}")
    return lines


def _content(name: str, what: str, joined: int, faults: list[str]) -> CheckResult:
    if faults:
        return CheckResult(
            name=name,
            passed=False,
            stage=Stage.INSTRUMENT,
            summary=f"The API's {what} are wrong: {faults[0]}",
            details=tuple(faults),
        )
    if not joined:
        reason = f"No {what} of the load's requests arrived, so that none was looked at"
        return not_applicable(name, Stage.INSTRUMENT, reason)
    return CheckResult(
        name=name,
        passed=True,
        stage=Stage.INSTRUMENT,
        summary=f"{joined} {what} say of their requests what the load saw",
    )


def _arrived(case: Case, name: str, what: str, arrival: Arrival) -> CheckResult:
    """What the Collector took and sent is what the receiver got."""
    if arrival.accepted is None:
        reason = f"Prometheus holds no count of the Collector's {what}"
        if arrival.received or what == "spans":
            return not_applicable(name, Stage.COLLECTOR, reason)
        return CheckResult(
            name=name, passed=False, stage=Stage.EXPORT, summary=f"No {what} reached the Collector"
        )
    if arrival.full:
        reason = f"The file of the {what} is full, so that they could not be counted"
        return not_applicable(name, Stage.COLLECTOR, reason)
    stopped = {fault.stops for phase in case.scenario.phases for fault in phase.faults}
    problem = None
    if not arrival.restarted and not stopped & {"collector", "receiver"}:
        if arrival.waiting:
            problem = f"The Collector took {arrival.accepted} {what} and did not send on "
            problem += f"{arrival.waiting} of them"
        elif arrival.before > arrival.sent:
            problem = f"The receiver got {arrival.before} {what}, the Collector sent {arrival.sent}"
    if problem is None and arrival.by_then < arrival.sent:
        problem = f"The receiver lacks {arrival.sent - arrival.by_then} of {arrival.sent} {what}"
        problem += " that the Collector sent"
    if problem is None and arrival.broken:
        problem = f"The receiver's file of {what} has {arrival.broken} broken lines"
    return CheckResult(
        name=name,
        passed=problem is None,
        stage=Stage.COLLECTOR,
        summary=problem or f"The receiver got the {arrival.sent} {what} that the Collector sent",
    )


def _records(
    case: Case, logs: RecordFacts, arrival: Arrival, lost_spans: int | None
) -> CheckResult:
    """Each answered request has one record, and they meet the spans under their trace."""
    lost = _lost_records(case, arrival)
    faults = _faults("log records", logs.faults, logs.requests, lost_spans, arrival.failed)
    if logs.excess is not None and abs(logs.excess) > AGREEMENT:
        faults.append(
            f"spans last {1000 * logs.excess:.1f} ms longer than the access log says of the same "
            "requests (median)"
        )
    missing = logs.missing.count
    if missing and not arrival.full and lost is not None and missing > lost:
        faults.insert(
            0,
            f"{missing} of {logs.requests} answered requests have no log record, as "
            f"{', '.join(logs.missing.examples)}",
        )
    return _content(RECORDS, "log records", logs.requests - missing, faults)


def _lost_records(case: Case, arrival: Arrival) -> int | None:
    """The most records that the way may have lost; None where nobody knows."""
    restarts = any(f.stops for p in case.scenario.phases for f in p.faults)
    if restarts or arrival.restarted or None in case.evidence.snapshot.api.values():
        return None
    return max(0, (arrival.accepted or 0) - arrival.by_then) + arrival.waiting + arrival.failed

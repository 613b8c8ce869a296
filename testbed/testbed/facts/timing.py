"""Latency as the API measured it, beside what the load and the prediction log know of it.

The load sees each request from outside: the API's duration lies within the load's. The log's row
bears the time between the prediction and its commit, so what passed from there to the answer is
known without the API's own timers. Its variation from one export to the next must be found in the
API's durations one to one, whatever the load's own delay is.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from testbed.charts import StoredModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed.facts.answers import Answer
    from testbed.facts.children import Points
    from testbed.phases import PhaseRow

BIN: Final = 20
"""Requests of a bin at least, so that those at its edges don't matter."""

BINS: Final = 400
"""Bins of a process at most."""

MISMATCH: Final = 0.01
"""Share of the requests by which load and API may differ in number, and bins can be made still."""

Array = np.ndarray


class BucketBound(StoredModel):
    """One bucket bound: requests that the API says took no longer, and that the load says did."""

    le: float
    server: int
    client: int


class Bin(StoredModel):
    """Requests between two exports; means in seconds.

    Attributes:
        requests: how many.
        server: duration by the API.
        inference: time to the model's answer by the API.
        after: from the row's time in the log to the answer at the load.
        client: duration by the load.
        phase: name of the phase that holds them all, or empty.
        touches: names of all phases that hold some of them.
    """

    requests: int
    server: float
    inference: float
    after: float
    client: float
    phase: str = ""
    touches: tuple[str, ...] = ()


class FaultTiming(StoredModel):
    """Requests that an injected latency must have slowed down.

    Attributes:
        seconds: injected, per request.
        requests: that were sent and answered while the fault was on.
        quick: those of them that the load saw answered sooner than that.
    """

    seconds: float
    requests: int
    quick: int = 0


class RequestTiming(StoredModel):
    """All of it; sums in seconds, over answered predictions.

    Attributes:
        requests: answered requests to the prediction route, all statuses.
        unanswered: requests without an answer.
        client_sum: their durations by the load.
        server_count: requests that the API timed.
        server_sum: their durations by the API.
        bounds: buckets.
        inferences: inferences that the API timed.
        inference_sum: their durations.
        faults: injected latencies.
        bins: in order of time, without the time of injected latencies.
        skipped: why there are no bins, or empty.
    """

    requests: int = 0
    unanswered: int = 0
    client_sum: float = 0.0
    server_count: int = 0
    server_sum: float = 0.0
    bounds: tuple[BucketBound, ...] = ()
    inferences: int = 0
    inference_sum: float = 0.0
    faults: tuple[FaultTiming, ...] = ()
    bins: tuple[Bin, ...] = ()
    skipped: str = ""


Window = tuple[float, float, float]
"""An injected latency: from, to, seconds."""


def fault_timing(answers: Sequence[Answer], windows: Sequence[Window]) -> tuple[FaultTiming, ...]:
    """What the load saw of injected latencies."""
    found = []
    for start, end, seconds in windows:
        spans = [
            answer.request.finished_at - answer.request.sent_at
            for answer in answers
            if answer.predicted
            and answer.request.sent_at >= start
            and answer.request.finished_at <= end
        ]
        quick = sum(span < seconds for span in spans)
        found.append(FaultTiming(seconds=seconds, requests=len(spans), quick=quick))
    return tuple(found)


def make_bins(
    answers: Sequence[Answer],
    counts: Points,
    sums: Points,
    inferences: Points,
    windows: Sequence[Window],
    phases: Sequence[PhaseRow],
) -> tuple[Bin, ...]:
    """The requests of one API process between its exports.

    The n-th answer that the load got is taken for the n-th that the process counted; the few that
    overtake each other at an export are outweighed by the rest of a bin.

    Args:
        answers: predictions of that process, with the time of their rows.
        counts: answers that it counted, through time.
        sums: their durations.
        inferences: durations of its inferences.
        windows: injected latencies; bins that touch them are left out.
        phases: as they were played.
    """
    ordered = sorted(answers, key=lambda answer: answer.request.finished_at)
    finished = np.array([answer.request.finished_at for answer in ordered])
    sent = np.array([answer.request.sent_at for answer in ordered])
    logged = np.array([answer.logged_at for answer in ordered], dtype=float)
    after, client = _running(finished - logged), _running(finished - sent)
    by_time, inferred = dict(sums), dict(inferences)
    marks = [
        (time, min(int(count), len(ordered)), by_time[time], inferred[time])
        for time, count in counts
        if time in by_time and time in inferred
    ]
    size = max(BIN, len(ordered) // BINS)
    retained = marks[:1]
    for mark in marks[1:]:
        if mark[1] - retained[-1][1] >= size:
            retained.append(mark)
    bins = []
    for (begin, first, sum_0, inference_0), (end, last, sum_1, inference_1) in pairwise(retained):
        slow = any(
            begin <= stop + seconds + 1.0 and end >= start - 1.0 for start, stop, seconds in windows
        )
        if slow or last <= first:
            continue
        number = last - first
        bins.append(
            Bin(
                requests=number,
                server=_rounded((sum_1 - sum_0) / number),
                inference=_rounded((inference_1 - inference_0) / number),
                after=_rounded((after[last] - after[first]) / number),
                client=_rounded((client[last] - client[first]) / number),
                phase=next((p.name for p in phases if p.start <= begin and end < p.end), ""),
                touches=tuple(p.name for p in phases if p.start <= end and begin < p.end),
            )
        )
    return tuple(bins)


def _running(values: Array) -> Array:
    return np.concatenate([[0.0], np.cumsum(values)])


def _rounded(value: float) -> float:
    return round(float(value), 8)

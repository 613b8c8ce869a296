"""Reads what the API timed, beside the load's truth and the prediction log."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from testbed_otel import names

from testbed.charts import HTTP_COUNT, PREDICT_ROUTE
from testbed.facts.children import same
from testbed.facts.expectations import BUCKET, ERROR_TYPE, INFERENCE_COUNT, ROUTE, STATUS
from testbed.facts.injected import latencies
from testbed.facts.timing import (
    MISMATCH,
    Bin,
    BucketBound,
    RequestTiming,
    Window,
    fault_timing,
    make_bins,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testbed.clients.prometheus import Series
    from testbed.facts.answers import Answer
    from testbed.facts.children import Points
    from testbed.facts.exposition import Page
    from testbed.facts.sources import Sources

DURATION: Final = names.HTTP_DURATION.prometheus
INFERENCE_SUM: Final = f"{names.MODEL_INFERENCE.prometheus}_sum"


def read_timing(
    sources: Sources,
    answers: Sequence[Answer],
    pages: Mapping[str, Page],
    series: Sequence[Series],
) -> RequestTiming:
    """Durations by the API, the load and the log."""
    spans = sorted(
        a.request.finished_at - a.request.sent_at for a in answers if a.request.status is not None
    )
    sure = latencies(sources, every=True)
    all_of = {ROUTE: PREDICT_ROUTE}

    def total(name: str, labels: Mapping[str, str]) -> float:
        return sum(page.total(name, labels) for page in pages.values())

    bins, skipped = _bins(sources, answers, (pages, series), latencies(sources, every=False))
    return RequestTiming(
        requests=len(spans),
        unanswered=sum(answer.unanswered for answer in answers),
        client_sum=sum(spans),
        server_count=round(total(f"{DURATION}_count", all_of)),
        server_sum=total(f"{DURATION}_sum", all_of),
        bounds=_bounds(spans, pages),
        inferences=round(total(INFERENCE_COUNT, {})),
        inference_sum=total(INFERENCE_SUM, {}),
        faults=fault_timing(answers, sure) if len(sources.pages) == 1 else (),
        bins=bins,
        skipped=skipped,
    )


def _bounds(spans: Sequence[float], pages: Mapping[str, Page]) -> tuple[BucketBound, ...]:
    held: defaultdict[float, float] = defaultdict(float)
    for page in pages.values():
        for (metric, labels), value in page.values.items():
            own = dict(labels)
            if metric == f"{DURATION}_bucket" and own.get(ROUTE) == PREDICT_ROUTE:
                held[float(own[BUCKET])] += value
    return tuple(
        BucketBound(le=le, server=round(value), client=bisect_right(spans, _earlier(le)))
        for le, value in sorted(held.items())
        if le != float("inf")
    )


def _earlier(bound: float) -> float:
    """A process may be held up between its last byte and its clock, and the load not."""
    return min(0.9 * bound, bound - 0.002)


def _bins(
    sources: Sources,
    answers: Sequence[Answer],
    counted: tuple[Mapping[str, Page], Sequence[Series]],
    windows: Sequence[Window],
) -> tuple[tuple[Bin, ...], str]:
    pages, series = counted
    bins: list[Bin] = []
    for instance in sorted(sources.pages):
        own = [a for a in answers if a.predicted and a.instance == instance]
        if any(answer.logged_at is None for answer in own):
            return (), "answers without a row in the prediction log"
        ok = {ROUTE: PREDICT_ROUTE, STATUS: "200"}
        counts, sums, inferences = (
            _summed(series, instance, name, labels)
            for name, labels in (
                (HTTP_COUNT, ok),
                (f"{DURATION}_sum", ok),
                (INFERENCE_SUM, {}),
            )
        )
        if not counts or not sums or not inferences:
            continue
        timed = pages[instance].total(f"{DURATION}_sum", ok, without=ERROR_TYPE)
        if not same(sums[-1][1], timed):
            return (), "Prometheus holds other durations than the API"
        if abs(counts[-1][1] - len(own)) > max(2, MISMATCH * len(own)):
            return (), "load and API counted different numbers of answers"
        bins += make_bins(own, counts, sums, inferences, windows, sources.phases)
    return tuple(bins), ""


def _summed(
    series: Sequence[Series], instance: str, name: str, labels: Mapping[str, str]
) -> Points:
    """Series of one process added up by time, without those of requests that went wrong."""
    found: defaultdict[float, float] = defaultdict(float)
    for each in series:
        own = each.labels
        if own.get("instance") != instance or own.get("__name__") != name or ERROR_TYPE in own:
            continue
        if labels.items() <= own.items():
            for time, value in each.points:
                found[time] += value
    return tuple(sorted(found.items()))

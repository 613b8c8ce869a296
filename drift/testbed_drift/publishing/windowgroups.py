"""Groups of rows that are evaluated by themselves, published as segments of one run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from opentelemetry.metrics import CallbackOptions, Observation
from testbed_otel import names

from testbed_drift.evaluation.decision import Action
from testbed_drift.evaluation.points import OF_SEGMENTS, Point, of_segments
from testbed_drift.evaluation.results import OUTCOMES
from testbed_drift.evaluation.segmentdrift import SegmentDrift, rank
from testbed_drift.publishing.bound import SeriesLimiter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from opentelemetry.metrics import Meter
    from testbed_otel.names import Metric

    from testbed_drift.evaluation.results import RunResult
    from testbed_drift.evaluation.segmentdrift import SegmentState


class GroupGauges:
    """Gauges of segments whose windows are evaluated one by one, beside the publisher of the job.

    Args:
        meter: one of their own: two instruments of one name in one meter would be one.
        version: what the segments are of.
        alert_share: published beside their shares.
    """

    def __init__(self, meter: Meter, version: str, alert_share: float) -> None:
        self._version = version
        self._alert_share = alert_share
        self._found: dict[str, tuple[SegmentDrift, Action | None]] = {}
        self._bound = SeriesLimiter()
        metrics = (names.DRIFT_RATIO_THRESHOLD, names.DRIFT_SEGMENT_DECISION)
        for metric in (*OF_SEGMENTS, *metrics):
            read = self._reader(metric)
            meter.create_observable_gauge(metric.name, [read], metric.unit, metric.help)

    def take(self, group: str, result: RunResult, rows: tuple[int, int]) -> None:
        """Take over what became of a segment's window; its last one stands."""
        found, (before, now) = result.finding, rows
        state: SegmentState = "error" if result.outcome == "error" else "insufficient_data"
        if found:
            state = "scored"
        drift = SegmentDrift(group, state, now, before, found.scores if found else None)
        self._found = {**self._found, group: (drift, found.decision.action if found else None)}

    def _reader(self, metric: Metric) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def read(_options: CallbackOptions) -> Iterable[Observation]:
            chosen = [
                Observation(value, {names.MODEL_VERSION: self._version, **attributes})
                for one, value, attributes in self._points()
                if one is metric
            ]
            return self._bound.first(metric.name, chosen)

        return read

    def _points(self) -> Iterator[Point]:
        ranked = sorted(self._found.values(), key=lambda pair: rank(pair[0]))
        if ranked:
            yield Point(names.DRIFT_RATIO_THRESHOLD, self._alert_share, {})
        yield from of_segments([drift for drift, _ in ranked])
        for drift, chosen in ranked:
            for action in Action if chosen else ():
                attributes = {names.SEGMENT: drift.name, names.DECISION: str(action)}
                yield Point(names.DRIFT_SEGMENT_DECISION, float(action is chosen), attributes)


def together(results: Sequence[RunResult]) -> RunResult:
    """One run that lasted as long as all, and ended as well as the best of them."""
    best = min(results, key=lambda one: OUTCOMES.index(one.outcome))
    seconds = max(one.ended for one in results) - results[0].started
    return replace(best, started=results[0].started, seconds=seconds, finding=None)

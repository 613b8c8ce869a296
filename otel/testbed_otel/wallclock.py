"""The wall clock of one process, which a fault may set wrong.

OpenTelemetry's SDK reads the machine's clock itself. So what it stamps is restamped as it leaves,
by the rule that a clock which was set would have followed: every stamp shows what this clock showed
when it was made. A span that lasts while the clock is set has a wrong duration, therefore. As long
as the clock was never set, an exporter passes on what it got.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

from opentelemetry.sdk.metrics.export import MetricsData, ResourceMetrics, ScopeMetrics
from opentelemetry.sdk.trace import Event

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.metrics.export import DataPointT
    from opentelemetry.sdk.trace import ReadableSpan

NANOSECONDS: Final = 1_000_000_000


class WallClock:
    """The machine's wall clock, until it is set otherwise.

    Args:
        machine: Unix nanoseconds.
    """

    def __init__(self, machine: Callable[[], int] = time.time_ns) -> None:
        self._machine = machine
        # Since when it is ahead by how much, the latest first; replaced as a whole, for threads.
        self._steps: tuple[tuple[int, int], ...] = ()

    def set_ahead(self, seconds: float) -> None:
        """From now on it is ahead of the machine's by so many seconds; negative: behind."""
        step = (self._machine(), round(seconds * NANOSECONDS))
        self._steps = (step, *self._steps)

    @property
    def was_set(self) -> bool:
        """Whether it ever differed from the machine's."""
        return bool(self._steps)

    def time(self) -> float:
        """What it shows now, in Unix seconds."""
        return self.shown(self._machine()) / NANOSECONDS

    def shown(self, moment: int) -> int:
        """What it showed at a moment of the machine's clock, both in Unix nanoseconds."""
        for since, ahead in self._steps:
            if moment >= since:
                return moment + ahead
        return moment


def restamped_spans(spans: Sequence[ReadableSpan], clock: WallClock) -> Sequence[ReadableSpan]:
    """Spans with the times that the clock showed."""
    if not clock.was_set:
        return spans
    return [cast("ReadableSpan", _RestampedSpan(span, clock)) for span in spans]


class _RestampedSpan:
    """A span as exporters read it: another one, but for its times."""

    def __init__(self, span: ReadableSpan, clock: WallClock) -> None:
        self._span = span
        self._clock = clock

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the span has
        return getattr(self._span, name)

    @property
    def start_time(self) -> int | None:
        return self._shown(self._span.start_time)

    @property
    def end_time(self) -> int | None:
        return self._shown(self._span.end_time)

    @property
    def events(self) -> Sequence[Event]:
        shown = self._clock.shown
        return [
            Event(each.name, each.attributes, shown(each.timestamp)) for each in self._span.events
        ]

    def _shown(self, moment: int | None) -> int | None:
        return None if moment is None else self._clock.shown(moment)


def restamped_metrics(data: MetricsData, clock: WallClock) -> MetricsData:
    """Metrics with the times that the clock showed."""
    if not clock.was_set:
        return data
    return MetricsData(
        [
            ResourceMetrics(
                resource.resource,
                [
                    ScopeMetrics(
                        scope.scope,
                        [
                            replace(metric, data=_restamped(metric.data, clock))
                            for metric in scope.metrics
                        ],
                        scope.schema_url,
                    )
                    for scope in resource.scope_metrics
                ],
                resource.schema_url,
            )
            for resource in data.resource_metrics
        ]
    )


def _restamped(data: Any, clock: WallClock) -> Any:  # noqa: ANN401 - each kind has points of its own
    return replace(data, data_points=[_point(each, clock) for each in data.data_points])


def _point(point: DataPointT, clock: WallClock) -> DataPointT:
    shown = clock.shown
    start = point.start_time_unix_nano
    return replace(
        point,
        start_time_unix_nano=None if start is None else shown(start),
        time_unix_nano=shown(point.time_unix_nano),
        exemplars=[
            replace(each, time_unix_nano=shown(each.time_unix_nano)) for each in point.exemplars
        ],
    )

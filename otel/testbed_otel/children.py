"""Metrics kept as plain numbers, which cost a request next to nothing.

As in prometheus_client, a metric family holds one child for each set of attributes. A synchronous
instrument of the SDK cleans attributes, looks views up and samples exemplars with every
measurement, about 10 µs each time. Here a measurement adds to numbers in a child that is found by
one dictionary look-up; what the SDK wants to know is worked out at collection
(:mod:`testbed_otel.export`).

The families have the ``add`` and ``record`` of the SDK's instruments. A child's lock is held for
some hundred nanoseconds, so that a point which is read while others write is still consistent.
"""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from testbed_otel.names import OTHER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from testbed_otel.names import Metric

Value = str | int | bool
Key = tuple[tuple[str, Value], ...]

# The specification's default for one instrument, and the attribute of the point beyond it.
SERIES_LIMIT: Final = 2000
OVERFLOW: Final[Key] = (("otel.metric.overflow", True),)
NO_ATTRIBUTES: Final[Mapping[str, Value]] = {}


class Trace(NamedTuple):
    """Where a sampled measurement came from.

    Attributes:
        trace_id: 128 bits.
        span_id: 64 bits.
    """

    trace_id: int
    span_id: int


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One measurement that stands for its bucket.

    Attributes:
        value: in the unit of the metric.
        time: Unix nanoseconds.
        trace: the trace that it belongs to.
    """

    value: float
    time: int
    trace: Trace


@dataclass(frozen=True, slots=True)
class HistogramPoint:
    """The state of a histogram child at one moment.

    Attributes:
        counts: measurements per bucket; one more than there are boundaries.
        total: sum of all measurements.
        minimum: smallest measurement, ``inf`` where there is none.
        maximum: largest measurement, ``-inf`` where there is none.
        exemplars: the last sampled measurement of each bucket that has one.
    """

    counts: tuple[int, ...]
    total: float
    minimum: float
    maximum: float
    exemplars: tuple[Exemplar, ...]


class SumChild:
    """A number that is added to."""

    __slots__ = ("_lock", "value")

    def __init__(self) -> None:
        self.value = 0
        self._lock = threading.Lock()

    def add(self, amount: int) -> None:
        """Add ``amount``."""
        with self._lock:
            self.value += amount


class HistogramChild:
    """Counts of measurements in explicit buckets, each up to and with its boundary.

    Args:
        boundaries: upper boundaries, rising.
    """

    __slots__ = ("_boundaries", "_counts", "_exemplars", "_lock", "_maximum", "_minimum", "_total")

    def __init__(self, boundaries: tuple[float, ...]) -> None:
        self._boundaries = boundaries
        self._counts = [0] * (len(boundaries) + 1)
        self._total = 0.0
        self._minimum = math.inf
        self._maximum = -math.inf
        self._exemplars: dict[int, Exemplar] = {}
        self._lock = threading.Lock()

    def record(self, value: float, trace: Trace | None = None) -> None:
        """Count one measurement; with its trace where that is sampled."""
        bucket = bisect_left(self._boundaries, value)
        with self._lock:
            self._counts[bucket] += 1
            self._total += value
            if value < self._minimum:  # noqa: PLR1730 - half as long as the call of min
                self._minimum = value
            if value > self._maximum:  # noqa: PLR1730 - the same
                self._maximum = value
            if trace is not None:
                self._exemplars[bucket] = Exemplar(value, time.time_ns(), trace)

    def point(self) -> HistogramPoint:
        """What was recorded so far."""
        with self._lock:
            return HistogramPoint(
                tuple(self._counts),
                self._total,
                self._minimum,
                self._maximum,
                tuple(self._exemplars.values()),
            )


Child = TypeVar("Child", SumChild, HistogramChild)


class _MetricFamily(Generic[Child]):
    """The children of one metric, by their attributes.

    Args:
        metric: entry of the vocabulary; its attributes and their values bound the children.
        make: makes one child.
        limit: most children; what comes beyond is added to one child with :data:`OVERFLOW`.
    """

    def __init__(self, metric: Metric, make: Callable[[], Child], limit: int) -> None:
        self.metric = metric
        self._make: Callable[[], Child] = make
        self._limit = limit
        self._closed = {key: frozenset(values) for key, values in metric.values}
        # By the attributes as they are given: several of them may mean the same child.
        self._given: dict[Key, Child] = {}
        self._children: dict[Key, Child] = {}
        self._lock = threading.Lock()

    def child(self, attributes: Mapping[str, Value] = NO_ATTRIBUTES) -> Child:
        """The child for these attributes; to be kept where the attributes don't change."""
        given = tuple(attributes.items())
        found = self._given.get(given)
        return self._admit(given) if found is None else found

    def children(self) -> list[tuple[Key, Child]]:
        """All children and their attributes."""
        with self._lock:
            return list(self._children.items())

    def _admit(self, given: Key) -> Child:
        key = self._bounded(given)
        with self._lock:
            if key not in self._children and len(self._children) >= self._limit:
                key = OVERFLOW
            child = self._children.get(key)
            if child is None:
                child = self._children[key] = self._make()
            # Whoever gives new values for ever gets a slower way, not memory without end.
            if len(self._given) < self._limit:
                self._given[given] = child
            return child

    def _bounded(self, given: Key) -> Key:
        """The attributes of the vocabulary, in its order, with its values."""
        values = dict(given)
        return tuple(
            (name, OTHER if name in self._closed and value not in self._closed[name] else value)
            for name in self.metric.attributes
            if (value := values.get(name)) is not None
        )


class SumMetricFamily(_MetricFamily[SumChild]):
    """The children of a counter, or of an up-down counter."""

    def __init__(self, metric: Metric, limit: int = SERIES_LIMIT) -> None:
        if metric.kind not in {"counter", "updowncounter"}:
            raise ValueError(f"{metric.name} is a {metric.kind}, not a sum")
        super().__init__(metric, SumChild, limit)

    def add(self, amount: int, attributes: Mapping[str, Value] = NO_ATTRIBUTES) -> None:
        """Add to the child of these attributes."""
        self.child(attributes).add(amount)


def untraced() -> Trace | None:
    """No measurement is sampled."""
    return None


class HistogramMetricFamily(_MetricFamily[HistogramChild]):
    """The children of a histogram with the vocabulary's buckets.

    Args:
        metric: entry of the vocabulary.
        trace: the sampled trace that is being worked on, or None.
        limit: as for every family.
    """

    def __init__(
        self,
        metric: Metric,
        trace: Callable[[], Trace | None] = untraced,
        limit: int = SERIES_LIMIT,
    ) -> None:
        if metric.kind != "histogram":
            raise ValueError(f"{metric.name} is a {metric.kind}, not a histogram")
        super().__init__(metric, lambda: HistogramChild(metric.buckets), limit)
        self._trace = trace

    def record(self, value: float, attributes: Mapping[str, Value] = NO_ATTRIBUTES) -> None:
        """Count one measurement in the child of these attributes."""
        self.child(attributes).record(value, self._trace())

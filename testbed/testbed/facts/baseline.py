"""What the API had counted when the run began, taken off what it counts at the end. Pure.

On a stack that has answered before, counters are the run's own only from there. A gauge has no
beginning, and starts of replicas belong to the stack.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Self

from prometheus_client.parser import text_string_to_metric_families
from testbed_otel import names

from testbed.clients.prometheus import Series
from testbed.facts.exposition import Key, Page
from testbed.facts.finalcounts import COUNTERS, Count, parse_counters

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

CUMULATIVE: Final = {"counter", "histogram"}
WHOLE: Final = names.REPLICA_STARTS.prometheus
_LEFT_OUT: Final = {"__name__", "job", "instance"}


@dataclass(frozen=True, slots=True)
class Baseline:
    """By API instance; one that began with the run has nothing in it.

    Attributes:
        counts: key of a counter (``Count.key``) to its value.
        values: series to its value, of counters and histograms.
    """

    counts: Mapping[str, Mapping[tuple[str, ...], int]] = field(default_factory=dict)
    values: Mapping[str, Mapping[Key, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, pages: Mapping[str, str | None]) -> Self:
        """Of the text of each instance's ``/metrics`` when the run began.

        Raises:
            ValueError: a text is no Prometheus exposition.
        """
        known = {instance: text for instance, text in pages.items() if text is not None}
        return cls(
            {
                instance: {
                    count.key: count.value
                    for count in parse_counters(text)
                    if count.metric in COUNTERS and count.metric != WHOLE
                }
                for instance, text in known.items()
            },
            {instance: _cumulative(text) for instance, text in known.items()},
        )

    def grown(self, instance: str, counts: Iterable[Count]) -> tuple[Count, ...]:
        """How much the counters of an instance grew in the run."""
        before = self.counts.get(instance, {})
        return tuple(
            count.model_copy(update={"value": count.value - before.get(count.key, 0)})
            for count in counts
        )

    def page(self, instance: str, page: Page) -> Page:
        """The page of an instance that would have begun with the run; gauges as they are."""
        before = self.values.get(instance, {})
        return Page(
            {key: value - before.get(_key(*key), 0.0) for key, value in page.values.items()}
        )

    def series(self, found: Iterable[Series]) -> list[Series]:
        """The same of series that Prometheus stored."""
        return [self._one(series) for series in found]

    def _one(self, series: Series) -> Series:
        own = series.labels
        before = self.values.get(own.get("instance", ""), {})
        less = before.get(_key(own.get("__name__", ""), tuple(own.items())), 0.0)
        if not less:
            return series
        return replace(series, points=tuple((time, value - less) for time, value in series.points))


def _cumulative(text: str) -> dict[Key, float]:
    return {
        _key(sample.name, tuple(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        if family.type in CUMULATIVE and not WHOLE.startswith(family.name)
        for sample in family.samples
    }


def _key(name: str, labels: Sequence[tuple[str, str]]) -> Key:
    """The same for a series of a page and of Prometheus, which drops empty labels."""
    return name, tuple(sorted((k, v) for k, v in labels if v and k not in _LEFT_OUT))

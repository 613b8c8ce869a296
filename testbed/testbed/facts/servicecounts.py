"""What a service of one's own counted of its requests: on its page, and in Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal

import promql_parser as promql
from prometheus_client.parser import text_string_to_metric_families
from pydantic import Field, field_validator
from testbed_rules.selectors import Selector, selector_of

from testbed.charts import StoredModel
from testbed.fields import StrictModel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from testbed.clients.prometheus import PrometheusClient, Series
    from testbed.facts.sources import Sources

Counted = Literal["requests", "errors", "latency"]
GIVEN: Final = frozenset({"job", "instance"})
"""Labels that Prometheus gives a series, so that no page has them."""


class CountedSeries(StrictModel):
    """Counters of a service, as PromQL selectors; their series are added up."""

    requests: str | None = Field(
        None, description="Counts every request of the load, however it was answered."
    )
    errors: str | None = Field(None, description="Counts those that were answered with 5xx.")
    latency: str | None = Field(
        None, description="`_count` of the histogram that observes each of them once."
    )

    @field_validator("requests", "errors", "latency")
    @classmethod
    def _is_selector(cls, text: str | None) -> str | None:
        if text is not None:
            parsed(text)
        return text

    def named(self) -> tuple[tuple[Counted, str], ...]:
        """Those that are named."""
        found: tuple[tuple[Counted, str | None], ...] = (
            ("requests", self.requests),
            ("errors", self.errors),
            ("latency", self.latency),
        )
        return tuple((what, text) for what, text in found if text is not None)


class SeriesCount(StoredModel):
    """One of them, over the run.

    Attributes:
        what: what its series count.
        selector: as the service's file has it.
        series: how many series it has in Prometheus.
        counted: how much the service itself counted; None where it could not be asked.
        stored: how much of it Prometheus holds.
        restarts: times that the counters began at 0 again.
    """

    what: Counted
    selector: str
    series: int
    counted: int | None
    stored: int
    restarts: int = 0


class ServiceCounts(StoredModel):
    """All of them; ``known`` is False where the service's file names none."""

    counts: tuple[SeriesCount, ...] = ()


def parsed(text: str) -> Selector:
    """A selector that names a metric.

    Raises:
        ValueError: it is none.
    """
    try:
        node = promql.parse(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not PromQL: {error}") from None
    found = selector_of(node) if isinstance(node, promql.VectorSelector) else None
    if found is None or not found.metric:
        raise ValueError(
            f'{text!r} is not a selector of series, such as http_requests_total{{path="/predict"}}'
        )
    return found


Shown = list[tuple[Mapping[str, str], float]]
"""Labels and value of each series of a selector."""


def shown_on(pages: Iterable[str | None], text: str) -> Shown | None:
    """The series of a selector on pages of metrics; None where a page is missing, or none is there.

    Labels that Prometheus gives are asked of no page.

    Args:
        pages: texts in Prometheus's exposition format.
        text: the selector.

    Raises:
        ValueError: a text is no Prometheus exposition.
    """
    whole = parsed(text)
    selector = Selector(
        whole.metric, tuple(each for each in whole.matchers if each.label not in GIVEN)
    )
    known = list(pages)
    if not known or None in known:
        return None
    return [
        (sample.labels, sample.value)
        for page in known
        for family in text_string_to_metric_families(page or "")
        for sample in family.samples
        if sample.name == selector.metric and selector.takes(sample.labels)
    ]


def total_of(pages: Iterable[str | None], text: str) -> int | None:
    """Sum of them; None where they are not known."""
    shown = shown_on(pages, text)
    return None if shown is None else round(sum(value for _, value in shown))


def stored_total(
    prometheus: PrometheusClient,
    text: str,
    jobs: Iterable[str],
    shown: Shown | None,
    *,
    at: float,
    window: float,
) -> tuple[int, int, int, int]:
    """What Prometheus holds of a selector's series.

    Args:
        prometheus: the run's.
        text: the selector.
        jobs: of the service.
        shown: series that its pages show now. One that they don't is of a life that is over: many
            begin with their first event.
        at: Unix time of the end.
        window: seconds before it.

    Returns:
        How much they grew over all lives of the service, how much of that before its latest start,
        how many series there are, and how often they began at 0 again.
    """
    wanted = set(jobs)
    found = [
        series
        for series in prometheus.raw(text, at=at, window=window)
        if series.labels.get("job") in wanted
    ]
    lives = [_lives(series) for series in found]
    over = [
        each if shown is not None and not _is_shown(series, shown) else each[:-1]
        for series, each in zip(found, lives, strict=True)
    ]
    return (
        round(sum(map(sum, lives))),
        round(sum(map(sum, over))),
        len(found),
        max((len(each) - 1 for each in lives), default=0),
    )


def _is_shown(series: Series, shown: Shown) -> bool:
    return any(labels.items() <= series.labels.items() for labels, _ in shown)


def _lives(series: Series) -> list[float]:
    """Last value of each life of a counter."""
    ends: list[float] = []
    last = 0.0
    for _, value in series.points:
        if value < last:
            ends.append(last)
        last = value
    return [*ends, last]


def behind_pages(
    pages: Mapping[str, str | None],
    prometheus: PrometheusClient,
    counted: CountedSeries,
    jobs: Iterable[str],
    *,
    at: float,
    window: float,
) -> bool:
    """Whether Prometheus lacks anything of what the pages count now."""
    for _, text in counted.named():
        shown = shown_on(pages.values(), text)
        if shown is None:
            continue
        grown, before, _, _ = stored_total(prometheus, text, jobs, shown, at=at, window=window)
        if grown - before < round(sum(value for _, value in shown)):
            return True
    return False


def read_servicecounts(sources: Sources) -> ServiceCounts | None:
    """What the service counted; None of the bundled API, whose counters are known.

    Raises:
        StackError: Prometheus does not answer.
        ValueError: a page is no Prometheus exposition.
    """
    target = sources.target
    counted = target.counted()
    if counted is None:
        return None
    span = sources.span
    window = {"at": span.end, "window": span.end - span.start}
    found = []
    for what, text in counted.named():
        shown = shown_on(sources.target_pages.values(), text)
        grown, ended, series, restarts = stored_total(
            sources.prometheus, text, target.jobs or (target.name,), shown, **window
        )
        first = total_of(sources.pages_before.values(), text) or 0
        own = None if shown is None else round(sum(value for _, value in shown))
        found.append(
            SeriesCount(
                what=what,
                selector=text,
                series=series,
                counted=None if own is None else own + ended - first,
                stored=grown - first,
                restarts=restarts,
            )
        )
    return ServiceCounts(counts=tuple(found))

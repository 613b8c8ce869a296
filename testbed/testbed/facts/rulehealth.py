"""Whether rules were loaded, healthy and evaluated at their interval, and scrapes without holes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from pydantic import Field
from testbed_otel import names

from testbed.charts import StoredModel
from testbed.facts.cadence import LONG, Cadence, failing, pauses
from testbed.facts.configured import interval_differences, read_configured, read_groups
from testbed.facts.growth import growth
from testbed.facts.loadedrules import differences
from testbed.facts.pace import Pace, read_pace
from testbed.facts.seldom import Seldom, read_seldom
from testbed.facts.selectors import IdleSelector, idle_selectors
from testbed.pipeline import PROCESSES
from testbed.resources import shipped_rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from testbed.clients.prometheus import AlertRule, RuleGroup, Series
    from testbed.facts.configured import Configured
    from testbed.facts.sources import Sources

LINES: Final = 20
"""Differences that are stored."""

AHEAD: Final = 3600.0
"""Seconds after the end in which samples of a clock that is ahead are looked for."""

_EVALUATED: Final = "prometheus_rule_group_last_evaluation_timestamp_seconds"
_MISSED: Final = "prometheus_rule_group_iterations_missed_total"
_FAILED: Final = "prometheus_rule_evaluation_failures_total"
_DURATION: Final = "prometheus_rule_group_last_duration_seconds"


class RuleState(StoredModel):
    """A rule as it stood at the end of the run."""

    name: str
    kind: str
    group: str
    health: str
    last_error: str = ""
    evaluated: bool = True


class ClockReadings(StoredModel):
    """What clocks say, in seconds against that of the testbed.

    Attributes:
        prometheus: by how much Prometheus is ahead; None where that could not be asked.
        doubt: how long the answer took.
        future: process to how far its newest sample lies after the moment of asking.
    """

    prometheus: float | None = None
    doubt: float = 0.0
    future: dict[str, float] = Field(default_factory=dict)


class RuleHealth(StoredModel):
    """Whether rules were loaded, healthy, evaluated at their interval; scrapes without holes.

    Attributes:
        groups: rule groups that are loaded.
        rules: rules in them.
        unlike_files: how they differ from the rendered rule files.
        unlike_source: how they differ from the source files, scaled.
        evaluations: of each group, as Prometheus's own metrics show them.
        scrapes: of each target.
        unscraped: configured targets of which there is no scrape at all.
        clocks: whether they agree.
        idle: selectors of rules that matched nothing in the whole run.
        pace: how fast the machine was.
        seldom: intervals of the source that are too long for its own rules.
    """

    groups: int = 0
    rules: tuple[RuleState, ...] = ()
    unlike_files: tuple[str, ...] = ()
    unlike_source: tuple[str, ...] = ()
    evaluations: tuple[Cadence, ...] = ()
    scrapes: tuple[Cadence, ...] = ()
    unscraped: tuple[str, ...] = ()
    clocks: ClockReadings = ClockReadings()
    idle: tuple[IdleSelector, ...] = ()
    pace: Pace | None = None
    seldom: Seldom = Seldom()


def read_rulehealth(sources: Sources) -> RuleHealth:
    """Read them.

    Raises:
        DomainError: they can't be had.
    """
    configured = read_configured(sources.layout)
    clocks = _clocks(sources)
    loaded = sources.prometheus.groups()
    interval = configured.evaluation_interval
    scrapes = tuple(_scrapes(sources, configured))
    return RuleHealth(
        groups=len(loaded),
        rules=tuple(_state(rule) for group in loaded for rule in group.rules),
        unlike_files=differences(loaded, configured.groups, interval=interval)[:LINES],
        unlike_source=_unlike_source(sources, configured, loaded)[:LINES],
        evaluations=tuple(_evaluations(sources, configured, loaded)),
        scrapes=scrapes,
        unscraped=_unscraped(configured, scrapes),
        clocks=clocks,
        idle=idle_selectors(sources, loaded),
        pace=read_pace(sources.layout),
        seldom=_seldom(sources),
    )


def _seldom(sources: Sources) -> Seldom:
    if sources.source is None or sources.rules != shipped_rules(sources.source):
        return Seldom()  # the user's own rules may need less
    return read_seldom(sources.source)


def _unlike_source(
    sources: Sources, configured: Configured, loaded: Sequence[RuleGroup]
) -> tuple[str, ...]:
    if sources.rules is None or sources.source is None:
        return ()
    factor, interval = sources.factor, configured.evaluation_interval
    return (
        *interval_differences(configured, sources.source / "prometheus" / "prometheus.yml", factor),
        *differences(
            loaded, read_groups(sources.rules), interval=interval, factor=factor, located=True
        ),
    )


def _state(rule: AlertRule) -> RuleState:
    return RuleState(
        name=rule.name,
        kind=rule.kind,
        group=rule.group,
        health=rule.health,
        last_error=" ".join(rule.last_error.split()),
        evaluated=rule.last_evaluation is not None,
    )


def _raw(sources: Sources, selector: str) -> list[Series]:
    span = sources.span
    return sources.prometheus.raw(selector, at=span.end, window=span.end - span.start)


def _evaluations(
    sources: Sources, configured: Configured, loaded: Sequence[RuleGroup]
) -> Iterator[Cadence]:
    """Of every loaded group; a scrape sees the last evaluation only, so scrapes bound the view."""
    own = f'{{job="{names.JOB_PROMETHEUS}"}}'
    evaluated = _by_group(_raw(sources, f"{_EVALUATED}{own}"))
    missed, failed = (
        {labels.get("rule_group", ""): count for labels, count in growth(sources, f"{name}{own}")}
        for name in (_MISSED, _FAILED)
    )
    durations = _by_group(_raw(sources, f"{_DURATION}{own}"))
    seen_every = configured.jobs.get(names.JOB_PROMETHEUS, configured.scrape_interval)
    for group in loaded:
        key = f"{group.file};{group.name}"
        # 0, or year 1, before the first evaluation.
        times = sorted({value for _, value in evaluated.get(key, ()) if value > 1})
        longer = LONG * max(group.interval, seen_every)
        yield Cadence(
            name=group.name,
            interval=group.interval,
            count=len(times),
            first=times[0] if times else None,
            last=times[-1] if times else None,
            pauses=pauses(times, longer=longer, until=sources.span.end),
            missed=missed.get(key, 0),
            failures=failed.get(key, 0),
            slowest=max((value for _, value in durations.get(key, ())), default=0.0),
        )


def _by_group(series: Sequence[Series]) -> Mapping[str, Sequence[tuple[float, float]]]:
    return {each.labels.get("rule_group", ""): each.points for each in series}


def _scrapes(sources: Sources, configured: Configured) -> Iterator[Cadence]:
    for series in sorted(_raw(sources, "up"), key=lambda each: sorted(each.labels.items())):
        job = series.labels.get("job", "")
        interval = configured.jobs.get(job, configured.scrape_interval)
        times = [time for time, _ in series.points]
        yield Cadence(
            name=series.labels.get("instance", ""),
            job=job,
            interval=interval,
            count=len(times),
            first=times[0] if times else None,
            last=times[-1] if times else None,
            pauses=pauses(times, longer=LONG * interval, until=sources.span.end),
            failures=sum(not value for _, value in series.points),
            failing=failing(series.points),
        )


def _unscraped(configured: Configured, scrapes: Sequence[Cadence]) -> tuple[str, ...]:
    seen = {(each.job, each.name) for each in scrapes}
    return tuple(
        f"{job} at {target}"
        for job, targets in configured.targets.items()
        for target in targets
        if (job, target) not in seen
    )


def _clocks(sources: Sources) -> ClockReadings:
    before = time.time()
    answer = next(iter(sources.prometheus.query("time()")), None)
    after = time.time()
    exported = f"{names.TELEMETRY_EXPORTS.prometheus}{{{PROCESSES}}}"
    later = sources.prometheus.raw(exported, at=after + AHEAD, window=AHEAD)
    return ClockReadings(
        prometheus=None if answer is None else answer.value - (before + after) / 2,
        doubt=after - before,
        future={
            each.labels.get("instance", ""): each.points[-1][0] - after
            for each in later
            if each.points
        },
    )

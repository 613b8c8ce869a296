"""Every panel query of every dashboard, run on the Prometheus of the run."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeAlias

from testbed_grafana.files import documents
from testbed_otel import names
from testbed_rules.selectors import LabelMatcher
from testbed_rules.timescale import parse_duration

from testbed.charts import StoredModel
from testbed.errors import StackError
from testbed.facts.boardwords import contradictions, unlike_source
from testbed.facts.panels import Anatomy, DashboardQuery, PanelSelector, anatomy, read_panels
from testbed.facts.panelvalues import Kind, Moves, View, finished, kind_of, shown
from testbed.facts.runfile import read_identity
from testbed.stack.arguments import PROMETHEUS_DURATIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from testbed.clients.prometheus import Series, SeriesSample
    from testbed.facts.sources import Sources

THREADS: Final = 4
WINDOW: Final = 8
"""Exports that a rate looks back on: a few that come late don't empty it."""
SHORTEST: Final = 2.0
"""Real seconds of such a window at least."""
LINES: Final = 20
"""Differences that are stored."""
POINTS: Final = 240
"""Points of one query at most."""

_REFUSED: Final = re.compile(r" answered 4\d\d")

Held: TypeAlias = "dict[str, list[SeriesSample]]"


class Unmatched(StoredModel):
    """A matcher that none of its metric's series satisfies.

    Attributes:
        metric: name of the series.
        label: its label.
        operator: ``=``, ``!=``, ``=~`` or ``!~``.
        value: what it asks for.
        known: whether any series of the metric has that label.
    """

    metric: str
    label: str
    operator: str
    value: str
    known: bool

    @property
    def matcher(self) -> LabelMatcher:
        """The matcher."""
        return LabelMatcher(self.label, self.operator, self.value)


class PanelFacts(StoredModel):
    """One query, and what came of it.

    Attributes:
        where: panels that have it.
        expr: PromQL.
        error: why Prometheus refused it, or None.
        returned: series.
        finite: whether any value is a number.
        absent: its metrics that have no series in the run.
        unmatched: matchers that nothing satisfies.
        counted: events that the counters under its rates held before the last exports, the fewest
            of them; None where it has none.
        selects: whether each selector found series by then.
        filters: comparisons that drop series.
        unlabelled: labels that its legend or its aggregation speaks of, and no series has.
        kind: what its values are held against, if anything.
        whole: whether the values are those of ``POST /predict`` alone.
        moves: values by phase, where they are held against something.
    """

    where: tuple[str, ...]
    expr: str
    error: str | None = None
    returned: int = 0
    finite: bool = False
    absent: tuple[str, ...] = ()
    unmatched: tuple[Unmatched, ...] = ()
    counted: float | None = None
    selects: bool = False
    filters: tuple[str, ...] = ()
    unlabelled: tuple[str, ...] = ()
    kind: Kind | None = None
    whole: bool = True
    moves: tuple[Moves, ...] = ()


class Boards(StoredModel):
    """Every panel query of every dashboard, run on the Prometheus of the run.

    Attributes:
        panels: one entry per different query.
        foreign: names that neither the vocabulary nor the run's Prometheus knows.
        unlike_source: how the files differ from what makes them.
        contradictions: panels whose words say something else than their queries.
    """

    panels: tuple[PanelFacts, ...] = ()
    foreign: tuple[str, ...] = ()
    unlike_source: tuple[str, ...] = ()
    contradictions: tuple[str, ...] = ()


def read_boards(sources: Sources) -> Boards:
    """Read them.

    Raises:
        DomainError: they can't be had.
    """
    window = max(WINDOW * read_identity(sources.layout).export_interval, SHORTEST)
    folder = sources.layout.dashboards
    boards = run_queries(sources, read_panels(folder, window), window)
    return boards.model_copy(
        update={
            "unlike_source": unlike_source(folder, documents())[:LINES],
            "contradictions": contradictions(folder)[:LINES],
        }
    )


def run_queries(sources: Sources, queries: Sequence[DashboardQuery], window: float) -> Boards:
    """Run each different query over the whole run.

    Args:
        sources: the run.
        queries: with their variables filled in.
        window: real seconds of their rates, and from one value to the next.

    Raises:
        DomainError: Prometheus does not answer.
    """
    by_expr: defaultdict[str, list[DashboardQuery]] = defaultdict(list)
    for query in queries:
        by_expr[query.expr].append(query)
    parsed = {expr: _anatomy(expr) for expr in by_expr}
    selected = {s.metric for parts in parsed.values() for s in parts.selectors if s.metric}
    over = sources.span.end
    held = _held(sources, selected, over)
    # What came with the last export has no rate yet, and maybe no point of a query.
    early = _held(sources, selected, over - 2 * window)
    results = _ask(sources, list(by_expr), window)
    view = View(_phases(sources, window), window, *finished(sources.truth.all_requests))
    return Boards(
        panels=tuple(
            _panel(group, parsed[expr], (held, early), results[expr], view)
            for expr, group in by_expr.items()
        ),
        foreign=tuple(sorted(selected - _known() - set(held))),
    )


def _anatomy(expr: str) -> Anatomy:
    try:
        return anatomy(expr)
    except ValueError:
        return Anatomy()  # the parser has gaps; whether it can be read, Prometheus says


def _known() -> set[str]:
    own = {series for metric in names.METRICS for series in metric.prometheus_series}
    return own | set(names.FOREIGN_SERIES)


def _held(sources: Sources, metrics: Iterable[str], at: float) -> Held:
    """Last value by then of each series of these metrics, those that ended included."""
    pattern = "|".join(sorted(re.escape(name) for name in metrics if name))
    found: defaultdict[str, list[SeriesSample]] = defaultdict(list)
    if pattern:
        window = max(1, math.ceil((at - sources.span.start) * 1000))
        expression = f'last_over_time({{__name__=~"{pattern}"}}[{window}ms])'
        for sample in sources.prometheus.query(expression, at=at):
            found[sample.labels.get("__name__", "")].append(sample)
    return dict(found)


def _ask(
    sources: Sources, expressions: Sequence[str], window: float
) -> dict[str, Sequence[Series] | str]:
    """Expression to what it returns over the run, or to why it was refused."""
    span = sources.span
    lookback = sources.real(parse_duration(PROMETHEUS_DURATIONS["query.lookback-delta"]))
    step = max(min(window, lookback), (span.end - span.start) / POINTS)
    start = span.end - step * int((span.end - span.start) / step)

    def ask(expression: str) -> Sequence[Series] | str:
        try:
            return sources.prometheus.query_range(expression, start, span.end, step)
        except StackError as error:
            if _REFUSED.search(str(error)) is None:
                raise
            return str(error)

    with ThreadPoolExecutor(THREADS) as pool:
        return dict(zip(expressions, pool.map(ask, expressions), strict=True))


def _phases(sources: Sources, window: float) -> tuple[tuple[str, float, float], ...]:
    """Phases without what a rate still knows of the one before; those too short are left out."""
    inner = ((phase.name, phase.start + window, phase.end) for phase in sources.phases)
    return tuple((name, start, end) for name, start, end in inner if end - start >= window)


def _panel(
    group: Sequence[DashboardQuery],
    parts: Anatomy,
    samples: tuple[Held, Held],
    result: Sequence[Series] | str,
    view: View,
) -> PanelFacts:
    where = tuple(query.where for query in group)
    if isinstance(result, str):
        return PanelFacts(where=where, expr=group[0].expr, error=result)
    held, _ = samples
    chosen, before = (
        {
            selector: [s for s in each.get(selector.metric, ()) if selector.takes(s.labels)]
            for selector in parts.selectors
        }
        for each in samples
    )
    kind, whole = kind_of(parts, result, {query.unit for query in group})
    values = (value for series in result for _, value in series.points)
    return PanelFacts(
        where=where,
        expr=group[0].expr,
        returned=len(result),
        finite=any(map(math.isfinite, values)),
        absent=tuple(sorted({s.metric for s in parts.selectors if s.metric not in held})),
        unmatched=tuple(dict.fromkeys(_unmatched(parts.selectors, held))),
        counted=min(
            (_events(found) for each, found in before.items() if each.rated),
            default=None,
        ),
        selects=bool(before) and all(before.values()),
        filters=parts.filters,
        unlabelled=tuple(_unlabelled(group, parts, chosen, result)),
        kind=kind,
        whole=whole,
        moves=view.moves(kind, shown(kind, result, whole=whole)) if kind else (),
    )


def _events(samples: Iterable[SeriesSample]) -> float:
    """What counters hold; the buckets of a histogram hold each event many times."""
    return sum(s.value for s in samples if s.labels.get("le", "+Inf") == "+Inf")


def _unmatched(selectors: Iterable[PanelSelector], held: Held) -> Iterable[Unmatched]:
    for selector in selectors:
        series = held.get(selector.metric, ())
        for matcher in (each for m in selector.matchers if series for each in m.alternatives):
            if not any(matcher.matches(each.labels.get(matcher.label, "")) for each in series):
                yield Unmatched(
                    metric=selector.metric,
                    label=matcher.label,
                    operator=matcher.operator,
                    value=matcher.value,
                    known=any(matcher.label in each.labels for each in series),
                )


def _unlabelled(
    group: Sequence[DashboardQuery],
    parts: Anatomy,
    chosen: Mapping[PanelSelector, Sequence[SeriesSample]],
    result: Sequence[Series],
) -> Iterable[str]:
    """Labels of which it speaks and that nothing has, though there are series."""
    before = {label for samples in chosen.values() for each in samples for label in each.labels}
    after = {label for series in result for label in series.labels}
    allowed = _attributes(parts.selectors)
    if before:
        yield from (label for label in parts.grouping if label not in before | allowed)
    shown = dict.fromkeys(label for query in group for label in query.legend)
    if result:
        # What no series has may still come, where the vocabulary says so.
        yield from (
            label
            for label in shown
            if label not in after and (label in before or label not in allowed)
        )


def _attributes(selectors: Iterable[PanelSelector]) -> set[str]:
    """Labels that the vocabulary gives to the metrics of these selectors."""
    wanted = {selector.metric for selector in selectors}
    return {"le"} | {
        names.label(attribute)
        for metric in names.METRICS
        if wanted & set(metric.prometheus_series)
        for attribute in metric.attributes
    }

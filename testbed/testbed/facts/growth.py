"""How much counters grew in a run, of which those of a running stack began long before."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testbed.facts.sources import Sources


def growth(
    sources: Sources, selector: str, *, until: float | None = None
) -> list[tuple[Mapping[str, str], int]]:
    """Labels of each counter, and how much it grew in the run.

    Args:
        sources: of the run.
        selector: of counters that Prometheus stores with the time of its scrapes.
        until: Unix time; the run's end, if None.

    Raises:
        StackError: Prometheus does not answer.
    """
    span = sources.span
    end = span.end if until is None else until
    series = sources.prometheus.raw(selector, at=end, window=max(0.001, end - span.since))
    return [(each.labels, round(grown(each.points, span.start))) for each in series]


def grown(points: Sequence[tuple[float, float]], start: float) -> float:
    """How much a counter grew from ``start`` on, over its restarts, each of which begins at 0.

    What an older counter gained just before the run, its first scrape in the run shows: it counts
    from there. One that has no older sample began with the run.

    Args:
        points: Unix times and values, from the beginning of the counter on.
        start: Unix time.
    """
    inside = [value for time, value in points if time >= start]
    older = len(inside) < len(points)
    total, previous = 0.0, inside[0] if older and inside else 0.0
    for value in inside:
        total += value - previous if value >= previous else value
        previous = value
    return total

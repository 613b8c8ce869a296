"""What happens again and again at an interval: evaluations, scrapes, exports; and its pauses."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

from testbed.charts import StoredModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PAUSES: Final = 10
"""Pauses that are stored of each; the longest ones."""

LONG: Final = 2.5
"""Intervals between two occurrences that make a pause: one may be missing, and one be late."""


class Stretch(StoredModel):
    """A span of time, in Unix seconds, and how many failures fell into it."""

    start: float
    end: float
    count: int = 0

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end - self.start


class Cadence(StoredModel):
    """How regularly something happened.

    Attributes:
        name: what it is.
        job: scrape job, or the empty text.
        interval: configured real seconds between two of them.
        count: how often it happened.
        first: Unix time of the first one, or None.
        last: Unix time of the last one, or None.
        pauses: without any, from the one before to the one after, by time.
        failures: how many of them failed.
        failing: stretches of failures, from the last success before to the first one after.
        missed: those that Prometheus itself left out because it was late.
        slowest: seconds that the slowest one took.
    """

    name: str
    job: str = ""
    interval: float
    count: int = 0
    first: float | None = None
    last: float | None = None
    pauses: tuple[Stretch, ...] = ()
    failures: int = 0
    failing: tuple[Stretch, ...] = ()
    missed: int = 0
    slowest: float = 0.0


def longest(stretches: Iterable[Stretch], maximum: int) -> tuple[Stretch, ...]:
    """At most so many of them, the longest ones, by time."""
    found = sorted(stretches, key=lambda each: -each.seconds)[:maximum]
    return tuple(sorted(found, key=lambda each: each.start))


def pauses(times: Iterable[float], *, longer: float, until: float) -> tuple[Stretch, ...]:
    """The longest pauses between ordered times, the one before ``until`` included, by time."""
    points = list(times)
    if not points:
        return ()
    found = [
        Stretch(start=a, end=b) for a, b in pairwise([*points, max(until, points[-1])])
        if b - a > longer
    ]  # fmt: skip
    return longest(found, PAUSES)


def failing(points: Sequence[tuple[float, float]]) -> tuple[Stretch, ...]:
    """Stretches of zeros in ordered pairs of time and value, the longest ones, by time."""
    found: list[Stretch] = []
    good: float | None = None
    begun: float | None = None
    count = 0
    for time, value in points:
        if value:
            if begun is not None:
                found.append(Stretch(start=begun, end=time, count=count))
            good, begun, count = time, None, 0
        else:
            count += 1
            if begun is None:
                begun = time if good is None else good
    if begun is not None:
        found.append(Stretch(start=begun, end=points[-1][0], count=count))
    return longest(found, PAUSES)

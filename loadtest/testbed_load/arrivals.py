"""When the requests of a phase are due: a rate over time, and how arrivals lie on it. Pure.

Arrivals are open: they come whether or not the service has answered those before. *Even* ones come
when the integral of the rate reaches a whole number. *Poisson* ones come when it reaches the sums
of independent exponential times of mean 1 (Çinlar, Introduction to Stochastic Processes, 1975,
section 4.7), so that how many there are differs from seed to seed.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Literal, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed_load.shapes import Knot, ShapeModel

Arrivals = Literal["even", "poisson"]


@dataclass(frozen=True, slots=True)
class RateCurve:
    """A rate that is a straight line between some points in time.

    Attributes:
        times: seconds from the phase's begin, ascending; two alike are a jump.
        rates: requests per second at these.
        counts: requests that are due by these.
    """

    times: tuple[float, ...]
    rates: tuple[float, ...]
    counts: tuple[float, ...]

    @classmethod
    def of(cls, knots: tuple[Knot, ...], duration: float) -> Self:
        """The curve of a shape that lasts so many seconds."""
        times = tuple(knot.at * duration for knot in knots)
        rates = tuple(knot.rate for knot in knots)
        pieces = (
            (b - a) * (one + other) / 2
            for (a, b), (one, other) in zip(pairwise(times), pairwise(rates), strict=True)
        )
        return cls(times, rates, tuple(accumulate(pieces, initial=0.0)))

    @property
    def total(self) -> float:
        """Requests that are due in all."""
        return self.counts[-1]

    @property
    def peak(self) -> float:
        """The highest rate."""
        return max(self.rates)

    def due(self, count: float) -> float:
        """Seconds after which so many requests are due; ``count`` below :attr:`total`."""
        place = min(bisect_right(self.counts, count), len(self.counts) - 1) - 1
        start, end = self.times[place : place + 2]
        rate, last = self.rates[place : place + 2]
        left = count - self.counts[place]
        if left == 0:
            return start
        if rate == last:
            return start + left / rate
        slope = (last - rate) / (end - start)
        # The root of rate t + slope t² / 2 = left that loses no digits where the slope is small.
        return start + 2 * left / (rate + math.sqrt(max(0.0, rate * rate + 2 * slope * left)))


class DueTimes(Protocol):
    """The due times of a phase, by the number of the request within it."""

    @property
    def count(self) -> int:
        """How many there are."""

    def at(self, index: int) -> float:
        """Seconds from the phase's begin to request ``index``, from 0."""


def due_times(
    rate: float | None,
    shape: ShapeModel | None,
    arrivals: Arrivals,
    duration: float,
    seed: str,
) -> DueTimes | None:
    """The due times of a phase; None where neither rate nor shape says any.

    Args:
        rate: requests per second.
        shape: in place of the rate.
        arrivals: how they lie.
        duration: seconds.
        seed: of what is drawn.
    """
    if shape is not None:
        curve = RateCurve.of(shape.knots(), duration)
    elif rate is None:
        return None
    elif arrivals == "even":
        return Steady(rate, whole(duration * rate))
    else:
        curve = RateCurve((0.0, duration), (rate, rate), (0.0, duration * rate))
    return Even(curve) if arrivals == "even" else Poisson.drawn(curve, seed)


def mean_rate(rate: float | None, shape: ShapeModel | None) -> float:
    """Requests per second over a whole phase; 0 where nothing says any."""
    return RateCurve.of(shape.knots(), 1.0).total if shape is not None else rate or 0.0


def peak_rate(rate: float | None, shape: ShapeModel | None) -> float:
    """The most requests per second of a phase; 0 where nothing says any."""
    return RateCurve.of(shape.knots(), 1.0).peak if shape is not None else rate or 0.0


@dataclass(frozen=True, slots=True)
class Steady:
    """Evenly spaced at one rate."""

    rate: float
    count: int

    def at(self, index: int) -> float:
        """See :class:`DueTimes`."""
        return index / self.rate


@dataclass(frozen=True, slots=True)
class Even:
    """Evenly spaced along a curve."""

    curve: RateCurve

    @property
    def count(self) -> int:
        """See :class:`DueTimes`: the one that is due at the very end belongs to the next phase."""
        return whole(self.curve.total)

    def at(self, index: int) -> float:
        """See :class:`DueTimes`."""
        return self.curve.due(index)


@dataclass(frozen=True, slots=True)
class Poisson:
    """Drawn times."""

    times: tuple[float, ...]

    @classmethod
    def drawn(cls, curve: RateCurve, seed: str) -> Self:
        """Draw along a curve."""
        return cls(tuple(_poisson(curve, random.Random(seed))))  # noqa: S311 - traffic, no secret

    @property
    def count(self) -> int:
        """See :class:`DueTimes`."""
        return len(self.times)

    def at(self, index: int) -> float:
        """See :class:`DueTimes`."""
        return self.times[index]


def _poisson(curve: RateCurve, source: random.Random) -> Iterator[float]:
    count = source.expovariate(1.0)
    while count < curve.total:
        yield curve.due(count)
        count += source.expovariate(1.0)


def whole(total: float) -> int:
    """Requests numbered from 0 that are due before the end, of so many in all."""
    return math.ceil(round(total, 6))

"""The highest arrival rate that holds an objective: a search by steps of load. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from pydantic import Field

from testbed.checks.results import ResultModel
from testbed.percentiles import percentile

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.truth import Request, Truth

Limit: TypeAlias = Literal["service", "load"]

MIN_RATE: Final = 1.0
"""Requests per second below which nothing is tried."""
FACTOR: Final = 2.0
"""From one rate to the next, until one does not hold."""


class CapacityObjective(ResultModel):
    """What must hold: so many requests answered 2xx within so many seconds of being due."""

    ratio: float
    latency: float

    def good(self, request: Request, since: float) -> bool:
        """Whether a request is good, if its time counts from ``since``."""
        answered = request.status is not None and 200 <= request.status < 300  # noqa: PLR2004 - HTTP's success
        return answered and request.finished_at - since <= self.latency


class RateStep(ResultModel):
    """One rate that was tried."""

    rate: float = Field(description="Requests per second that were due.")
    due: int
    sent: int
    good_ratio: float = Field(description="Of all that were due.")
    p50: float | None = Field(description="Seconds from when a request was due.")
    p99: float | None
    held: bool
    limited_by: Limit | None = Field(
        default=None,
        description="Of a step that did not hold: `load` where only the load could not keep up, so "
        "that it says nothing of the service.",
    )


class CapacityResult(ResultModel):
    """What a search found, schema version 1."""

    schema_version: Literal[1] = 1
    objective: CapacityObjective
    capacity: float | None = Field(
        description="Highest rate that held; null where not even the lowest did."
    )
    fails_from: float | None = Field(
        description="Lowest rate that did not hold; null where all did."
    )
    limited_by: Limit | None = Field(
        description="Of that one: `load` makes the capacity a lower bound."
    )
    steps: tuple[RateStep, ...] = Field(description="In the order in which they were tried.")

    @property
    def text(self) -> str:
        """In one sentence."""
        what = f"{self.objective.ratio * 100:g}% of requests within {self.objective.latency:g} s"
        if self.capacity is None:
            return f"not even {self.fails_from:g} requests per second hold {what}"
        if self.fails_from is None:
            return f"{self.capacity:g} requests per second hold {what}: more was not tried"
        if self.limited_by == "load":
            return (
                f"{self.capacity:g} requests per second hold {what}: a lower bound, for at "
                f"{self.fails_from:g} the load itself could not keep up"
            )
        return f"{self.capacity:g} requests per second hold {what}, {self.fails_from:g} don't"


def step_of(rate: float, due: int, truth: Truth, objective: CapacityObjective) -> RateStep:
    """What one step showed.

    Args:
        rate: requests per second.
        due: requests that were planned.
        truth: of the load.
        objective: what must hold.
    """
    sent = truth.requests
    times = [each.finished_at - each.scheduled_at for each in sent]
    good = sum(objective.good(each, each.scheduled_at) for each in sent) / due
    prompt = sum(objective.good(each, each.sent_at) for each in sent) / max(1, len(sent))
    held = round(good, 9) >= objective.ratio
    return RateStep(
        rate=rate,
        due=due,
        sent=len(sent),
        good_ratio=good,
        p50=percentile(times, 0.5),
        p99=percentile(times, 0.99),
        held=held,
        limited_by=None if held else "load" if prompt >= objective.ratio else "service",
    )


def search(
    probe: Callable[[float], RateStep],
    objective: CapacityObjective,
    *,
    start: float,
    maximum: float,
    precision: float,
) -> CapacityResult:
    """Double the rate until one does not hold, then halve the interval between.

    A rate that does not hold is tried once more: one hiccup of the machine is no capacity.

    Args:
        probe: plays one rate.
        objective: what must hold.
        start: first rate.
        maximum: highest rate.
        precision: the interval ends at this ratio of its upper end.
    """
    steps: list[RateStep] = []

    def tried(rate: float) -> RateStep:
        for _ in range(2):
            steps.append(probe(rate))
            if steps[-1].held:
                break
        return steps[-1]

    low: float = 0.0
    high: RateStep | None = None
    rate: float | None = min(start, maximum)
    while rate is not None:
        step = tried(rate)
        if step.held:
            low = rate
        else:
            high = step
        rate = _next(low, high.rate if high else None, maximum, precision)
    return CapacityResult(
        objective=objective,
        capacity=low or None,
        fails_from=high.rate if high else None,
        limited_by=high.limited_by if high else None,
        steps=tuple(steps),
    )


def _next(low: float, high: float | None, maximum: float, precision: float) -> float | None:
    """The rate to try between one that holds, or 0, and one that does not; None at the end."""
    if high is None:
        return None if low >= maximum else min(low * FACTOR, maximum)
    if not low:
        return high / FACTOR if high / FACTOR >= MIN_RATE else None
    middle = float(round((low + high) / 2))  # whole numbers read well
    return middle if high - low > precision * high and low < middle < high else None

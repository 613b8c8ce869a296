"""What telemetry costs a service: the same load with it and without it, in turns. Pure."""

from __future__ import annotations

import random
from statistics import median
from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field

from testbed.checks.results import ResultModel
from testbed.percentiles import percentile
from testbed.wordtable import WordTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from testbed.truth import Truth

MEASURED: Final = "measured"
WARM_UP: Final = "warm-up"
DRAWN: Final = 2000
"""Resamples of a bootstrap."""
ENOUGH: Final = 6
"""Rounds from which on a bootstrap says more than the smallest and the largest ratio."""
FEWEST: Final = 5
"""Rounds from which on a difference is stated: of fewer, all ratios lie on one side by chance in
more than one case of ten."""
QUANTITIES: Final = {
    "throughput": "answers a second",
    "p50": "median latency, ms",
    "p99": "99th percentile, ms",
    "cpu": "processor time of an answer, ms",
    "memory": "memory, MiB",
}


class Measurement(ResultModel):
    """One stretch of load on one of both."""

    round: int
    telemetry: bool
    throughput: float = Field(description="Answers per second.")
    p50: float = Field(description="Milliseconds from sending to the answer.")
    p99: float
    cpu: float = Field(description="Milliseconds of processor time for one answer.")
    memory: float = Field(description="MiB of the service's processes at the end.")
    failed: int = Field(description="Requests answered 5xx or not at all.")


class Ratio(ResultModel):
    """A quantity with telemetry, over the same without it."""

    quantity: str
    on: float = Field(description="Median over the rounds, with telemetry.")
    off: float = Field(description="Median over the rounds, without.")
    ratio: float = Field(description="Median of the rounds' own ratios.")
    low: float
    high: float
    rounds: int
    interval: Literal["range", "bootstrap"] = Field(
        description="Smallest to largest ratio of the rounds, or 95 % of the medians of resamples."
    )

    @property
    def shown(self) -> bool:
        """Whether the rounds show a difference at all."""
        return self.rounds >= FEWEST and not self.low <= 1.0 <= self.high

    @property
    def text(self) -> str:
        """What it says, no more than the rounds do."""
        if self.rounds < FEWEST:
            return f"fewer than {FEWEST} rounds say nothing"
        if not self.shown:
            return "no difference shown"
        return f"{abs(self.ratio - 1):.1%} {'more' if self.ratio > 1 else 'less'}"


class OverheadResult(ResultModel):
    """What was found, schema version 1."""

    schema_version: Literal[1] = 1
    service: str
    load: str = Field(description="In words.")
    rounds: int
    ratios: tuple[Ratio, ...]
    measurements: tuple[Measurement, ...] = Field(description="In the order of playing.")

    @property
    def failed(self) -> int:
        """Requests that failed."""
        return sum(each.failed for each in self.measurements)


def order(rounds: int) -> Iterable[tuple[int, bool]]:
    """Round and whether telemetry is on: each round has both, and begins with the other one."""
    for number in range(rounds):
        first = number % 2 == 0
        yield from ((number, first), (number, not first))


def measured(
    number: int, truth: Truth, *, telemetry: bool, cpu: float, memory: float
) -> Measurement:
    """What one load showed.

    Args:
        number: of the round.
        truth: of the load; its phase :data:`MEASURED` counts.
        telemetry: whether it was on.
        cpu: seconds of processor time of the service, over the whole load.
        memory: bytes of its processes at the end.
    """
    whole = [each for each in truth.requests if each.status is not None]
    counted = [each for each in truth.requests if each.phase == MEASURED]
    answered = [each for each in counted if each.status is not None]
    times = [1000 * (each.finished_at - each.sent_at) for each in answered]
    begin = min((each.sent_at for each in counted), default=0.0)
    end = max((each.finished_at for each in counted), default=0.0)
    return Measurement(
        round=number,
        telemetry=telemetry,
        throughput=len(answered) / (end - begin) if end > begin else 0.0,
        p50=percentile(times, 0.5) or 0.0,
        p99=percentile(times, 0.99) or 0.0,
        cpu=1000 * cpu / max(1, len(whole)),
        memory=memory / 2**20,
        failed=sum(each.failed for each in counted),
    )


def compare(service: str, load: str, found: Sequence[Measurement]) -> OverheadResult:
    """Both sides of every round against each other.

    Args:
        service: its name.
        load: in words.
        found: two of each round.
    """
    rounds = 1 + max(each.round for each in found)
    return OverheadResult(
        service=service,
        load=load,
        rounds=rounds,
        ratios=tuple(_ratio(quantity, found, rounds) for quantity in QUANTITIES),
        measurements=tuple(found),
    )


def _ratio(quantity: str, found: Sequence[Measurement], rounds: int) -> Ratio:
    on = {each.round: getattr(each, quantity) for each in found if each.telemetry}
    off = {each.round: getattr(each, quantity) for each in found if not each.telemetry}
    ratios = [on[number] / off[number] if off[number] else 1.0 for number in range(rounds)]
    bootstrapped = rounds >= ENOUGH
    low, high = _bootstrap(ratios) if bootstrapped else (min(ratios), max(ratios))
    return Ratio(
        quantity=quantity,
        on=median(on.values()),
        off=median(off.values()),
        ratio=median(ratios),
        low=low,
        high=high,
        rounds=rounds,
        interval="bootstrap" if bootstrapped else "range",
    )


def _bootstrap(ratios: Sequence[float]) -> tuple[float, float]:
    """95 % of the medians of resamples; the same for the same ratios."""
    source = random.Random(1)  # noqa: S311 - statistics, no secret
    medians = sorted(median(source.choices(ratios, k=len(ratios))) for _ in range(DRAWN))
    return medians[round(0.025 * DRAWN)], medians[round(0.975 * DRAWN) - 1]


def overhead_table(found: OverheadResult) -> WordTable:
    """With, without, ratio and interval of each quantity."""
    kind = "95 %" if found.ratios[0].interval == "bootstrap" else "smallest to largest"
    table = WordTable("", ">with", ">without", ">ratio", f">{kind}", "", header_style="dim")
    for each in found.ratios:
        table.add_row(
            QUANTITIES[each.quantity],
            f"{each.on:.4g}",
            f"{each.off:.4g}",
            f"{each.ratio:.3f}",
            f"{each.low:.3f} to {each.high:.3f}",
            each.text,
        )
    return table

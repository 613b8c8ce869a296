"""Shapes of straight lines: a ramp, steps, a spike, a sawtooth."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from testbed_load.shapes.base import SHAPES, Cycles, Knot, Rate, ShapeModel


@SHAPES.register
class RampShape(ShapeModel):
    """From one rate to another."""

    kind: Literal["ramp"] = "ramp"
    start: Rate
    end: Rate

    @property
    def description(self) -> str:
        """See the base class."""
        return f"from {self.start:g}/s to {self.end:g}/s, evenly"

    def knots(self) -> tuple[Knot, ...]:
        """See the base class."""
        return Knot(0.0, self.start), Knot(1.0, self.end)


@SHAPES.register
class StepsShape(ShapeModel):
    """One rate after the other, each for the same time."""

    kind: Literal["steps"] = "steps"
    rates: Annotated[tuple[Rate, ...], Field(min_length=2, max_length=1000)]

    @property
    def description(self) -> str:
        """See the base class."""
        return f"steps of {', '.join(f'{rate:g}' for rate in self.rates)}/s"

    def knots(self) -> tuple[Knot, ...]:
        """See the base class."""
        count = len(self.rates)
        return tuple(
            Knot((place + side) / count, rate)
            for place, rate in enumerate(self.rates)
            for side in (0, 1)
        )


@SHAPES.register
class SpikeShape(ShapeModel):
    """A base rate, and a burst in the midst of it."""

    kind: Literal["spike"] = "spike"
    base: Rate
    peak: Rate
    at: float = Field(0.5, ge=0, lt=1, description="Begin of the burst, as a ratio of the phase.")
    width: float = Field(0.1, gt=0, le=1, description="Length of the burst, as a ratio.")

    @model_validator(mode="after")
    def _within(self) -> Self:
        if self.at + self.width > 1 + 1e-9:
            raise ValueError("at and width together must be at most 1: the phase ends there")
        return self

    @property
    def description(self) -> str:
        """See the base class."""
        return f"{self.base:g}/s with a burst of {self.peak:g}/s for {self.width:.0%} of the time"

    def knots(self) -> tuple[Knot, ...]:
        """See the base class."""
        end = min(1.0, self.at + self.width)
        return (
            Knot(0.0, self.base),
            *(Knot(self.at, self.base), Knot(self.at, self.peak)),
            *(Knot(end, self.peak), Knot(end, self.base)),
            Knot(1.0, self.base),
        )


@SHAPES.register
class SawtoothShape(ShapeModel):
    """Rises evenly and falls at once, again and again."""

    kind: Literal["sawtooth"] = "sawtooth"
    low: Rate
    high: Rate
    cycles: Cycles = 1.0

    @property
    def description(self) -> str:
        """See the base class."""
        return f"{self.cycles:g} times from {self.low:g}/s up to {self.high:g}/s, and down at once"

    def knots(self) -> tuple[Knot, ...]:
        """See the base class."""
        found: list[Knot] = []
        for cycle in range(math.ceil(self.cycles)):
            left = min(1.0, self.cycles - cycle)
            end = self.low + (self.high - self.low) * left
            found += [
                Knot(cycle / self.cycles, self.low),
                Knot((cycle + left) / self.cycles, end),
            ]
        return tuple(found)

"""Shapes that come back: the cycle of a day."""

from __future__ import annotations

import math
from typing import Final, Literal

from testbed_load.shapes.base import SHAPES, Cycles, Knot, Rate, ShapeModel

KNOTS: Final = 48
"""Per cycle: straight lines between so many points differ from the wave by 0.2 % of its height."""


@SHAPES.register
class DailyShape(ShapeModel):
    """A wave from its lowest rate to its highest and back, as traffic has it over a day."""

    kind: Literal["daily"] = "daily"
    low: Rate
    high: Rate
    cycles: Cycles = 1.0

    @property
    def description(self) -> str:
        """See the base class."""
        return f"{self.cycles:g} waves between {self.low:g}/s and {self.high:g}/s"

    def knots(self) -> tuple[Knot, ...]:
        """See the base class."""
        count = math.ceil(self.cycles * KNOTS)
        middle, half = (self.low + self.high) / 2, (self.high - self.low) / 2
        return tuple(
            Knot(place / count, middle - half * math.cos(math.tau * self.cycles * place / count))
            for place in range(count + 1)
        )

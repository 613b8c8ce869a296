"""The knee of a capacity search: latency by rate, as bars for a terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.text import Text

from testbed.texts import NONE
from testbed.wordtable import WordTable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import RenderableType

    from testbed.capacity import CapacityResult, RateStep

BAR: Final = 30
FLOOR: Final = 1e-4
"""Seconds: the lowest latency of a logarithmic scale."""


def knee_table(found: CapacityResult) -> RenderableType:
    """Each rate with a bar of its p99, in logarithmic length; the objective's latency is marked."""
    table = WordTable(">rate", ">good", ">p50", ">p99", "", "", header_style="dim")
    steps = by_rate(found)
    scale = _bars([*(s.p99 for s in steps), found.objective.latency])
    mark = round(scale(found.objective.latency))
    for step in steps:
        length = 0 if step.p99 is None else round(scale(step.p99))
        bar = "█" * min(length, mark) + "▓" * (length - mark)
        said = "" if step.held else f"✗ {step.limited_by}"
        table.add_row(
            f"{step.rate:g}/s",
            f"{step.good_ratio:.2%}",
            duration(step.p50),
            duration(step.p99),
            Text(bar, "green" if step.held else "red"),
            said,
        )
    return Group(table, Text(found.text, "bold"))


def by_rate(found: CapacityResult) -> list[RateStep]:
    """One step a rate, the last that was tried, in ascending order."""
    latest = {step.rate: step for step in found.steps}
    return [latest[rate] for rate in sorted(latest)]


def _bars(values: Sequence[float | None]) -> Callable[[float], float]:
    """From a value to the length of its bar; equal differences are equal ratios."""
    known = [math.log10(max(value, FLOOR)) for value in values if value is not None] or [0.0]
    low, high = min(known), max(known)

    def length(value: float) -> float:
        ratio = (math.log10(max(value, FLOOR)) - low) / (high - low) if high > low else 0.5
        return 1 + ratio * (BAR - 1)

    return length


def duration(seconds: float | None) -> str:
    """Seconds as people read them."""
    if seconds is None:
        return NONE
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"

"""Small charts as SVG, drawn by the server: lines, axes and what they say in words. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from testbed.charts import ChartLine

WIDTH, HEIGHT = 320, 90
LINES: Final = 8
"""Lines that have a colour of their own; more are not drawn."""


@dataclass(frozen=True, slots=True)
class DrawnLine:
    """One line.

    Attributes:
        name: of it.
        index: of its colour.
        paths: points of each unbroken stretch, as ``polyline`` has them.
        last: its last value; None where the series has ended.
    """

    name: str
    index: int
    paths: tuple[str, ...]
    last: float | None


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart that is ready to be written down.

    Attributes:
        lines: of it.
        low: value at its lower edge.
        high: value at its upper edge.
        start: Unix time at its left edge.
        end: Unix time at its right edge.
        left_out: how many lines are not drawn.
    """

    lines: tuple[DrawnLine, ...]
    low: float
    high: float
    start: float
    end: float
    left_out: int = 0


def draw(lines: Sequence[ChartLine], start: float, end: float) -> Drawing:
    """A chart of lines between two Unix times; zero is in it, unless all is far from it."""
    shown = lines[:LINES]
    values = [v for line in shown for _, v in line.points if v is not None]
    low, high = min(values, default=0.0), max(values, default=1.0)
    if low > 0 and low < high / 2 or low == high:  # noqa: RUF021 - as it reads
        low = min(low, 0.0)
    if high <= low:
        high = low + 1.0
    drawn = tuple(
        DrawnLine(line.name, index, tuple(_paths(line, (start, end), (low, high))), _last(line))
        for index, line in enumerate(shown)
    )
    return Drawing(drawn, low, high, start, end, len(lines) - len(shown))


def _last(line: ChartLine) -> float | None:
    return line.points[-1][1] if line.points else None


def _paths(
    line: ChartLine, times: tuple[float, float], values: tuple[float, float]
) -> Iterable[str]:
    """Stretches without a hole; a single point is drawn as a short line."""
    (start, end), (low, high) = times, values
    usual = min(
        (b - a for (a, _), (b, _) in zip(line.points, line.points[1:], strict=False)), default=0.0
    )
    stretch: list[str] = []
    before = -math.inf
    for time, value in line.points:
        if value is None or (stretch and time - before > 1.5 * usual):
            yield from _closed(stretch)
            stretch = []
        if value is not None:
            x = WIDTH * (time - start) / (end - start or 1.0)
            y = HEIGHT * (1 - (value - low) / (high - low))
            stretch.append(f"{x:.1f},{y:.1f}")
        before = time
    yield from _closed(stretch)


def _closed(stretch: list[str]) -> Iterable[str]:
    if stretch:
        yield " ".join(stretch if len(stretch) > 1 else [stretch[0], stretch[0]])

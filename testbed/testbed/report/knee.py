"""The knee of a capacity search: latency by rate, as SVG and as bars for a terminal."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from testbed.report.texts import NONE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import RenderableType

    from testbed.capacity import CapacityResult, RateStep

WIDTH, HEIGHT, LEFT, BOTTOM, MARGIN = 720, 360, 70, 50, 30
BAR: Final = 30
LINES: Final = (("p50", "#1d9a6c"), ("p99", "#d1495b"))
FLOOR: Final = 1e-4
"""Seconds: the lowest latency of a logarithmic scale."""


def knee_table(found: CapacityResult) -> RenderableType:
    """Each rate with a bar of its p99, in logarithmic length; the objective's latency is marked."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("rate", "good", "p50", "p99", "", ""):
        table.add_column(title, justify="right" if title else "left")
    steps = _by_rate(found)
    scale = _logarithm([*(s.p99 for s in steps), found.objective.latency], 1, BAR)
    mark = round(scale(found.objective.latency))
    for step in steps:
        length = 0 if step.p99 is None else round(scale(step.p99))
        bar = "█" * min(length, mark) + "▓" * (length - mark)
        said = "" if step.held else f"✗ {step.limited_by}"
        table.add_row(
            f"{step.rate:g}/s",
            f"{step.good_ratio:.2%}",
            _duration(step.p50),
            _duration(step.p99),
            Text(bar, "green" if step.held else "red"),
            said,
        )
    return Group(table, Text(found.text, "bold"))


def knee_svg(found: CapacityResult) -> str:
    """A picture that needs nothing else: both percentiles by rate, objective and capacity."""
    steps = _by_rate(found)
    rates = [step.rate for step in steps]
    across = _logarithm(rates, LEFT, WIDTH - MARGIN)
    up = _logarithm(
        [*(s.p50 for s in steps), *(s.p99 for s in steps), found.objective.latency],
        HEIGHT - BOTTOM,
        MARGIN,
    )
    limit = up(found.objective.latency)
    parts = [
        _line(LEFT, HEIGHT - BOTTOM, WIDTH - MARGIN, HEIGHT - BOTTOM, "#8a8f98"),
        _line(LEFT, MARGIN, LEFT, HEIGHT - BOTTOM, "#8a8f98"),
        _line(LEFT, limit, WIDTH - MARGIN, limit, "#8a8f98", dashed=True),
        _text(LEFT - 6, limit + 4, _duration(found.objective.latency), "end"),
        *(_text(across(rate), HEIGHT - BOTTOM + 16, f"{rate:g}") for rate in rates),
        _text((LEFT + WIDTH) / 2, HEIGHT - 8, "requests per second"),
    ]
    if found.capacity is not None:
        x = across(found.capacity)
        parts += [
            _line(x, MARGIN, x, HEIGHT - BOTTOM, "#3a86c8", dashed=True),
            _text(x, MARGIN - 8, f"{found.capacity:g}/s"),
        ]
    for place, (name, colour) in enumerate(LINES):
        points = [(s.rate, value) for s in steps if (value := getattr(s, name)) is not None]
        path = " ".join(f"{across(rate):.1f},{up(value):.1f}" for rate, value in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [
            f'<circle cx="{across(rate):.1f}" cy="{up(value):.1f}" r="3.5" fill="{colour}"/>'
            for rate, value in points
        ]
        parts.append(_text(LEFT + 12 + 50 * place, MARGIN + 4, name, "start", colour))
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="12">\n<title>{html.escape(found.text)}'
        f'</title>\n<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


def _by_rate(found: CapacityResult) -> list[RateStep]:
    """One step a rate, the last that was tried, in ascending order."""
    latest = {step.rate: step for step in found.steps}
    return [latest[rate] for rate in sorted(latest)]


def _logarithm(
    values: Sequence[float | None], first: float, last: float
) -> Callable[[float], float]:
    """From a value to its place between two ends; equal distances are equal ratios."""
    known = [math.log10(max(value, FLOOR)) for value in values if value is not None] or [0.0]
    low, high = min(known), max(known)

    def place(value: float) -> float:
        share = (math.log10(max(value, FLOOR)) - low) / (high - low) if high > low else 0.5
        return first + share * (last - first)

    return place


def _line(
    x: float, y: float, to_x: float, to_y: float, colour: str, *, dashed: bool = False
) -> str:
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    return (
        f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" stroke="{colour}"{dash}/>'
    )


def _text(x: float, y: float, text: str, anchor: str = "middle", colour: str = "#1c2127") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">'
        f"{html.escape(text)}</text>"
    )


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return NONE
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"

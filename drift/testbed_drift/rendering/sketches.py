"""How the values of a column lie in two tables, as shapes for one small figure. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterator

BINS: Final = 30
WIDTH, HEIGHT = 480, 110
NAMED: Final = 8
OTHERS: Final = "(all others)"


@dataclass(frozen=True, slots=True)
class Histogram:
    """Numbers of both tables over the same bins, each as an SVG path of ``WIDTH`` by ``HEIGHT``.

    Attributes:
        reference: path of the reference, closed.
        current: path of the current table, open.
        low: left end of the axis; what lies below is in the first bin.
        high: right end, likewise.
        means: of reference and current.
    """

    reference: str
    current: str
    low: float
    high: float
    means: tuple[float, float]


@dataclass(frozen=True, slots=True)
class CategoryBar:
    """A category, and its ratio of the rows in reference and current, 0 to 1."""

    name: str
    reference: float
    current: float


@dataclass(frozen=True, slots=True)
class CategoryBars:
    """The most frequent categories of both tables."""

    bars: tuple[CategoryBar, ...]


def sketch(reference: pd.Series[Any], current: pd.Series[Any]) -> Histogram | CategoryBars | None:
    """The shapes of a column, or None where neither table holds a value.

    Args:
        reference: its values, numbers or categories; missing ones are left out.
        current: likewise.
    """
    before, now = reference.dropna(), current.dropna()
    if before.empty and now.empty:
        return None
    if pd.api.types.is_numeric_dtype(reference) and not pd.api.types.is_bool_dtype(reference):
        return _histogram(before.to_numpy(dtype=float), now.to_numpy(dtype=float))
    return _bars(before.astype(str), now.astype(str))


def _histogram(before: np.ndarray[Any, Any], now: np.ndarray[Any, Any]) -> Histogram | None:
    before, now = (values[np.isfinite(values)] for values in (before, now))
    both = np.concatenate([before, now])
    if not len(both):
        return None
    # A single far value would leave all others in one bin.
    low, high = (float(one) for one in np.percentile(both, (0.5, 99.5)))
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    heights = [
        np.histogram(np.clip(values, low, high), edges)[0] / max(len(values), 1)
        for values in (before, now)
    ]
    top = max(float(one.max()) for one in heights) or 1.0
    first, second = (" ".join(_steps(one / top)) for one in heights)
    means = tuple(float(values.mean()) if len(values) else float("nan") for values in (before, now))
    return Histogram(f"{first} Z", second, low, high, (means[0], means[1]))


def _steps(heights: np.ndarray[Any, Any]) -> Iterator[str]:
    yield f"M0 {HEIGHT}"
    for place, height in enumerate(heights):
        yield f"V{HEIGHT * (1 - height):.1f} H{WIDTH * (place + 1) / len(heights):.1f}"
    yield f"V{HEIGHT}"


def _bars(before: pd.Series[Any], now: pd.Series[Any]) -> CategoryBars:
    first, second = (
        {str(name): float(part) for name, part in values.value_counts(normalize=True).items()}
        for values in (before, now)
    )
    bars = [
        CategoryBar(name, first.get(name, 0.0), second.get(name, 0.0))
        for name in {**first, **second}
    ]
    bars.sort(key=lambda bar: -max(bar.reference, bar.current))
    shown, rest = bars[:NAMED], bars[NAMED:]
    if rest:
        others = (sum(bar.reference for bar in rest), sum(bar.current for bar in rest))
        shown.append(CategoryBar(OTHERS, *others))
    return CategoryBars(tuple(shown))

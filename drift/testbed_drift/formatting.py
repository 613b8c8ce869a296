"""Small forms that results ratio: tables of a report, numbers and times in JSON. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class ReportTable:
    """A table for the HTML report.

    Attributes:
        title: what it shows.
        header: names of the columns.
        rows: texts, one per column.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def finite(value: float) -> float | None:
    """The value, or None for NaN and infinities, which JSON lacks."""
    return value if math.isfinite(value) else None


def iso_time(time: float) -> str:
    """Unix time as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

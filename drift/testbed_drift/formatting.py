"""Small forms that results share: tables of a report, numbers and times in JSON. Pure."""

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
        folded: whether a reader sees it on request only.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    folded: bool = False


@dataclass(frozen=True, slots=True)
class ReportHeading:
    """What stands first in the HTML report.

    Attributes:
        title: of the page.
        verdict: what was decided; empty where nobody decides.
        words: the same as a sentence.
        reasons: one phrase each.
        compared: name and text of what was compared.
    """

    title: str
    verdict: str = ""
    words: str = ""
    reasons: tuple[str, ...] = ()
    compared: tuple[tuple[str, str], ...] = ()

    @property
    def good(self) -> bool:
        """Whether nothing has to be done."""
        return self.verdict == "NO_ACTION"


def finite(value: float) -> float | None:
    """The value, or None for NaN and infinities, which JSON lacks."""
    return value if math.isfinite(value) else None


def iso_time(time: float) -> str:
    """Unix time as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

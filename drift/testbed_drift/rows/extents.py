"""Windows without their rows: what they are called and how far they go. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class WindowSummary:
    """A window without its rows.

    Attributes:
        name: the window's part of the reports' file names.
        rows: number of rows.
        labels: number of them with a label.
        start: Unix time at which it begins, or None for the training reference.
        end: Unix time at which it ends, exclusive, or None.
        newest: Unix time of its newest row, of the training reference that of the training, or
            None where neither is known.
    """

    name: str
    rows: int
    labels: int
    start: float | None = None
    end: float | None = None
    newest: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "name": self.name,
            "rows": self.rows,
            "labels": self.labels,
            "start": self.start,
            "end": self.end,
            "newest": self.newest,
        }


@dataclass(frozen=True, slots=True)
class Extent:
    """How far the rows and labels of a window go.

    Attributes:
        newest: Unix time of its newest row, or None where its rows have no time.
        labels: rows with a label.
        latest_label: Unix time at which the last label came, or None.
    """

    newest: float | None = None
    labels: int = 0
    latest_label: float | None = None

    def has_labels_beyond(self, before: Extent) -> bool:
        """Whether a label has come since: a later one, or more of them where clocks differ."""
        here, there = (
            -math.inf if one.latest_label is None else one.latest_label for one in (self, before)
        )
        return here > there or self.labels > before.labels

"""The two windows that a run compares: which rows, and what they are called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from testbed_domain.errors import DomainError

from testbed_drift.rows.columns import PREDICTION, TARGET
from testbed_drift.rows.extents import Extent, WindowSummary
from testbed_drift.rows.frames import declare, tabulated

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from testbed_domain.logstore import Columns

    from testbed_drift.rows.columns import ColumnKind
    from testbed_drift.rows.spans import Period


class NotEnoughRowsError(DomainError):
    """A window holds too few rows to evaluate.

    Args:
        message: one line.
        needed: rows that it needs, where that is what it lacks.
    """

    def __init__(self, message: str, needed: int | None = None) -> None:
        super().__init__(message)
        self.needed = needed


def file_part(name: str) -> str:
    """A name as a part of a file's name."""
    return re.sub(r"[^A-Za-z0-9._=-]+", "-", name)[:80]


class LogReader(Protocol):
    """What a run needs of the prediction log."""

    def window(
        self, model_version: str, start: float | None, end: float | None, limit: int | None
    ) -> Columns:
        """The latest ``limit`` rows from ``start`` to before ``end``, oldest first."""

    def reference(self, model_version: str) -> Columns:
        """The reference rows of the training."""


@dataclass(frozen=True, slots=True)
class Window:
    """Rows to compare.

    Attributes:
        name: the window's part of the reports' file names.
        frame: one row per prediction, see :func:`testbed_drift.rows.frames.declare`.
        span: where it lies in time, or None for the training reference.
        newest: time of its newest row, of the training reference that of the training, or None.
        columns: its rows as the log has them, with probabilities and times of labels.
        times: Unix times of its first and last row, where a table says them; of a training
            reference twice that of the training; else None.
    """

    name: str
    frame: pd.DataFrame
    span: Period | None = None
    newest: float | None = None
    columns: Columns | None = None
    times: tuple[float, float] | None = None

    @property
    def dates(self) -> tuple[float, float] | None:
        """Unix times from which and to which it goes, or None where they are not known."""
        if self.times:
            return self.times
        if self.span and self.span.start is not None and self.span.end is not None:
            return self.span.start, self.span.end
        if self.columns and len(self.columns.time):
            return self.columns.time[0], self.columns.time[-1]
        return None

    @property
    def extent(self) -> Extent:
        """How far its rows and labels go."""
        times = self.columns.label_time if self.columns else []
        known = [time for time in times if time is not None]
        return Extent(self.newest, int(self.frame[TARGET].count()), max(known, default=None))

    def summary(self) -> WindowSummary:
        """The window without its rows."""
        start, end = (self.span.start, self.span.end) if self.span else (None, None)
        labels = int(self.frame[TARGET].count())
        return WindowSummary(self.name, len(self.frame), labels, start, end, self.newest)


@dataclass(frozen=True, slots=True)
class WindowReader:
    """Reads windows of one model version from the log.

    Attributes:
        model_version: whose rows.
        kinds: feature columns and kinds.
        min_rows: least rows of a window of the log. The training reference may be smaller: a small
            data set has no larger one.
        max_rows: most rows of a window of the log; the newest stay.
        purpose: what so many rows are needed for, in words.
        trained: Unix time of the training that made the reference, or None where nobody knows.
        outcome: kind of predictions and labels.
    """

    model_version: str
    kinds: Mapping[str, ColumnKind]
    min_rows: int
    max_rows: int
    purpose: str = ""
    trained: float | None = None
    outcome: ColumnKind = "category"

    def training_reference(self, log: LogReader) -> Window:
        """The reference rows that the training registered.

        Raises:
            NotEnoughRowsError: there are none.
        """
        columns = log.reference(self.model_version)
        if not len(columns):
            raise NotEnoughRowsError(
                f"the log holds no reference rows of model {self.model_version}: start the API "
                "with this model and this log, or name a reference window"
            )
        name = "reference-" + re.sub(r"[^A-Za-z0-9._-]+", "-", self.model_version)[:24]
        times = None if self.trained is None else (self.trained, self.trained)
        frame = self._frame(columns)
        return Window(name, frame, newest=self.trained, columns=columns, times=times)

    def of_log(self, log: LogReader, span: Period) -> Window:
        """The newest rows of a span.

        Raises:
            NotEnoughRowsError: there are fewer than ``min_rows``.
        """
        columns = log.window(self.model_version, span.start, span.end, self.max_rows)
        if len(columns) < self.min_rows:
            raise NotEnoughRowsError(
                f"{len(columns)} rows of model {self.model_version} in {span.name}, "
                f"{self.min_rows} needed {self.purpose}".rstrip(),
                self.min_rows,
            )
        return self.of_columns(columns, span.name, span)

    def of_columns(self, columns: Columns, name: str, span: Period | None) -> Window:
        """Rows of the log, oldest first, as a window."""
        newest = columns.time[-1] if columns.time else None
        return Window(name, self._frame(columns), span, newest, columns)

    def _frame(self, columns: Columns) -> pd.DataFrame:
        raw = {**columns.features, PREDICTION: columns.prediction, TARGET: columns.label}
        return declare(tabulated(raw, len(columns)), self.kinds, self.outcome)

"""How rows in order are cut into windows: by count or by time, sliding or tumbling. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from testbed_domain.errors import DomainError

from testbed_drift.durations import DurationError, seconds_of
from testbed_drift.rows.spans import Period

if TYPE_CHECKING:
    from collections.abc import Iterator

# More windows are a mistake, or nothing that anybody reads.
MAX_WINDOWS: Final = 100_000


class CuttingError(DomainError):
    """Windows that can't be cut so. One line that says what to do."""


@dataclass(frozen=True, slots=True)
class Cut:
    """One window.

    Attributes:
        name: short and unique among the windows of one table.
        start: place of its first row.
        end: place behind its last row.
        span: where it lies in time; None for a window of a number of rows.
    """

    name: str
    start: int
    end: int
    span: Period | None = None

    @property
    def rows(self) -> slice:
        """Its rows."""
        return slice(self.start, self.end)


@dataclass(frozen=True, slots=True)
class ByCount:
    """Windows of so many rows.

    Attributes:
        size: rows of a window.
        every: rows from the start of one window to that of the next.
    """

    size: int
    every: int

    def cuts(self, rows: int, times: np.ndarray[Any, Any] | None = None) -> Iterator[Cut]:
        """The whole windows; rows at the end that fill none are left over.

        Args:
            rows: how many there are.
            times: when they were, for nothing.
        """
        del times
        starts = range(0, rows - self.size + 1, self.every)
        _refuse_many(len(starts))
        for start in starts:
            yield Cut(f"rows-{start + 1}-{start + self.size}", start, start + self.size)

    def left_over(self, rows: int) -> int:
        """Rows at the end that are in no window."""
        windows = max(0, (rows - self.size) // self.every + 1)
        return rows - ((windows - 1) * self.every + self.size) if windows else rows


@dataclass(frozen=True, slots=True)
class ByTime:
    """Windows of so much time, which begin at whole multiples of ``every`` since 1970 (UTC).

    So windows of days begin at midnight UTC, and weeks on a Thursday.

    Attributes:
        size: seconds of a window.
        every: seconds from the start of one window to that of the next.
    """

    size: float
    every: float

    def cuts(self, rows: int, times: np.ndarray[Any, Any] | None = None) -> Iterator[Cut]:
        """All windows that begin between the first row and the last, those without rows too.

        Args:
            rows: how many there are.
            times: Unix seconds, rising.

        Raises:
            CuttingError: there are no times, or too many windows between them.
        """
        if times is None:
            raise CuttingError("windows of time need the rows' times: give --time-column")
        if not rows:
            return
        first, last = (math.floor(times[place] / self.every) for place in (0, -1))
        _refuse_many(last - first + 1)
        for number in range(first, last + 1):
            span = Period.between(number * self.every, number * self.every + self.size)
            start, end = np.searchsorted(times, (span.start, span.end), side="left").tolist()
            yield Cut(span.name, start, end, span)


@dataclass(frozen=True, slots=True)
class Whole:
    """All rows are one window."""

    def cuts(self, rows: int, times: np.ndarray[Any, Any] | None = None) -> Iterator[Cut]:
        """The one window."""
        del times
        yield Cut("", 0, rows)


Cutting = ByCount | ByTime | Whole


@dataclass(frozen=True, slots=True)
class WindowOptions:
    """What was said about windows.

    Attributes:
        rows: rows of a window, or None.
        window: length of a window in time, or None.
        every: distance of two windows, in rows or time like the window; None lets them touch.
    """

    rows: int | None = None
    window: str | None = None
    every: str | None = None

    def cutting(self) -> Cutting:
        """How to cut.

        Raises:
            CuttingError: the options contradict each other, or are no numbers or durations.
        """
        if self.rows is not None and self.window is not None:
            raise CuttingError("give --window-rows or --window, not both")
        if self.rows is not None:
            every = str(self.rows) if self.every is None else self.every
            if not every.isdecimal() or not int(every) or self.rows < 1:
                raise CuttingError(f"--window-rows needs --every as a number of rows, not {every}")
            return ByCount(self.rows, int(every))
        if self.window is not None:
            size = _length(self.window)
            return ByTime(size, size if self.every is None else _length(self.every))
        if self.every is not None:
            raise CuttingError("--every needs --window-rows or --window beside it")
        return Whole()


def _length(text: str) -> float:
    try:
        seconds = seconds_of(text)
    except DurationError as error:
        raise CuttingError(str(error)) from error
    if not seconds:
        raise CuttingError(f"{text!r} is not the length of a window: it must be above 0")
    return seconds


def _refuse_many(windows: int) -> None:
    if windows > MAX_WINDOWS:
        raise CuttingError(f"that makes {windows} windows, at most {MAX_WINDOWS}: take longer ones")

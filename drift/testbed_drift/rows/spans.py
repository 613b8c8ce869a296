"""Stretches of time with names. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Self

from testbed_domain.errors import DomainError

_DAY: Final = timedelta(days=1)


class SpanError(DomainError):
    """Text that can't be read as START/END."""


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of time with a name that fits into file names.

    Attributes:
        start: Unix time, included.
        end: Unix time, excluded.
        name: the last day of a span of days, else both times in UTC.
    """

    start: float
    end: float
    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``START/END`` in ISO 8601: two days, both included, or two times.

        Times without an offset are UTC. A month is named by its last day, as month-end reports
        are: ``2024-01-01/2024-01-31`` is called ``2024-01-31``.

        Raises:
            SpanError: it is neither, or it ends before it starts.
        """
        first, slash, last = text.strip().partition("/")
        try:
            if len(first) == len(last) == len("2024-01-31"):
                day = date.fromisoformat(last)
                start, end = _midnight(date.fromisoformat(first)), _midnight(day + _DAY)
                span = cls(start.timestamp(), end.timestamp(), day.isoformat())
            else:
                span = cls.between(_time(first).timestamp(), _time(last).timestamp())
        except (ValueError, OverflowError):
            slash = ""
        if not slash or span.start >= span.end:
            raise SpanError(
                f"{text!r} is not a window: give START/END, two days (2024-01-01/2024-01-31) or "
                "two times (2026-11-21T10:15:00Z/2026-11-21T10:20:00Z)"
            )
        return span

    @classmethod
    def between(cls, start: float, end: float) -> Self:
        """The span between two Unix times, named after both."""
        return cls(start, end, f"{_stamp(start)}-{_stamp(end)}")


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _stamp(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y%m%dT%H%M%SZ")

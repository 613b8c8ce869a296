"""Calendar months as windows. Pure."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from testbed_domain.errors import DomainError

from testbed_drift.rows.spans import Period

MONTHS: Final = 12


class MonthError(DomainError):
    """Text that can't be read as a month."""


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A month of the calendar, in UTC."""

    year: int
    month: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``2024-02``.

        Raises:
            MonthError: it is no month.
        """
        found = re.fullmatch(r"(\d{4})-(\d{2})", text.strip(), re.ASCII)
        if found is None or not 1 <= int(found[2]) <= MONTHS or int(found[1]) < 1:
            raise MonthError(f"{text!r} is not a month: write it as 2024-02")
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def before(cls, time: float) -> Self:
        """The last whole month before a Unix time."""
        now = datetime.fromtimestamp(time, UTC)
        return cls(now.year, now.month).earlier(1)

    def earlier(self, months: int) -> Self:
        """The month so many months before.

        Raises:
            MonthError: that is before the year 1.
        """
        year, month = divmod(self.year * MONTHS + self.month - 1 - months, MONTHS)
        if year < 1:
            raise MonthError(f"{months} months before {self} the calendar has not begun")
        return type(self)(year, month + 1)

    @property
    def span(self) -> Period:
        """From its first day to its last, named after the last."""
        _, days = calendar.monthrange(self.year, self.month)
        return Period.parse(f"{self}-01/{self}-{days:02}")

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"


@dataclass(frozen=True, slots=True)
class MonthPair:
    """Two months to compare."""

    reference: Month
    current: Month


def pairs(last: Month, count: int, against: Month | None) -> tuple[MonthPair, ...]:
    """``count`` months up to ``last``, oldest first, and what each is compared with.

    Args:
        last: the newest month to evaluate.
        count: how many months to evaluate, at least 1.
        against: the reference of all of them; None compares each with the month before it.

    Raises:
        MonthError: a month would be compared with itself, or the calendar does not reach so far.
    """
    evaluated = [last.earlier(back) for back in range(count)][::-1]
    if against in evaluated:
        raise MonthError(f"{against} can't be compared with itself")
    return tuple(MonthPair(against or month.earlier(1), month) for month in evaluated)

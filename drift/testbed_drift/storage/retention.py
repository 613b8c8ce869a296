"""Which of many files and lines may go. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Item = TypeVar("Item")
DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Retention:
    """How much is kept; the newest always is.

    Attributes:
        count: most of a kind, or None for any number.
        days: greatest age in days, or None for any.
    """

    count: int | None = None
    days: float | None = None

    @property
    def everything(self) -> bool:
        """Whether all is kept."""
        return self.count is None and self.days is None

    def surplus(self, items: Sequence[tuple[float, Item]], now: float) -> list[Item]:
        """What may go, of things with their Unix times."""
        ordered = sorted(items, key=lambda item: item[0], reverse=True)
        return [
            item
            for place, (time, item) in enumerate(ordered)
            if place and (self._beyond(place) or self._old(now - time))
        ]

    def _beyond(self, place: int) -> bool:
        return self.count is not None and place >= self.count

    def _old(self, age: float) -> bool:
        return self.days is not None and age > self.days * DAY

    def leading(self, times: Callable[[int], float], number: int, now: float) -> int:
        """How many of the first of so many things in order of time may go.

        Args:
            times: Unix time of a thing, by its place; asked for no more than needed.
            number: how many there are.
            now: Unix time.
        """
        place = max(0, number - self.count) if self.count is not None else 0
        place = min(place, max(0, number - 1))
        while place < number - 1 and self.days is not None and self._old(now - times(place)):
            place += 1
        return place

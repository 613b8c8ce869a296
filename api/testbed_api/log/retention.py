"""Retention: predictions leave the log when they are old enough.

A clock that is wrong makes all of them old. So nothing is deleted where the wall clock has moved
against the time that passed since the process began, nor where more than half of the log would go.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

from testbed_domain.errors import DomainError
from testbed_domain.logmaintenance import prunable, prune
from testbed_domain.logstore import open_log

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed_api.notices import Notices

logger = logging.getLogger(__name__)

DAY: Final = 86_400.0
INTERVAL: Final = 600.0
# What a wall clock may gain or lose against the time that passed: far above what NTP slews.
CLOCK_TOLERANCE: Final = 3_600.0
KIND: Final = "retention"


class ClockMovedError(DomainError):
    """The wall clock was set, so nobody knows what is old."""


class Clock:
    """The wall clock, held against the time that passes.

    Args:
        wall: UTC Unix seconds.
        steady: seconds since any moment, which nobody can set; suspended time counts.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._offset = wall() - steady()

    def now(self) -> float:
        """UTC Unix seconds.

        Raises:
            ClockMovedError: the clock was set by more than the tolerance since the start.
        """
        now = self._wall()
        moved = now - self._steady() - self._offset
        if abs(moved) > CLOCK_TOLERANCE:
            direction = "forward" if moved > 0 else "back"
            raise ClockMovedError(
                f"the clock was set {direction} by {abs(moved) / DAY:.2f} days since the start: "
                "set it right, or restart the API where it is right now"
            )
        return now


async def prune_regularly(
    url: str,
    days: float,
    interval: float = INTERVAL,
    clock: Clock | None = None,
    notices: Notices | None = None,
) -> None:
    """Prune the log now and then, until cancelled; several replicas may do it at once.

    Args:
        url: the log.
        days: age from which predictions go.
        interval: seconds between two rounds.
        clock: says how old a prediction is.
        notices: gets why nothing is deleted, for as long as that is so.
    """
    clock = clock or Clock()

    def once() -> int:
        before = clock.now() - days * DAY
        with open_log(url) as log:
            prunable(log, before)
            return prune(log, before)

    while True:
        try:
            gone = await asyncio.to_thread(once)
        except DomainError as error:
            logger.error("cannot prune: %s", error)  # noqa: TRY400 - expected: one line
            if notices is not None:
                notices.put(KIND, f"no old predictions are deleted: {error}", log=False)
        else:
            if notices is not None:
                notices.put(KIND, None)
            if gone:
                logger.info("%d predictions older than %g days were deleted", gone, days)
        await asyncio.sleep(interval)

"""Retention: predictions leave the log when they are old enough."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

from testbed_domain.errors import DomainError
from testbed_domain.logkeeping import prune
from testbed_domain.logstore import open_log

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

DAY: Final = 86_400.0
INTERVAL: Final = 600.0


async def keep_pruned(
    url: str,
    days: float,
    interval: float = INTERVAL,
    clock: Callable[[], float] = time.time,
) -> None:
    """Prune the log now and then, until cancelled; several replicas may do it at once.

    Args:
        url: the log.
        days: age from which predictions go.
        interval: seconds between two rounds.
        clock: UTC Unix seconds.
    """

    def once() -> int:
        with open_log(url) as log:
            return prune(log, clock() - days * DAY)

    while True:
        try:
            gone = await asyncio.to_thread(once)
        except DomainError as error:
            logger.error("cannot prune: %s", error)  # noqa: TRY400 - expected: one line
        else:
            if gone:
                logger.info("%d predictions older than %g days were deleted", gone, days)
        await asyncio.sleep(interval)

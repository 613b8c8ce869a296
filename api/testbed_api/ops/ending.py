"""The end of the process in bounded time, whatever doesn't end by itself."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Coroutine

logger = logging.getLogger(__name__)

# Beyond the seconds for open requests: closing models and log, the last push of metrics. Less than
# the supervisor of replicas grants.
SLACK_SECONDS: Final = 12.0
STEP_SECONDS: Final = 2.0
EXIT_CODE: Final = 2


async def within(work: Coroutine[object, object, object], what: str) -> None:
    """Wait for a step of the end, for :data:`STEP_SECONDS` at most.

    Args:
        work: the step; it is cancelled where it takes longer.
        what: its name in the log.
    """
    try:
        async with asyncio.timeout(STEP_SECONDS):
            await work
    except TimeoutError:
        logger.error("%s did not end in %g s: left as it is", what, STEP_SECONDS)  # noqa: TRY400 - expected: one line


class LastResort:
    """Ends the process where it hasn't ended in time.

    Args:
        seconds: from :meth:`start` on.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timer: threading.Timer | None = None

    def start(self) -> None:
        """Begin to count, once."""
        if self._timer is None:
            self._timer = threading.Timer(self._seconds, self._exit)
            self._timer.daemon = True
            self._timer.start()

    def _exit(self) -> None:
        # Something blocks, in C perhaps: neither an exception nor a signal would reach it.
        logger.error("the process did not end in %g s: it exits now", self._seconds)
        os._exit(EXIT_CODE)

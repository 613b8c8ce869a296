"""``python -m testbed_api`` with a watchdog of its event loop: ``watched_api.py FILE``.

The file holds the longest that the loop worked without a break, in seconds of its thread's own
processor time, so that nobody else on the machine is measured. It begins anew when it is removed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Any

from testbed_api.__main__ import main
from testbed_api.ops import server

INTERVAL = 0.002


class Watchdog:
    """Writes the file whenever a turn of the loop took longer than all before."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._longest = 0.0

    async def watch(self) -> None:
        """Look, until cancelled."""
        while True:
            used = time.thread_time()
            await asyncio.sleep(INTERVAL)
            self._note(time.thread_time() - used)

    def _note(self, seconds: float) -> None:
        if not self._path.exists():
            self._longest = 0.0
            seconds = 0.0
        if seconds > self._longest or not seconds:
            self._longest = seconds
            new = self._path.with_suffix(".new")
            new.write_text(str(seconds))
            new.replace(self._path)  # who reads it finds a whole number


def install(path: Path) -> None:
    """Have the server run the watchdog as long as it serves."""
    serve = server._serve

    async def watched(*arguments: Any) -> None:  # noqa: ANN401 - passed on
        watching = asyncio.create_task(Watchdog(path).watch())
        try:
            await serve(*arguments)
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching

    server._serve = watched  # type: ignore[assignment]


if __name__ == "__main__":
    with contextlib.suppress(PermissionError):
        os.nice(-10)  # as the probe does: other programs are not what is measured
    install(Path(sys.argv.pop(1)))
    sys.exit(main())

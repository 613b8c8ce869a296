"""Freezes the processes of a component, for a while or for a ratio of each short period."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from testbed.faults.rig.kernel import members, states, used

if TYPE_CHECKING:
    from collections.abc import Mapping

PERIOD: Final = 0.25
"""Real seconds of a period, of which a component is frozen for a ratio."""

SHORTEST: Final = 0.1
"""Ratio of its freedom in a period that a component has in any case."""

SETTLING: Final = 1.0
"""Seconds in which the kernel must say that all processes stand still."""

LOOK: Final = 0.005
STOPPED: Final = frozenset({"T", "t"})


def rest(frozen: float, lasted: float, duty: float) -> float:
    """For how long a component may run until it is frozen again.

    What a busy machine took of the last periods, looking at processes and waking up late, counts
    as freedom, so that the ratio holds all the same.

    Args:
        frozen: seconds that it stood still so far.
        lasted: seconds since the fault began.
        duty: ratio of the time for which it is to be frozen, below 1.

    Returns:
        Seconds.
    """
    planned = (1 - duty) * PERIOD
    return min(max(frozen / duty - lasted, planned * SHORTEST), planned)


class Freezer:
    """Freezes the processes of one component; to be thawed whatever happens.

    Args:
        pid: of its first one, which leads a group.
        duty: ratio of the time for which it is frozen; 1 freezes it throughout.
    """

    def __init__(self, pid: int, duty: float) -> None:
        self._pid = pid
        self._duty = duty
        self._over = threading.Event()
        self._frozen = 0.0
        self._used = 0.0
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="freezer", daemon=True)
        self._thread.start()

    def thaw(self) -> Mapping[str, Any]:
        """Let it go on.

        Returns:
            Seconds in which the kernel said that all of it stood still, of how many, and the
            seconds of the processor that it used while it did.
        """
        self._over.set()
        self._thread.join()
        lasted = time.monotonic() - self._began
        return {
            "frozen": round(self._frozen, 3),
            "of": round(lasted, 3),
            "processor": round(self._used, 3),
        }

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                self._freeze()
                if self._duty < 1:
                    lasted = time.monotonic() - self._began
                    self._over.wait(rest(self._frozen, lasted, self._duty))
        finally:
            self._send(signal.SIGCONT)

    def _freeze(self) -> None:
        """Freeze it once, for its part of a period or to the end."""
        self._send(signal.SIGSTOP)
        group = self._stand_still()
        began, before = time.monotonic(), used(group)
        self._over.wait(None if self._duty == 1 else self._duty * PERIOD)
        if group and states(group) <= STOPPED:
            self._frozen += time.monotonic() - began
            self._used += used(group) - before
        self._send(signal.SIGCONT)

    def _stand_still(self) -> frozenset[int]:
        """Its processes once all of them stand still; empty where they do not."""
        deadline = time.monotonic() + SETTLING
        while time.monotonic() < deadline:
            group = members(self._pid)
            if group and states(group) <= STOPPED:
                return group
            self._send(signal.SIGSTOP)  # to what was not there yet
            time.sleep(LOOK)
        return frozenset()

    def _send(self, number: int) -> None:
        try:
            os.killpg(self._pid, number)  # first, since what stands still makes no more processes
        except ProcessLookupError:  # it has ended: the timeline says so
            self._over.set()
            return
        for pid in members(self._pid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

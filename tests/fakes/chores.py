"""Chores for worker processes: what a task may do to its process."""

from __future__ import annotations

import os
import signal
import threading

from testbed_domain.errors import DomainError


def chore(what: str) -> int:
    """Report the process id, or go wrong in the asked way."""
    if what == "bug":
        return int(1 / 0)
    if what == "refuse":
        raise DomainError("no, for a reason")
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "hang":
        threading.Event().wait()
    if what == "time out":
        raise TimeoutError("nobody answered")
    return os.getpid()

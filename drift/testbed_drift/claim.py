"""One job at a time writes into an output directory."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import TYPE_CHECKING, Final

from testbed_domain.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LOCK_FILE: Final = ".lock"
PAUSE: Final = 0.1  # seconds between two attempts


class ClaimError(DomainError):
    """Another job has the directory. One line that says what to do."""


@contextlib.contextmanager
def claimed(
    directory: Path,
    patience: float = 0.0,
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Hold the directory meanwhile; the kernel lets go of it however the process ends.

    Args:
        directory: made where it is missing.
        patience: seconds to wait for another job that has it.
        clock: monotonic seconds.
        pause: waits so many seconds.

    Raises:
        ClaimError: another job has it, or it can't be written to.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise ClaimError(f"cannot write to {directory}: {error.strerror}") from error
    try:
        deadline = clock() + patience
        while not _locked(handle):
            if clock() >= deadline:
                raise ClaimError(
                    f"the drift job of process {_owner(handle)} writes into {directory}: stop it, "
                    "give this one another output directory, or let it wait "
                    "(TESTBED_DRIFT_LOCK_WAIT)"
                )
            pause(PAUSE)
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _owner(handle: int) -> str:
    return os.pread(handle, 32, 0).decode(errors="replace").strip() or "unknown"

"""One job at a time writes into an output directory."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from testbed_domain.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAUSE: Final = 0.1  # seconds between two attempts
OWNER: Final = 4  # place of the process id in a line of /proc/locks


class ClaimError(DomainError):
    """Another job has the directory. One line that says what to do."""


@contextlib.contextmanager
def claimed(
    directory: Path,
    timeout: float = 0.0,
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Lock the directory itself meanwhile; the kernel lets go of it however the process ends.

    Args:
        directory: made where it is missing.
        timeout: seconds to wait for another job that has it.
        clock: monotonic seconds.
        pause: waits so many seconds.

    Raises:
        ClaimError: another job has it, or it can't be written to.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise ClaimError(f"cannot write to {directory}: {error.strerror}") from error
    try:
        deadline = clock() + timeout
        while not _locked(handle):
            if clock() >= deadline:
                raise ClaimError(
                    f"another drift job{_owner(handle)} writes into {directory}: stop it, give "
                    "this one another output directory, or let it wait (TESTBED_DRIFT_LOCK_WAIT)"
                )
            pause(PAUSE)
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
    """Who has it, where the kernel says: not of a process in another container."""
    inode = str(os.fstat(handle).st_ino)
    with contextlib.suppress(OSError):
        for line in Path("/proc/locks").read_text(encoding="utf-8").splitlines():
            words = line.split()
            if len(words) > OWNER and words[1] == "FLOCK" and words[5].endswith(f":{inode}"):
                return f" (process {words[OWNER]})" if words[OWNER] != "0" else ""
    return ""

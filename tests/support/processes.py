"""Processes that a test starts, and that are gone when it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

from tests.support.polling import PATIENCE, answers, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


@contextlib.contextmanager
def running(
    argv: Sequence[str | os.PathLike[str]],
    log: Path,
    ready: str | Callable[[], bool] | None = None,
    *,
    seconds: float = 30.0,
    kill: bool = False,
    **options: Any,  # noqa: ANN401 - those of Popen
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program whose output goes into a file; ready within the block, gone after it.

    Args:
        argv: its command line.
        log: the file.
        ready: URL that it answers, or a condition.
        seconds: for how long to wait for that at most.
        kill: end it with SIGKILL at once, with all of its group where it leads one.
        options: further ones of ``subprocess.Popen``.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **options
        )
    try:
        if ready is not None:
            condition = (lambda: answers(ready)) if isinstance(ready, str) else ready
            wait_for(condition, seconds, lambda: f"{ready} {_end(log)}", process)
        yield process
    finally:
        end(process, kill=kill, group=bool(options.get("start_new_session")))


def end(
    process: subprocess.Popen[bytes] | subprocess.Popen[str],
    *,
    kill: bool = False,
    group: bool = False,
) -> None:
    """End a process, by force where it does not go, and close its pipes."""
    if process.poll() is None and not kill:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
    if group:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.communicate()


def _end(log: Path) -> str:
    return log.read_text(errors="replace")[-4000:]

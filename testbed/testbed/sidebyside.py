"""Runs of the testbed side by side, each in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

ENDING: Final = 60.0
"""Seconds that a run gets to stop its stack when its time is over."""


@dataclass(frozen=True, slots=True)
class Command:
    """One run.

    Attributes:
        name: what it is called.
        argv: program and arguments.
        log: file for both of its outputs.
        environment: variables that this process has not set.
    """

    name: str
    argv: tuple[str, ...]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: its exit code, and seconds from start to end."""

    command: Command
    code: int
    seconds: float


def run_side_by_side(
    commands: Sequence[Command],
    jobs: int,
    ended: Callable[[Ended], None],
    limit: float | None = None,
) -> None:
    """Run commands, several at a time, in their order.

    An exception, an interrupt among them, ends the runs that are under way: each gets SIGINT, stops
    its stack, and is waited for.

    Args:
        commands: what to run.
        jobs: runs at a time.
        ended: called with each as it ends, in the caller's thread.
        limit: seconds that one may take; None sets none.
    """
    running = _Running()
    with ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(_run, command, running, limit) for command in commands}
        try:
            while waiting:
                # Waits in turns, so that a signal is handled in between.
                done, waiting = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
                for one in done:
                    ended(one.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            running.interrupt()
            raise


class _Running:
    """The processes that run, which can be interrupted together, those that start now included."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._over = False

    def start(self, command: Command, output: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start one."""
        with self._lock:
            # A session of its own: the terminal's Ctrl-C reaches it once, through this process.
            process = subprocess.Popen(
                command.argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**command.environment, **os.environ},
                start_new_session=True,
            )
            self._processes.append(process)
            if self._over:
                process.send_signal(signal.SIGINT)
        return process

    def interrupt(self) -> None:
        """Interrupt all; one that has ended gets nothing."""
        with self._lock:
            self._over = True
            for process in self._processes:
                process.send_signal(signal.SIGINT)


def _run(command: Command, running: _Running, limit: float | None) -> Ended:
    began = time.monotonic()
    with command.log.open("wb") as output, running.start(command, output) as process:
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            code = process.wait(ENDING)
    return Ended(command, code, time.monotonic() - began)


def last_line(log: Path) -> str:
    """The last line of a run's output that is not blank; empty where there is none."""
    text = log.read_text(encoding="utf-8", errors="replace")
    return next((line for line in reversed(text.splitlines()) if line.strip()), "")

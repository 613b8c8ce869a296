"""Stacks that run now: each writes ``stack.json`` into its run folder and removes it at the end."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import psutil
from testbed_domain.files import read_regular, write_atomic

from testbed.errors import UsageError
from testbed.layout import RunLayout

ACTIVE_FILE = "stack.json"


@dataclass(frozen=True, slots=True)
class ActiveStack:
    """A running stack.

    Attributes:
        run: id of its run, which is the name of its folder.
        command: ``up`` or ``run``.
        pid: process id of the runner.
        created: start time of that process, so that a reused id is not mistaken for it.
        urls: component to URL.
        components: component to process id.
    """

    run: str
    command: str
    pid: int
    created: float
    urls: dict[str, str]
    components: dict[str, int]

    @classmethod
    def of_this_process(
        cls, run: str, command: str, urls: Mapping[str, str], components: Mapping[str, int]
    ) -> Self:
        """Describe a stack whose runner is this process."""
        pid = os.getpid()
        return cls(
            run, command, pid, psutil.Process(pid).create_time(), dict(urls), dict(components)
        )

    def write(self, layout: RunLayout) -> None:
        """Announce the stack."""
        write_atomic(layout.root / ACTIVE_FILE, json.dumps(asdict(self), indent=2))

    @property
    def alive(self) -> bool:
        """Whether its runner still lives."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < 1.0
            # One that has ended may wait for its parent to take notice.
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    def interrupt(self) -> None:
        """Ask the runner to end, as Ctrl-C does."""
        os.kill(self.pid, signal.SIGINT)


def withdraw(layout: RunLayout) -> None:
    """Say that the stack of this run is gone."""
    (layout.root / ACTIVE_FILE).unlink(missing_ok=True)


def active_stacks(runs: Path) -> Iterator[ActiveStack]:
    """Running stacks, the oldest first; files of dead runners are passed over.

    Raises:
        UsageError: a file can't be read, so nobody knows whether its stack runs.
    """
    for path in sorted(runs.glob(f"*/{ACTIVE_FILE}")):
        try:
            stack = ActiveStack(**json.loads(read_regular(path)))
        except FileNotFoundError:
            continue  # it has just ended
        except (OSError, ValueError, TypeError, RecursionError) as error:
            reason = isinstance(error, OSError) and error.strerror
            raise UsageError(
                f"{path} can't be read ({reason or error}), so it is not known whether that stack "
                "runs: remove the file once it does not"
            ) from error
        if stack.alive:
            yield stack

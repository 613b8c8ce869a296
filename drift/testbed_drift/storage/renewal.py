"""A job that is asked to begin anew: what it knew is put aside, and its process starts once more.

A scenario on a stack that has played one before asks for it, by a file in the job's output: rows,
votes and counts of before are then none of the run's.
"""

from __future__ import annotations

import os
import re
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from testbed_domain.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REQUEST: Final = "begin-anew"
"""File that asks for it; gone once all is put aside."""
ASIDE: Final = "before-"
"""Beginning of the folder in which the earlier files lie, by the Unix time."""
ATTRIBUTES: Final = "OTEL_RESOURCE_ATTRIBUTES"
_INSTANCE: Final = re.compile(r"(service\.instance\.id=[^,~]*)(~\d+)?")
LOOK: Final = 1.0  # seconds between looks for the file while the job waits


def ask(output: Path) -> None:
    """Ask the job that writes into ``output``.

    Raises:
        OSError: it can't be written to.
    """
    write_atomic(output / REQUEST, f"{time.time():.3f}\n")


def requested(output: Path) -> bool:
    """Whether the job was asked, and has not begun anew so far."""
    return (output / REQUEST).exists()


@dataclass(frozen=True, slots=True)
class Renewal:
    """Of the job in a folder that this process has claimed.

    Attributes:
        output: its folder.
        kept: files and folders in it that stay where they are, as Evidently's workspace.
    """

    output: Path
    kept: frozenset[str] = frozenset()

    def interrupting(self, wait: Callable[[float], bool]) -> Callable[[float], bool]:
        """A wait that ends when the job is asked, too."""

        def waited(seconds: float) -> bool:
            left = seconds
            while not requested(self.output):
                if wait(min(left, LOOK)):
                    return True
                left -= LOOK
                if left <= 0.0:
                    return requested(self.output)
            return True

        return waited

    def put_aside(self, now: float) -> None:
        """Move what the job wrote so far into a folder beside it, then take the request away.

        Raises:
            OSError: a file can't be moved.
        """
        aside = self.output / f"{ASIDE}{now:.3f}"
        aside.mkdir()
        for path in sorted(self.output.iterdir()):
            stays = path.name == REQUEST or path.name in self.kept or path.name.startswith(ASIDE)
            if not stays:
                path.rename(aside / path.name)
        (self.output / REQUEST).unlink(missing_ok=True)


def start_again(now: float) -> NoReturn:
    """Replace this process by a new one of the same command, whose counters begin at 0."""
    sys.stdout.flush()
    sys.stderr.flush()
    if attributes := os.environ.get(ATTRIBUTES):
        os.environ[ATTRIBUTES] = renamed(attributes, now)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - its own command


def renamed(attributes: str, now: float) -> str:
    """Resource attributes with another instance: counters of two starts must not share a series."""
    return _INSTANCE.sub(rf"\g<1>~{now:.0f}", attributes)

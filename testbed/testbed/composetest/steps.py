"""Commands, one after the other: each below a supervisor, with a limit, its output in a log."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from testbed.errors import StackError
from testbed.stack.process import ProcessOutcome, ProcessRequest, Supervisor, read_tail

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Seconds between two signs of life of a command that prints nothing here.
HEARTBEAT: Final = 30.0
LOOK: Final = 0.5


def say(text: str) -> None:
    """A line of progress."""
    sys.stdout.write(f"compose-test: {text}\n")
    sys.stdout.flush()


@dataclass(slots=True)
class Steps:
    """Runs commands so that none outlives this process.

    Attributes:
        supervisor: below it they run.
        logs: folder of their logs, one per step.
        folder: working directory.
        env: complete environment.
    """

    supervisor: Supervisor
    logs: Path
    folder: Path
    env: Mapping[str, str]
    count: int = field(default=0, init=False)

    def run(self, what: str, *argv: str, limit: float, show: bool = False) -> None:
        """Run a command to its end.

        Args:
            what: is done, for people.
            argv: the command.
            limit: seconds after which it is stopped.
            show: print its output as it comes.

        Raises:
            StackError: it failed, or took too long; with the end of its log.
        """
        outcome, seconds = self.ended(what, *argv, limit=limit, show=show)
        if outcome is None:
            raise StackError(f"{what}: not done after {limit:.0f} s{_end(self.log(what))}")
        if not outcome.expected:
            raise StackError(f"{what}: {outcome.describe()}{_end(outcome.log)}")
        say(f"{what}: done ({seconds:.0f} s)")

    def ended(
        self, what: str, *argv: str, limit: float, show: bool = False
    ) -> tuple[ProcessOutcome | None, float]:
        """Run a command; how it ended (None: it had to be stopped) and after how many seconds."""
        say(what)
        log = self.log(what)
        log.unlink(missing_ok=True)
        shown = _Shown(log) if show else None
        self.supervisor.start(
            ProcessRequest(what, argv, log, self.env, self.folder, grace=15.0, job=True)
        )
        begun = time.monotonic()
        heard = begun
        outcome = None
        while outcome is None and time.monotonic() - begun < limit:
            outcome = self.supervisor.wait(what, LOOK)
            if shown and shown.more():
                heard = time.monotonic()
            if outcome is None and time.monotonic() - heard >= HEARTBEAT:
                heard = time.monotonic()
                say(f"{what}: {heard - begun:.0f} s")
        if outcome is None:
            self.supervisor.stop(what)
        if shown:
            shown.more(last=True)
        return outcome, time.monotonic() - begun

    def log(self, what: str) -> Path:
        """Where the output of a step goes."""
        name = "".join(letter if letter.isalnum() else "-" for letter in what)
        return self.logs / f"{name}.log"


class _Shown:
    """Prints what is added to a log, but its first line, which the supervisor wrote."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._at = 0

    def more(self, *, last: bool = False) -> bool:
        """Print what came; whether something did. A line waits for its end, but for the last."""
        with self._log.open("rb") as file:
            if not self._at:
                file.readline()
                self._at = file.tell()
            file.seek(self._at)
            text = file.read()
        if not last:
            text = text[: text.rfind(b"\n") + 1]
        self._at += len(text)
        sys.stdout.write(text.decode(errors="replace") + "\n" * (last and text[-1:] not in b"\n"))
        sys.stdout.flush()
        return bool(text)


def _end(log: Path) -> str:
    tail = read_tail(log)
    return f"; the end of {log}:\n{tail}" if tail else ""

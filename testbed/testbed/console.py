"""What a command shows while it works, and how it is interrupted."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import IO, Any, cast

from rich.console import Console
from testbed_domain.direction import written_out

from testbed.errors import StoppedError

PIPED_WIDTH = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 200


class _WrittenOut:
    """A stream in which what turns the direction of writing is written out.

    Args:
        name: ``stdout`` or ``stderr``, as it is now: tests, and Rich's live displays, change it.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def write(self, text: str) -> int:
        """Write a text."""
        written: int = self._stream.write(written_out(text))
        return written

    @property
    def _stream(self) -> Any:  # noqa: ANN401 - a stream, or what stands in for one
        stream = getattr(sys, self._name)
        return getattr(stream, "rich_proxied_file", stream)

    def __getattr__(self, attribute: str) -> Any:  # noqa: ANN401 - whatever the stream has
        return getattr(self._stream, attribute)


def terminal(name: str, width: int | None = None) -> Console:
    """What a command prints on.

    Args:
        name: ``stdout`` or ``stderr``.
        width: in characters; None is that of the terminal.
    """
    # Names of recorded series hold words between colons, which are no emoji.
    return Console(
        file=cast("IO[str]", _WrittenOut(name)), soft_wrap=True, width=width, emoji=False
    )


errors = terminal("stderr")
out = terminal("stdout", PIPED_WIDTH)


def say(text: str) -> None:
    """Progress of long work, on standard error."""
    errors.print(text, markup=False, highlight=False, style="dim")


class BuildProgress:
    """Prints the state of tool builds: a line per change, and a heartbeat in between.

    Args:
        heartbeat: seconds between two lines of the same state.
    """

    def __init__(self, heartbeat: float = 15.0) -> None:
        self._heartbeat = heartbeat
        self._said: tuple[str, str] = ("", "")
        self._next = 0.0

    def __call__(self, tool: str, state: str, elapsed: float) -> None:
        """Show that ``tool`` is in ``state`` since ``elapsed`` seconds."""
        changed = (tool, state) != self._said
        if not changed and elapsed < self._next:
            return
        self._said, self._next = (tool, state), elapsed + self._heartbeat
        say(f"tools: {tool} {state}" + (f" ({elapsed:.0f} s)" if elapsed >= 1 else ""))


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a command as Ctrl-C does: ``finally`` blocks stop the stack.

    SIGINT too where the caller's shell had it ignored, as it does for background jobs; a SIGHUP
    that is ignored, as by nohup, stays so.

    Raises:
        StoppedError: it was ended so.
    """

    def raise_interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    previous = [signal.signal(number, raise_interrupt) for number in numbers]
    try:
        yield
    except KeyboardInterrupt as interrupt:
        raise StoppedError(
            "interrupted; everything that it started has been stopped"
        ) from interrupt
    finally:
        for number, handler in zip(numbers, previous, strict=True):
            signal.signal(number, handler)


# What is piped must not be folded: nobody reads it, programs do.

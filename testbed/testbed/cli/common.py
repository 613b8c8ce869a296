"""What the commands share: consoles, options, progress."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from testbed_domain.features import Task
from testbed_domain.use_cases import ANY, USE_CASES

from testbed.errors import StoppedError

# What is piped must not be folded: nobody reads it, programs do.
PIPED_WIDTH = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 200

out = Console(soft_wrap=True, width=PIPED_WIDTH)
errors = Console(stderr=True, soft_wrap=True)

USE_CASE_HELP = f"{', '.join(USE_CASES)}, or {ANY}: your own table, with --data and --target."
UseCaseOption = Annotated[
    str | None, typer.Option("--use-case", help=f"{USE_CASE_HELP} Default: the scenario's.")
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data", help="A table (CSV, Parquet, JSON …) with the use case's columns and its target."
    ),
]
TargetOption = Annotated[
    str | None,
    typer.Option("--target", help=f"Column to predict, for --use-case {ANY}; schema is inferred."),
]
SepOption = Annotated[
    str | None,
    typer.Option("--sep", help="Character between CSV columns, or tab; default: found out."),
]
DecimalOption = Annotated[
    str | None,
    typer.Option("--decimal", help="Decimal mark of numbers in text; default: found out."),
]
EncodingOption = Annotated[
    str | None, typer.Option("--encoding", help="Of CSV and JSON files; default: found out.")
]
KindsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--as", help="COLUMN=KIND: take it as number, date, boolean or category, as codes are."
    ),
]
TaskOption = Annotated[
    Task | None,
    typer.Option(
        "--task",
        help=f"What is learnt, for --use-case {ANY}; default: a regression where the target holds "
        "more than 20 different numbers.",
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of traffic, drift, labels.")]
ReplicasOption = Annotated[
    int,
    typer.Option("--replicas", min=1, max=64, help="Processes of the API, each with its metrics."),
]


def management_token(home: Path) -> Path:
    """File of the token that changes on the management port of ``testbed serve`` need."""
    return (home / "management-token").resolve()


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

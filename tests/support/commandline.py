"""The command line as a user calls it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from tests.support.polling import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MARK = "MARK_OF_TEST"  # not TESTBED_*: parts get none of these
START_TIMEOUT = "300"  # seconds that a stack may take on a machine with other work
HELD = "The stack runs until Ctrl-C"


@dataclass(frozen=True)
class Result:
    """What a command printed, its exit code and the folder of its run."""

    code: int
    output: str
    out: Path

    @property
    def verdict(self) -> dict[str, Any]:
        """The verdict file."""
        loaded: dict[str, Any] = json.loads((self.out / "verdict.json").read_text())
        return loaded


class CommandLine:
    """Runs ``testbed`` in a folder of its own; every process it leaves is found by its mark."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = Path(sys.executable).parent / "testbed"
        self.mark = f"{os.getpid()}-{time.monotonic_ns()}"
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TESTBED_", "OTEL_"))
        } | {MARK: self.mark, "COLUMNS": "160", "TESTBED_START_TIMEOUT": START_TIMEOUT}

    def command(self, arguments: Sequence[str]) -> list[str]:
        """The full command line."""
        return [str(self.program), *arguments]

    def run(self, *arguments: str, timeout: float = 300) -> Result:
        """Run to the end; what it started must be gone then."""
        done = subprocess.run(
            self.command(arguments),
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
        )
        out = Path(arguments[arguments.index("--out") + 1]) if "--out" in arguments else Path()
        return Result(done.returncode, done.stdout, self.folder / out)

    @contextlib.contextmanager
    def start(self, *arguments: str, background: bool = False) -> Iterator[subprocess.Popen[str]]:
        """Start in the background, output into ``output.txt``; ended at the latest here.

        ``background`` ignores SIGINT from the start, as shells do for what scripts put behind.
        """
        ignore = (lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)) if background else None
        with (self.folder / "output.txt").open("w") as output:
            process = subprocess.Popen(
                self.command(arguments),
                cwd=self.folder,
                env=self.environment,
                text=True,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=ignore,  # noqa: PLW1509 - the tests have no threads here
            )
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(PATIENCE)
                    process.kill()
                process.wait()

    @property
    def output(self) -> str:
        """What a started command printed so far."""
        return (self.folder / "output.txt").read_text()

    def left(self) -> list[str]:
        """Command lines of the processes that carry this mark."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get(MARK) == self.mark:
                    found.append(" ".join(process.cmdline())[:200])
        return found

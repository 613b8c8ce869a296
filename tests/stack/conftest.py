"""Real processes: the compiled tools, and the command line as a user calls it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from testbed.stack import build

MARK = "MARK_OF_TEST"  # not TESTBED_*: parts get none of these


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything below this folder starts real processes."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.stack)


@pytest.fixture(scope="session")
def tools() -> None:
    """The compiled tools; `make test` compiles them."""
    absent = [row.name for row in build.status() if not row.present]
    if absent:
        reason = f"not compiled: {', '.join(absent)}; run: testbed stack install"
        if os.environ.get("CI"):
            pytest.fail(f"required in CI: {reason}")
        pytest.skip(reason)


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until a condition holds, at most so long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds} s: {what}"
        time.sleep(0.05)


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
        self.mark = f"{os.getpid()}-{time.monotonic_ns()}"
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("TESTBED_")
        } | {MARK: self.mark, "COLUMNS": "160"}

    def command(self, arguments: Sequence[str]) -> list[str]:
        """The full command line."""
        return [str(Path(sys.executable).parent / "testbed"), *arguments]

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
                        process.wait(40)
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


@pytest.fixture
def command_line(tmp_path: Path, tools: None) -> Iterator[CommandLine]:  # noqa: ARG001 - needed first
    """The command line in an empty folder; nothing may be left when the test is over."""
    line = CommandLine(tmp_path)
    yield line
    wait_for(lambda: not line.left(), 15, f"processes are left: {line.left()}")
    halves = [path.name for path in tmp_path.rglob(".*.*") if path.is_file()]
    assert not [name for name in halves if "tmp" in name], "a half-written file is left"

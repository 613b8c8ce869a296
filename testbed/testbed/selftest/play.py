"""Plays defects, several at a time, each in a process of its own."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Final

from testbed.errors import EXIT_VERDICT_FAILED
from testbed.layout import RunLayout
from testbed.selftest.catalogue import kind_of
from testbed.selftest.results import Result
from testbed.verdict import read_verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from testbed.selftest.defect import Defect

LIMIT: Final = 420.0
"""Seconds that one run may take."""

ENDING: Final = 60.0
"""Seconds that a run gets to stop its stack when it is interrupted."""


def play_all(
    defects: Sequence[Defect], folder: Path, jobs: int, tell: Callable[[Result], None]
) -> tuple[Result, ...]:
    """Play defects and say what came of each.

    Args:
        defects: in this order.
        folder: gets a folder for each run, and its output as ``NAME.log``.
        jobs: runs at a time.
        tell: is told of each as it ends.

    Returns:
        Results in the order of the defects.
    """
    folder.mkdir(parents=True, exist_ok=True)
    running: list[subprocess.Popen[bytes]] = []
    with ThreadPoolExecutor(jobs) as pool:
        ends = {pool.submit(play_one, defect, folder, running): defect for defect in defects}
        try:
            for end in _as_they_end(ends):
                tell(end.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in running:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signal.SIGINT)
            raise
    return tuple(end.result() for end in ends)


def _as_they_end(ends: dict[Future[Result], Defect]) -> Iterator[Future[Result]]:
    open_ones = set(ends)
    while open_ones:
        # Waits in turns, so that a signal is handled in between.
        done, open_ones = wait(open_ones, timeout=0.5, return_when=FIRST_COMPLETED)
        yield from done


def play_one(defect: Defect, folder: Path, running: list[subprocess.Popen[bytes]]) -> Result:
    """Play one defect."""
    run, log = folder / defect.name, folder / f"{defect.name}.log"
    argv = [sys.executable, "-m", "testbed.selftest", defect.name, str(run)]
    began = time.monotonic()
    with (
        log.open("wb") as output,
        # A session of its own: the terminal's Ctrl-C reaches it once, through this process.
        subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        running.append(process)
        try:
            code = process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            code = process.wait(ENDING)
        finally:
            running.remove(process)
    culprit, lead = _read(run, log) if code == EXIT_VERDICT_FAILED else (None, _last_line(log))
    return Result(
        defect=defect.name,
        kind=kind_of(defect),
        exit_code=code,
        culprit=culprit,
        expected=tuple(map(str, defect.culprits)),
        lead=lead,
        seconds=round(time.monotonic() - began, 1),
    )


def _read(run: Path, log: Path) -> tuple[str | None, str]:
    """The link that the verdict names first, and the check that leads."""
    try:
        verdict = read_verdict(RunLayout(run))
    except Exception:  # noqa: BLE001 - a crash of the run ends with 1 as well; its last line says it
        return None, _last_line(log)
    first = verdict.failed[0]
    return verdict.culprit, f"{first.name}: {first.summary}"


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "no output"

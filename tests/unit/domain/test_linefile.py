"""Files that several processes write lines to."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from testbed_domain.linefile import PIECE, LineFile, _pieces

from tests.support.polling import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WRITERS, WRITES, LINES = 4, 20, 500
# Each line names its writer from begin to end, so one that is mixed or torn shows.
WRITER = f"""
import sys
from pathlib import Path
from testbed_domain.linefile import LineFile
name, target = sys.argv[1:]
file = LineFile(1, own=False) if target == "-" else LineFile.append_to(Path(target))
lines = b"".join((name * (200 + 7 * (line % 30))).encode() + b"\\n" for line in range({LINES}))
print("there", file=sys.stderr, flush=True)
sys.stdin.read()
for _ in range({WRITES}):
    file.write(lines)
"""


def _write_at_once(target: str, output: int | None = None) -> list[subprocess.Popen[bytes]]:
    """Start all writers, and let them begin when all are there."""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, name, target],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.PIPE,
        )
        for name in "abcd"[:WRITERS]
    ]
    for writer in writers:
        assert writer.stderr is not None
        assert writer.stderr.readline() == b"there\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.close()
    return writers


def _end(writers: list[subprocess.Popen[bytes]]) -> None:
    for writer in writers:
        assert writer.wait(PATIENCE) == 0
        assert writer.stderr is not None
        writer.stderr.close()


def _check(lines: list[bytes]) -> None:
    assert all(len(set(line)) == 1 for line in lines)
    wanted = {name.encode(): WRITES * LINES for name in "abcd"[:WRITERS]}
    assert Counter(line[:1] for line in lines) == wanted


def test_processes_append_to_one_file(tmp_path: Path) -> None:
    """No line is mixed with another, torn or lost, though each write is many pages long."""
    path = tmp_path / "lines"
    _end(_write_at_once(str(path)))
    _check(path.read_bytes().splitlines())


def test_processes_write_to_one_pipe() -> None:
    """The same through a standard output that they share."""
    reading, writing = os.pipe()
    writers = _write_at_once("-", writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        content = pipe.read()
    _end(writers)
    _check(content.splitlines())


@contextmanager
def _small_files() -> Iterator[None]:
    """No file may grow beyond 10,000 bytes: a write that would ends early, the next one fails.

    For the block only: whatever the test runner itself writes to must not be cut short.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_does_not_fit_leaves_no_half_line(tmp_path: Path) -> None:
    """The lines before it stay, and the next ones that fit are whole."""
    with LineFile.append_to(tmp_path / "lines") as file:
        file.write(b"first\n")
        with _small_files(), pytest.raises(OSError, match="too large"):
            file.write(b"long" * 2_000 + b"\n" + b"longer" * 2_000 + b"\n")
        file.write(b"last\n")
    assert (tmp_path / "lines").read_bytes() == b"first\nlast\n"


def test_pieces_are_whole_lines_as_many_as_fit() -> None:
    """One that is longer than a piece stands alone."""
    short, long = b"x" * (PIECE // 2 - 1) + b"\n", b"y" * (2 * PIECE) + b"\n"
    data = short * 3 + long + short + b"no end"
    pieces = list(_pieces(data))
    assert pieces == [short * 2, short, long, short + b"no end"]
    assert list(_pieces(b"")) == []

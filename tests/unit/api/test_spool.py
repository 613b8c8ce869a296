"""The spool: rows on disk, whole or not at all, and never owned by two processes."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING

import pytest
from testbed_api.log.spool import SUFFIX, Spool, SpoolError, decode_row, encode_row
from testbed_domain.logstore import PredictionRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LIMIT = 1_000_000


def _row(number: int) -> PredictionRow:
    return PredictionRow(
        id=f"id-{number}",
        time=1000.5,
        request_id=None,
        instance="one",
        model_name="model",
        model_version="v1",
        features={"a": number, "b": None, "näme": "x\ny"},
        prediction="1",
        probability=0.1,
        probabilities={"0": 0.9, "1": 0.1},
    )


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """A spool whose folder does not exist yet."""
    made = Spool(tmp_path / "spool", LIMIT)
    yield made
    made.close()


def _ids(spool: Spool) -> list[str]:
    return [row.id for segment in spool.take() for group in segment.read(2) for row in group]


def test_rows_come_back_as_they_were(spool: Spool) -> None:
    """All fields survive, in the order in which they came, in groups of the wanted size."""
    spool.append([_row(1), _row(2)])
    spool.append([_row(3)])
    assert spool.rows == 3
    (segment,) = spool.take()
    assert list(segment.read(2)) == [[_row(1), _row(2)], [_row(3)]]
    spool.done(segment)
    assert (spool.rows, spool.waits(), spool.take()) == (0, False, [])


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"\0" * 4096,
        b"not a row\n",
        b"%08x %s\n" % (zlib.crc32(b"[]"), b"[]"),
        b"%08x %s\n" % (zlib.crc32(b'{"id":1}'), b'{"id":1}'),
        b"%08x %s\n" % (zlib.crc32(b"[" * 100_000), b"[" * 100_000),
    ],
)
def test_damaged_lines_are_set_aside_as_they_were(
    spool: Spool, tmp_path: Path, line: bytes
) -> None:
    """Whatever a line holds, and whether its checksum fits: the others stand, none is lost."""
    spool.append([_row(1)])
    (path,) = (tmp_path / "spool").glob(f"*{SUFFIX}")
    with path.open("ab") as file:
        file.write(line)
    (segment,) = spool.take()
    assert [row.id for group in segment.read(9) for row in group] == ["id-1"]
    assert segment.set_aside() == segment.set_aside() == bool(line)
    spool.done(segment)
    asides = list((tmp_path / "spool").iterdir())
    assert [file.read_bytes().rstrip(b"\n") for file in asides] == [line.rstrip(b"\n")] * bool(line)
    assert spool.damaged_lines() == bool(line)
    spool.close()
    assert list((tmp_path / "spool").iterdir()) == asides


@pytest.mark.parametrize("cut", [1, 5, 50])
def test_line_that_is_cut_off_or_damaged_is_left_out(
    spool: Spool, tmp_path: Path, cut: int
) -> None:
    """A crash in the middle of a write costs that row alone, and is noticed."""
    spool.append([_row(1)])
    spool.append([_row(2)])
    (path,) = (tmp_path / "spool").glob(f"*{SUFFIX}")
    os.truncate(path, path.stat().st_size - cut)
    (segment,) = spool.take()
    assert [row.id for group in segment.read(9) for row in group] == ["id-1"]
    assert segment.damaged() == 1
    line = bytearray(encode_row(_row(1)))
    assert decode_row(bytes(line)) == _row(1)
    line[20] ^= 1
    assert decode_row(bytes(line)) is None


def test_line_without_an_end_is_read_in_parts(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of zeros that a crash left: they never are in memory as a whole, and the rest stands."""
    monkeypatch.setattr("testbed_api.log.spool.MAX_LINE", 1_000)
    (tmp_path / "spool").mkdir()
    good = encode_row(_row(1))
    (tmp_path / "spool" / f"x{SUFFIX}").write_bytes(good + b"\0" * 2_500 + b"\n" + good)
    (segment,) = spool.take()
    assert [row.id for group in segment.read(9) for row in group] == ["id-1", "id-1"]
    assert segment.set_aside() == 3
    assert spool.damaged_lines() == 3


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_segment_that_is_no_file_is_a_problem(
    spool: Spool, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    """Nobody waits for its end, which never comes."""
    (tmp_path / "spool").mkdir()
    make(tmp_path / "spool" / f"x{SUFFIX}")
    assert spool.take() == []
    assert "not a regular file" in spool.problems[0]


def test_full_spool_takes_nothing_more(tmp_path: Path) -> None:
    """A group that passes the limit is refused whole, until room is made."""
    spool = Spool(tmp_path, 2 * len(encode_row(_row(1))))
    spool.append([_row(1)])
    with pytest.raises(SpoolError, match="is full"):
        spool.append([_row(2), _row(3)])
    spool.append([_row(4)])
    assert spool.rows == 2
    for segment in spool.take():
        spool.done(segment)
    spool.append([_row(5)])
    assert _ids(spool) == ["id-5"]
    spool.close()


def test_rows_that_the_disk_takes_half_are_taken_back(tmp_path: Path) -> None:
    """A limit on the size of files stands for a disk that fills up in the middle of a row."""
    spool = Spool(tmp_path, LIMIT)
    spool.append([_row(1)])
    room = len(encode_row(_row(1)))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room + room // 2, before[1]))
    try:
        with pytest.raises(SpoolError, match="File too large"):
            spool.append([_row(2)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    spool.append([_row(3)])
    (segment,) = spool.take()
    assert segment.damaged() == 0
    assert [row.id for group in segment.read(9) for row in group] == ["id-1", "id-3"]
    spool.close()


def test_outage_makes_few_files(spool: Spool, tmp_path: Path) -> None:
    """However often someone looks, rows that wait gather in two segments at most."""
    for number in range(20):
        spool.append([_row(number)])
        spool.take()
    assert len(list((tmp_path / "spool").iterdir())) == 2
    assert spool.rows == 20


def test_closed_spool_is_adopted_and_a_living_one_is_not(spool: Spool, tmp_path: Path) -> None:
    """Rows of a replica that ended go on through another one; those of a living one don't."""
    spool.append([_row(1)])
    other = Spool(tmp_path / "spool", LIMIT)
    assert other.take() == []
    assert other.waits()
    spool.close()
    assert _ids(other) == ["id-1"]
    assert other.rows == 1
    other.close()


def test_spool_of_a_killed_process_is_adopted(spool: Spool, tmp_path: Path) -> None:
    """After kill -9 the lock is gone and the rows are there."""
    code = (
        "import os, signal, sys, pathlib\n"
        "from testbed_api.log.spool import Spool, decode_row\n"
        "spool = Spool(pathlib.Path(sys.argv[1]), 10**6)\n"
        "spool.append([decode_row(sys.stdin.buffer.read())])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "spool")],
        input=encode_row(_row(7)),
        check=False,
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL
    assert _ids(spool) == ["id-7"]

"""The claim on an output directory, against other processes."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from testbed_drift.storage.claim import ClaimError, claimed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOLDER = """
import sys
from pathlib import Path
from testbed_drift.storage.claim import claimed
with claimed(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the directory."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_second_job_is_refused(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    """The message names the other process, the directory and what to do."""
    with (
        pytest.raises(
            ClaimError, match=rf"process {holder.pid}\) writes into {tmp_path}.*LOCK_WAIT"
        ),
        claimed(tmp_path),
    ):
        pytest.fail("two jobs have it")


def test_killed_job_lets_go(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    """A claim ends with its process, even where that could not tidy up."""
    holder.kill()
    holder.wait()
    with claimed(tmp_path):
        assert list(tmp_path.iterdir()) == []


def test_waiting_job_takes_over(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    """Who may wait begins as soon as the other one ends."""
    pauses = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            holder.kill()
            holder.wait()

    with claimed(tmp_path, 60, pause=pause):
        assert len(pauses) == 3


def test_waiting_ends(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    """After its timeout a job is refused as if it had none."""
    assert holder.poll() is None
    times = iter([0.0, 1.0, 2.0, 3.0])
    pauses: list[float] = []
    with (
        pytest.raises(ClaimError),
        claimed(tmp_path, 2.5, clock=lambda: next(times), pause=pauses.append),
    ):
        pytest.fail("two jobs have it")
    assert len(pauses) == 2


def test_unusable_directory_is_one_line(tmp_path: Path) -> None:
    """A file where the directory should be is named."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ClaimError, match="cannot write to"), claimed(tmp_path / "file"):
        pytest.fail("claimed a file")

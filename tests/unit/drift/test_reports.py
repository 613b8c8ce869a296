"""Report files: names, whole files, one line per run."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from testbed_drift.storage.reports import (
    RETRAINING_STATE_FILE,
    RUNS_FILE,
    STATE_FILE,
    DamagedStateError,
    ReportStore,
)

if TYPE_CHECKING:
    from pathlib import Path

# Dies at the moment when the content is in the temporary file, but not yet under its name.
KILLED = """
import os, signal, sys
from pathlib import Path
from testbed_drift.storage.reports import ReportStore
os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
ReportStore(Path(sys.argv[1])).write_html("a", "b", "new" * 100_000)
"""


def test_files_are_named_after_both_windows(tmp_path: Path) -> None:
    """Both formats share one name, in a directory that is made when it is needed."""
    store = ReportStore(tmp_path / "new" / "reports")
    html = store.write_html("2024-01-31", "2024-02-29", "<html>")
    text = store.write_json("2024-01-31", "2024-02-29", {"a": 1})
    assert html.name == "drift_2024-01-31_vs_2024-02-29.html"
    assert text.name == "drift_2024-01-31_vs_2024-02-29.json"
    assert html.read_text() == "<html>"
    assert json.loads(text.read_text()) == {"a": 1}
    assert sorted(path.name for path in html.parent.iterdir()) == [html.name, text.name]
    assert html.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("before", [None, "old"])
def test_killed_job_leaves_no_half_report(tmp_path: Path, before: str | None) -> None:
    """After SIGKILL in the middle of writing, the name holds the old report or nothing."""
    path = tmp_path / "drift_a_vs_b.html"
    if before:
        path.write_text(before)
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False, timeout=60)
    assert done.returncode == -9
    assert (path.read_text() if path.exists() else None) == before


def test_failed_write_leaves_nothing(tmp_path: Path) -> None:
    """What can't be written leaves no temporary file behind."""
    with pytest.raises(UnicodeEncodeError):
        ReportStore(tmp_path).write_html("a", "b", "\ud800")
    assert list(tmp_path.iterdir()) == []


def test_json_is_strict(tmp_path: Path) -> None:
    """NaN never gets into a file that others parse."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        ReportStore(tmp_path).write_json("a", "b", {"score": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("half", [b"", b'{"number": 3, "ti'])
def test_recovery_completes_what_a_kill_left(tmp_path: Path, half: bytes) -> None:
    """Half files and half a line go; the line of the run whose values were kept is added once."""
    store = ReportStore(tmp_path)
    for number in range(2):
        store.append_run({"number": number})
    store.write_state({"record": {"number": 2}})
    with (tmp_path / RUNS_FILE).open("ab") as file:
        file.write(half)
    mine = tmp_path / ".note.txt"
    for path in (mine, tmp_path / ".drift_a_vs_b.html.x1", tmp_path / ".published.json.x2"):
        path.write_text("<ht")
    for _ in range(2):
        store.recover()
    lines = (tmp_path / RUNS_FILE).read_text().splitlines()
    assert [json.loads(line)["number"] for line in lines] == [0, 1, 2]
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == [mine]


def test_recovery_of_nothing_makes_nothing(tmp_path: Path) -> None:
    """A directory that is new or complete stays as it is."""
    store = ReportStore(tmp_path / "new")
    store.recover()
    assert not (tmp_path / "new").exists()


def test_runs_are_lines(tmp_path: Path) -> None:
    """Every run adds one whole line."""
    store = ReportStore(tmp_path)
    for number in range(3):
        store.append_run({"number": number})
    lines = (tmp_path / RUNS_FILE).read_text().splitlines()
    assert [json.loads(line)["number"] for line in lines] == [0, 1, 2]


@pytest.mark.parametrize("content", ["", "{", "[]", "\0", "[" * 100_000])
@pytest.mark.parametrize("name", [STATE_FILE, RETRAINING_STATE_FILE])
def test_state_that_is_damaged_ends_the_job(tmp_path: Path, name: str, content: str) -> None:
    """What the job remembers is not replaced by nothing in silence."""
    (tmp_path / name).write_text(content)
    with pytest.raises(DamagedStateError, match=f"{name} can't be read"):
        ReportStore(tmp_path).recover()
    assert (tmp_path / name).read_text() == content

"""The truth files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from testbed_load.errors import LoadError
from testbed_load.truth import RequestRecord, TruthWriter

RECORD = RequestRecord(
    seq=3,
    request_id="run-3",
    phase="normal",
    scheduled_at=1.0,
    sent_at=1.5,
    finished_at=2.0,
    drift=None,
    severity=0.0,
    features={"x": 1, "text": "zwei\nZeilen"},
    label=1,
    status=200,
    error=None,
    prediction_id="p",
    prediction=0,
    probability=0.75,
)

WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from testbed_load.truth import RequestRecord, TruthWriter
writer = TruthWriter(Path(sys.argv[1]))
record = RequestRecord(0, "r", "p", 1.0, 1.0, 1.0, None, 0.0, {"x": "y" * 5000}, 1, 200, None, "i",
                       0, 0.5)
for seq in range(10**9):
    writer.request(replace(record, seq=seq))
    print(seq, flush=True)
"""


def lines(file: Path) -> list[dict[str, Any]]:
    """The JSON lines of a file."""
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def test_a_request_is_one_line_with_every_documented_field(tmp_path: Path) -> None:
    """Readers find the fields of the architecture page, on disk before the writer is closed."""
    writer = TruthWriter(tmp_path / "truth")
    writer.request(RECORD)
    (line,) = lines(tmp_path / "truth" / "requests.jsonl")
    assert line["features"] == {"x": 1, "text": "zwei\nZeilen"}
    assert set(line) == {
        "seq", "request_id", "phase", "sent_at", "finished_at", "scheduled_at", "drift", "severity",
        "features", "label", "status", "error", "prediction_id", "prediction", "probability",
            "trace_id", "sampled", "free_at",
    }  # fmt: skip
    writer.ended(0.0, missed=0)


def test_the_end_counts_what_was_written(tmp_path: Path) -> None:
    """Start and end carry their times, the end the sums of lines and labels."""
    writer = TruthWriter(tmp_path)
    writer.started(10.0)
    writer.request(RECORD)
    writer.labels(11.0, 200, range(30))
    writer.labels(12.0, None, [40, 41])
    writer.ended(20.0, missed=2)
    assert json.loads((tmp_path / "start.json").read_text()) == {"time": 10.0}
    end = {"time": 20.0, "requests": 1, "labels": 32, "missed": 2}
    assert json.loads((tmp_path / "end.json").read_text()) == end
    assert lines(tmp_path / "labels.jsonl")[1] == {
        "sent_at": 12.0,
        "status": None,
        "seqs": [40, 41],
    }
    names = {file.name for file in tmp_path.iterdir()}
    assert names == {"start.json", "end.json", "requests.jsonl", "labels.jsonl"}


def test_the_truth_of_another_run_is_never_mixed_with(tmp_path: Path) -> None:
    """A directory serves once."""
    TruthWriter(tmp_path).ended(0.0, missed=0)
    with pytest.raises(LoadError, match="holds the truth of another run"):
        TruthWriter(tmp_path)


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """One line, not a traceback."""
    (tmp_path / "file").write_text("")
    with pytest.raises(LoadError, match="cannot write the truth"):
        TruthWriter(tmp_path / "file" / "truth")


def test_a_killed_writer_leaves_whole_lines(tmp_path: Path) -> None:
    """SIGKILL in the middle of writing loses none of the requests that were kept."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        kept = [int(process.stdout.readline()) for _ in range(300)]
        process.kill()
    content = (tmp_path / "requests.jsonl").read_bytes()
    whole = content[: content.rindex(b"\n") + 1].splitlines()
    assert [json.loads(line)["seq"] for line in whole] == list(range(len(whole)))
    assert len(whole) >= len(kept)
    assert not (tmp_path / "end.json").exists()

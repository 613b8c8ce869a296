"""What it costs to score many segments, and to read a window from the log.

Run it with ``pytest tests/bench/test_drift_fanout.py --benchmark-enable``.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any, Final

import pytest
from testbed_domain.logstore import PredictionRow, open_log

CHILDREN: Final = Path(__file__).parent
SEGMENTS: Final = 200
ROWS: Final = 1_000
MAX_SECONDS: Final = 20.0
LOGGED: Final = (50_000, 200_000)
# The second window has four times the rows, and memory that doesn't grow with them beside.
MAX_GROWTH: Final = 1.5
MAX_BYTES_A_ROW: Final = 600
CAP: Final = 5_000


def _child(name: str, *arguments: object) -> dict[str, Any]:
    command = [sys.executable, str(CHILDREN / name), *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _skip_unless_enabled(benchmark: Any) -> None:  # noqa: ANN401 - half of its interface has no types
    if benchmark.disabled:
        pytest.skip("benchmarks are off; turn them on with --benchmark-enable")


def _report(benchmark: Any, report: dict[str, Any]) -> None:  # noqa: ANN401 - as above
    benchmark.extra_info |= report
    print(json.dumps(report))  # noqa: T201 - what the run is for


@pytest.mark.parametrize("workers", [1, 2])
def test_two_hundred_segments(benchmark: Any, workers: int) -> None:  # noqa: ANN401 - as above
    """200 segments of 1,000 rows and eight columns: 20 s, the start of the processes included."""
    _skip_unless_enabled(benchmark)
    arguments = ("segments_child.py", SEGMENTS, ROWS, workers, 3)
    found = benchmark.pedantic(_child, args=arguments, rounds=1)
    _report(benchmark, {"workers": workers, **found})
    assert found["scored"] == SEGMENTS
    assert max(found["wall_seconds"]) <= MAX_SECONDS


def test_reading_grows_with_the_rows(benchmark: Any, tmp_path: Path) -> None:  # noqa: ANN401 - as above
    """Time and memory of a window are linear in its rows; a sample of it takes neither."""
    _skip_unless_enabled(benchmark)
    url = f"sqlite:///{tmp_path / 'log.db'}"
    _fill(url, LOGGED[-1])
    few, many = (_child("reading_child.py", url, rows, 0) for rows in LOGGED)
    sample = benchmark.pedantic(_child, args=("reading_child.py", url, LOGGED[-1], CAP), rounds=1)
    added = (many["peak_megabytes"] - few["peak_megabytes"]) * 1e6 / (LOGGED[1] - LOGGED[0])
    report = {"rows": LOGGED, "few": few, "many": many, "sample": sample, "bytes_a_row": added}
    _report(benchmark, report)
    assert many["seconds"] / LOGGED[1] <= MAX_GROWTH * few["seconds"] / LOGGED[0]
    assert added <= MAX_BYTES_A_ROW
    assert sample["seconds"] <= many["seconds"] / 2
    assert sample["peak_megabytes"] <= few["peak_megabytes"]
    assert sample["rows"] == pytest.approx(CAP, rel=0.1)


def _fill(url: str, rows: int, group: int = 10_000) -> None:
    rng = random.Random(1)  # noqa: S311 - rows of a benchmark
    with open_log(url) as log:
        for first in range(0, rows, group):
            log.append([_row(rng, place) for place in range(first, first + group)])


def _row(rng: random.Random, place: int) -> PredictionRow:
    features: Any = {f"x{column}": rng.gauss(0, 1) for column in range(8)}
    key = str(uuid.UUID(int=rng.getrandbits(128), version=4))
    parts = {"0": 0.2, "1": 0.8}
    return PredictionRow(key, float(place), None, "i", "m", "v1", features, "1", 0.8, parts)

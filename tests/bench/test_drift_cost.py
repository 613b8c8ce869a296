"""What it costs to evaluate a window of eight numeric columns, beside Evidently's preset and scipy.

Run it with ``pytest tests/bench/test_drift_cost.py --benchmark-enable``. The reference has as many
rows as the window, which is the dearest case. Every engine is a process of its own, since memory is
measured too; its imports and the making of the data are not timed.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

CHILD: Final = Path(__file__).with_name("scoring_child.py")
ROUNDS: Final = 5
MAX_SECONDS: Final = {100_000: 0.5, 1_000_000: 3.0}
MAX_MEGABYTES: Final = 700
MIN_SPEED_UP: Final = 10.0
GROWTH: Final = (10_000, 100_000, 1_000_000, 5_000_000)
# Sorting grows a little faster than its rows; and caches end somewhere.
MAX_GROWTH: Final = 2.5
CAP: Final = 50_000
REFERENCE: Final = 5_000
MAX_ABOVE_CAP: Final = 1.5


def _measure(
    engine: str, rows: int, *, reference: int | None = None, cap: int = 0, rounds: int = ROUNDS
) -> dict[str, Any]:
    numbers = map(str, (rows, reference or rows, cap, rounds))
    command = [sys.executable, str(CHILD), engine, *numbers]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    found: dict[str, Any] = json.loads(done.stdout)
    return found | {"median": statistics.median(found["seconds"])}


def _skip_unless_enabled(benchmark: Any) -> None:  # noqa: ANN401 - half of its interface has no types
    if benchmark.disabled:
        pytest.skip("benchmarks are off; turn them on with --benchmark-enable")


def _report(benchmark: Any, report: dict[str, Any]) -> None:  # noqa: ANN401 - as above
    benchmark.extra_info |= report
    print(json.dumps(report))  # noqa: T201 - what the run is for


@pytest.mark.parametrize("rows", MAX_SECONDS)
def test_seconds_and_memory(benchmark: Any, rows: int) -> None:  # noqa: ANN401 - as above
    """100,000 rows in half a second, 1,000,000 in three with at most 700 MB."""
    _skip_unless_enabled(benchmark)
    found = benchmark.pedantic(_measure, args=("kept", rows), rounds=1)
    floor = _measure("floor", rows, rounds=3)
    _report(benchmark, {"rows": rows, "kept": found, "floor": floor})
    assert found["median"] <= MAX_SECONDS[rows]
    assert found["peak_megabytes"] <= MAX_MEGABYTES


def test_many_times_faster_than_the_preset(benchmark: Any) -> None:  # noqa: ANN401 - as above
    """At 100,000 rows at least ten times as fast as ``DataDriftPreset``, in alternating rounds."""
    _skip_unless_enabled(benchmark)
    rows, pairs = 100_000, []

    def play() -> None:
        preset = _measure("preset", rows, rounds=1)["median"]
        pairs.append((preset, _measure("kept", rows)["median"]))

    benchmark.pedantic(play, rounds=3, iterations=1)
    ratios = sorted(round(preset / kept, 1) for preset, kept in pairs)
    _report(benchmark, {"preset_and_kept_seconds": pairs, "ratios": ratios})
    assert statistics.median(ratios) >= MIN_SPEED_UP


@pytest.mark.parametrize("engine", ["kept", "assess"])
def test_growth_is_linear(benchmark: Any, engine: str) -> None:  # noqa: ANN401 - as above
    """From 10,000 to 5,000,000 rows: a row costs at most 2.5 times as much."""
    _skip_unless_enabled(benchmark)
    seconds: dict[int, float] = {}

    def play() -> None:
        for rows in GROWTH:
            seconds[rows] = _measure(engine, rows, reference=_reference(engine, rows), rounds=3)[
                "median"
            ]

    benchmark.pedantic(play, rounds=1)
    per_million = {rows: round(taken / rows * 1e6, 3) for rows, taken in seconds.items()}
    report = {"engine": engine, "seconds": seconds, "seconds_per_million_rows": per_million}
    _report(benchmark, report)
    assert per_million[GROWTH[-1]] <= MAX_GROWTH * per_million[100_000]


def _reference(engine: str, rows: int) -> int:
    """Rows of the reference: the dearest case of scores; what the others have of a training."""
    return rows if engine == "kept" else REFERENCE


def test_performance_and_quality_cost_less_than_three_seconds(benchmark: Any) -> None:  # noqa: ANN401 - as above
    """A million rows, half of them labelled, against 5,000 of the reference."""
    _skip_unless_enabled(benchmark)
    found = benchmark.pedantic(
        _measure, args=("assess", 1_000_000), kwargs={"reference": REFERENCE}, rounds=1
    )
    _report(benchmark, found)
    assert found["median"] <= MAX_SECONDS[1_000_000]
    assert found["peak_megabytes"] <= MAX_MEGABYTES


def test_flat_above_the_cap(benchmark: Any) -> None:  # noqa: ANN401 - as above
    """With a cap of 50,000 rows, 5,000,000 take at most 1.5 times as long as 100,000."""
    _skip_unless_enabled(benchmark)
    seconds: dict[int, float] = {}

    def play() -> None:
        for rows in (100_000, 1_000_000, 5_000_000):
            seconds[rows] = _measure("kept", rows, reference=CAP, cap=CAP)["median"]

    benchmark.pedantic(play, rounds=1)
    _report(benchmark, {"cap": CAP, "seconds": seconds})
    assert seconds[5_000_000] <= MAX_ABOVE_CAP * seconds[100_000]

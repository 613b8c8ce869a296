"""What is kept of runs, and for how long."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from testbed_drift.evaluation.results import RunResult
from testbed_drift.storage.archive import Archive
from testbed_drift.storage.reports import RETRAINING_FILE, RUNS_FILE, STATE_FILE, ReportStore
from testbed_drift.storage.retention import DAY, Retention

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW = 1_000_000.0


@pytest.mark.parametrize(
    ("retention", "left"),
    [
        (Retention(), ["a", "b", "c", "d"]),
        (Retention(count=2), ["c", "d"]),
        (Retention(count=9), ["a", "b", "c", "d"]),
        (Retention(days=2.5), ["c", "d"]),
        (Retention(days=0.1), ["d"]),
        (Retention(count=1, days=99), ["d"]),
        (Retention(count=3, days=1.5), ["d"]),
    ],
)
def test_newest_of_count_and_age_are_kept(retention: Retention, left: list[str]) -> None:
    """Both limits hold, alike for files and for lines, and neither takes the newest."""
    ages = {"a": 4 * DAY, "b": 3 * DAY, "c": 2 * DAY, "d": DAY}
    items = [(NOW - age, name) for name, age in ages.items()]
    assert sorted(set(ages) - set(retention.surplus(items, NOW))) == left
    times = [time for time, _ in items]
    assert list(ages)[retention.leading(lambda place: times[place], 4, NOW) :] == left


def test_nothing_is_kept_of_nothing() -> None:
    """No things, no places."""
    assert Retention(count=1, days=1).surplus([], NOW) == []
    assert Retention(count=1, days=1).leading(lambda _: 0.0, 0, NOW) == 0


@pytest.fixture
def fill(tmp_path: Path) -> Callable[[int], ReportStore]:
    """Writes runs an hour apart, the last one now, with everything that a job leaves."""

    def write(number: int) -> ReportStore:
        store = ReportStore(tmp_path)
        for place in range(number):
            time = NOW - 3600 * (number - 1 - place)
            for path in (
                store.write_json("ref", f"w{place}", {}),
                store.write_html("ref", f"w{place}", ""),
            ):
                os.utime(path, (time, time))
            store.append_run({"number": place, "started": time})
            store.append_retraining({"number": place, "started": time})
        store.write_state({"schema_version": 1})
        (tmp_path / "notes.txt").write_text("mine")
        return store

    return write


def _take(tmp_path: Path, store: ReportStore, retention: Retention) -> None:
    Archive(tmp_path, store, retention).take(RunResult("rf-1", "success", NOW, 0.0, "message"))


def test_reports_go_by_windows(fill: Callable[[int], ReportStore], tmp_path: Path) -> None:
    """Page and JSON of a window go together; what is not the job's stays."""
    _take(tmp_path, fill(5), Retention(count=2))
    assert {path.name for path in tmp_path.iterdir()} == {
        *(f"drift_ref_vs_w{place}.{suffix}" for place in (3, 4) for suffix in ("html", "json")),
        *(RUNS_FILE, RETRAINING_FILE, STATE_FILE, "notes.txt"),
    }
    for name in (RUNS_FILE, RETRAINING_FILE):
        lines = (tmp_path / name).read_text().splitlines()
        assert [json.loads(line)["number"] for line in lines] == [3, 4]


def test_age_is_that_of_the_window(fill: Callable[[int], ReportStore], tmp_path: Path) -> None:
    """Reports and lines of the last two hours stay."""
    _take(tmp_path, fill(6), Retention(days=2.5 / 24))
    assert len(list(tmp_path.glob("*.html"))) == 3
    assert len((tmp_path / RUNS_FILE).read_text().splitlines()) == 3


def test_lines_go_many_at_a_time(fill: Callable[[int], ReportStore], tmp_path: Path) -> None:
    """A long file is not written anew for one line more than are kept."""
    store = fill(31)
    before = (tmp_path / RUNS_FILE).stat().st_ino
    _take(tmp_path, store, Retention(count=30))
    assert (tmp_path / RUNS_FILE).stat().st_ino == before
    _take(tmp_path, store, Retention(count=20))
    assert len((tmp_path / RUNS_FILE).read_text().splitlines()) == 20


def test_everything_is_kept_unless_somebody_says_so(
    fill: Callable[[int], ReportStore], tmp_path: Path
) -> None:
    """Without a setting nothing is deleted."""
    _take(tmp_path, fill(5), Retention())
    assert len(list(tmp_path.glob("drift_*"))) == 10


def test_failures_cost_the_run_nothing(
    fill: Callable[[int], ReportStore], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A workspace that fails is logged in one line; that a file can't go is the job's to say."""

    class Broken:
        def add(self, _: RunResult) -> None:
            raise ValueError("two\nlines")

        def snapshots(self) -> list[Path]:
            raise PermissionError(13, "Permission denied")

    archive = Archive(tmp_path, fill(2), Retention(count=1), Broken())
    with pytest.raises(PermissionError):
        archive.take(RunResult("rf-1", "success", NOW, 0.0, "message"))
    assert "cannot add the run" in caplog.text

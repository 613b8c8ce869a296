"""Windows by time and by number on a real log: sliding, tumbling, across processes."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from testbed_domain.logstore import PredictionRow, open_log
from testbed_drift.jobs.windowscheduler import FILE, WindowScheduler, WindowSchedulerError
from testbed_drift.rows.reading import WindowLog
from testbed_drift.rows.windows import NotEnoughRowsError, Window, WindowReader
from testbed_drift.settings import DriftSettings, DriftSettingsError, read_settings

from tests.support.typedpage import DOCS

if TYPE_CHECKING:
    from pathlib import Path

    from testbed_drift.rows.columns import ColumnKind

KINDS: dict[str, ColumnKind] = {"x": "numeric"}
READER = WindowReader("v1", KINDS, min_rows=2, max_rows=100)


@dataclass
class Place:
    """A log, and turns on it."""

    url: str
    output: Path

    def predict(self, *times: float, version: str = "v1") -> None:
        """Log a row per time; the row's value is its time."""
        with open_log(self.url) as log:
            have = log.count()
            log.append(
                [
                    PredictionRow(
                        f"{version}-{have + place:03}", time, None, "i", "m", version,
                        {"x": time}, "1", 0.8, {"1": 0.8, "0": 0.2},
                    )
                    for place, time in enumerate(times)
                ]
            )  # fmt: skip

    def turns(self, **settings: Any) -> WindowScheduler:  # noqa: ANN401 - one of many types per name
        """The scheduler of a new process."""
        given: dict[str, Any] = {
            "log_url": self.url,
            "artefact": self.output,
            "output": self.output,
        }
        return WindowScheduler.of(DriftSettings(**given, min_rows=2, **settings), "v1")

    def take(self, turns: WindowScheduler, now: float) -> list[float]:
        """The values of the turn's window, which is then done with."""
        return self.window(turns, now).frame["x"].tolist()

    def window(self, turns: WindowScheduler, now: float, reader: WindowReader = READER) -> Window:
        """The turn's window, which is then done with, even where it can't be evaluated."""
        try:
            with WindowLog(open_log(self.url, create=False)) as log:
                return turns.next(log, reader, now)
        finally:
            turns.done()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A log with ten rows, one a second from 1 on, and rows of another version."""
    made = Place(f"sqlite:///{tmp_path / 'log.db'}", tmp_path / "drift")
    made.predict(*range(1, 11))
    made.predict(*range(1, 11), version="v2")
    return made


def test_sliding_windows_by_time_are_the_default(place: Place) -> None:
    """The last seconds, however often."""
    turns = place.turns(window=3)
    assert place.take(turns, 8) == [5, 6, 7]
    assert place.take(turns, 9) == [6, 7, 8]
    assert not (place.output / FILE).exists()


def test_sliding_windows_by_number_are_the_newest_rows(place: Place) -> None:
    """The newest rows of the version before now; too few are refused with both numbers."""
    turns = place.turns(window_rows=4)
    assert place.take(turns, 100) == [7, 8, 9, 10]
    assert place.take(turns, 8) == [4, 5, 6, 7]
    with pytest.raises(NotEnoughRowsError, match="3 of 4 rows of model v1"):
        place.take(turns, 4)


def test_tumbling_windows_by_number_hold_each_row_once(place: Place) -> None:
    """They begin with the newest rows and follow each other, over rows of one time as well."""
    turns = place.turns(window_rows=4, window_mode="tumbling")
    assert place.take(turns, 100) == [7, 8, 9, 10]
    assert not turns.behind
    place.predict(11, 12, 13)
    with pytest.raises(NotEnoughRowsError, match="3 of 4 rows of model v1 since the last window"):
        place.take(turns, 100)
    place.predict(13, 13, 13, 14, 15, 16)
    assert place.take(turns, 100) == [11, 12, 13, 13]
    assert turns.behind
    assert place.take(turns, 100) == [13, 13, 14, 15]
    assert not turns.behind
    turns.behind = True
    with pytest.raises(NotEnoughRowsError, match="1 of 4 rows"):
        place.take(turns, 100)
    assert not turns.behind


def test_windows_of_one_second_have_names_of_their_own(place: Place) -> None:
    """Reports of two windows within a second don't overwrite each other."""
    place.predict(*([20.0] * 8))
    turns = place.turns(window_rows=4, window_mode="tumbling")
    turns.position.write(after=[10.0, "v1-009"])
    names = {place.window(turns, 100).name for _ in range(2)}
    assert len(names) == 2


def test_tumbling_windows_by_time_are_evaluated_when_they_are_full(place: Place) -> None:
    """From multiples of the length on; an open window waits, one with few rows is skipped."""
    turns = place.turns(window=4, window_mode="tumbling")
    assert place.take(turns, 9.5) == [4, 5, 6, 7]
    with pytest.raises(NotEnoughRowsError, match="still open"):
        place.take(turns, 11.5)
    assert place.take(turns, 12) == [8, 9, 10]
    place.predict(13, 21, 22)
    with pytest.raises(NotEnoughRowsError, match="1 rows"):
        place.take(turns, 24.5)
    assert turns.behind
    assert place.take(turns, 24.5) == [21, 22], "the empty window between them is no turn"
    assert not turns.behind


def test_another_process_goes_on_where_the_last_one_was(place: Place) -> None:
    """The position is kept when the run is recorded, and not before."""
    first = place.turns(window_rows=4, window_mode="tumbling")
    with WindowLog(open_log(place.url, create=False)) as log:
        killed = first.next(log, READER, 100).frame["x"].tolist()
    again = place.turns(window_rows=4, window_mode="tumbling")
    assert place.take(again, 100) == killed
    place.predict(11, 12, 13, 14)
    last = place.turns(window_rows=4, window_mode="tumbling")
    assert place.take(last, 100) == [11, 12, 13, 14]


def test_positions_of_others_are_none(place: Place) -> None:
    """A position of another version, or a damaged file, starts anew."""
    turns = place.turns(window_rows=4, window_mode="tumbling")
    other = replace(turns.position, model_version="v9")
    other.write(after=[99.0, "z"])
    assert place.take(turns, 100) == [7, 8, 9, 10]
    assert json.loads((place.output / FILE).read_text())["after"] == [10.0, "v1-009"]
    (place.output / FILE).write_text("half a li")
    assert place.turns().position.read() == {}


def test_a_position_that_cannot_be_kept_still_counts_here(place: Place) -> None:
    """A full disk costs the next process a window, and this one nothing."""
    turns = place.turns(window_rows=4, window_mode="tumbling")
    place.output.write_text("a file where the directory should be")
    with pytest.raises(OSError, match="exists"):
        place.take(turns, 100)
    place.predict(11, 12, 13, 14)
    with WindowLog(open_log(place.url, create=False)) as log:
        assert turns.next(log, READER, 100).frame["x"].tolist() == [11, 12, 13, 14]


def test_windows_that_are_never_evaluated_are_refused(place: Place) -> None:
    """Fewer rows than the minimum are an error, in the settings and for a model."""
    with pytest.raises(DriftSettingsError, match="--window-rows 100 is below --min-rows 200"):
        read_settings(log_url="-", artefact=place.output, window_rows=100)
    turns = place.turns(window_rows=4)
    with pytest.raises(WindowSchedulerError, match="4 are too few, 5 needed for the calibration"):
        turns.next(None, WindowReader("v1", KINDS, 5, 9, "for the calibration"), 9)  # type: ignore[arg-type] # it is not asked
    with pytest.raises(WindowSchedulerError, match="can't count"):
        turns.next(object(), READER, 9)  # type: ignore[arg-type] # that is the point


def test_windows_in_steps_hold_the_same_rows_whenever_they_are_read(place: Place) -> None:
    """They end at whole steps, the first ones hold all so far, and a late reader misses none."""
    settings = {"window_rows": 4, "window_every": 2}
    turns = place.turns(**settings)
    with pytest.raises(NotEnoughRowsError, match="0 of 2 rows"):
        place.take(turns, 10.5)  # what was logged before the job is no row of the run
    place.predict(*(11.0 + number for number in range(7)))
    assert place.take(turns, 30.0) == [11.0, 12.0]
    assert turns.behind
    assert place.take(place.turns(**settings), 30.0) == [11.0, 12.0, 13.0, 14.0]
    assert place.take(place.turns(**settings), 99.0) == [13.0, 14.0, 15.0, 16.0]
    with pytest.raises(NotEnoughRowsError, match="7 of 8 rows"):
        place.take(place.turns(**settings), 99.0)


def test_rows_wait_for_their_labels_in_windows_in_steps(place: Place) -> None:
    """A row is evaluated once it is old enough; a full window need not wait for the interval."""
    turns = place.turns(window_rows=2, window_every=2, window_lag=3.0)
    with WindowLog(open_log(place.url)) as log:
        assert not turns.full(log, READER, 10.5)
        place.predict(11.0, 12.0)
        assert not turns.full(log, READER, 14.0)
        assert turns.full(log, READER, 15.5)


def test_windows_that_are_too_small_are_passed_over(place: Place) -> None:
    """The first one that is evaluated has the fewest rows that may be."""
    turns = place.turns(window_rows=4, window_every=1)
    with pytest.raises(NotEnoughRowsError, match="0 of 2 rows"):
        place.take(turns, 10.5)
    place.predict(11.0, 12.0)
    assert place.take(turns, 20.0) == [11.0, 12.0]


def test_steps_need_a_number_of_rows() -> None:
    """Windows of time have no steps in rows."""
    with pytest.raises(DriftSettingsError, match="--window-every needs --window-rows"):
        read_settings(log_url="-", artefact="-", window_every=5)


HOUR = 3600
SHOWN: list[tuple[tuple[str, ...], list[int], list[tuple[int, int]]]] = [
    (("WINDOW",), [HOUR, HOUR + 100], [(2700, 3600), (2800, 3700)]),
    (("WINDOW_ROWS",), [HOUR, HOUR + 100], [(2600, 3600), (2700, 3700)]),
    (("WINDOW_MODE",), [HOUR, HOUR + 900], [(2700, 3600), (3600, 4500)]),
    (
        ("WINDOW_EVERY", "WINDOW_ROWS"),
        [2 * HOUR] * 5,
        [(HOUR, HOUR + 400), (HOUR, HOUR + 800), (HOUR, HOUR + 1200), (3700, 5200), (4100, 5600)],
    ),
]
"""Settings of each row of the page's table, times of runs, and the seconds whose rows they have."""


@pytest.mark.parametrize(("names", "runs", "seconds"), SHOWN)
def test_the_windows_of_the_page(
    names: tuple[str, ...],
    runs: list[int],
    seconds: list[tuple[int, int]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each row of its table is set as it stands there, and holds the rows that it says.

    One row is predicted in each second, and the job starts after an hour.
    """
    text = (DOCS / "how-to/drift-windows.md").read_text(encoding="utf-8")
    table = [dict(re.findall(r"`TESTBED_DRIFT_(\w+)=(\w+)`", line)) for line in text.splitlines()]
    (settings,) = (row for row in table if tuple(row) == names)
    for name, value in settings.items():
        monkeypatch.setenv(f"TESTBED_DRIFT_{name}", value)
    place = Place(f"sqlite:///{tmp_path / 'log.db'}", tmp_path / "drift")
    turns, reader = place.turns(), WindowReader("v1", KINDS, min_rows=2, max_rows=5000)
    place.predict(*range(HOUR))
    if "WINDOW_EVERY" in names:
        with pytest.raises(NotEnoughRowsError):
            place.window(turns, HOUR, reader)
    place.predict(*range(HOUR, 2 * HOUR))
    found = [place.window(turns, now, reader).frame["x"].tolist() for now in runs]
    assert found == [list(range(*each)) for each in seconds]


def test_every_row_of_the_page_is_played() -> None:
    """A row that is added to its table is found here, too."""
    text = (DOCS / "how-to/drift-windows.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `TESTBED_DRIFT_.*$", text, re.MULTILINE)
    shown = [tuple(re.findall(r"`TESTBED_DRIFT_(\w+)=", row)) for row in rows]
    assert shown == [names for names, _, _ in SHOWN]

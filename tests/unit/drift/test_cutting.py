"""Windows by count and by time."""

from __future__ import annotations

import numpy as np
import pytest
from testbed_drift.durations import seconds_of
from testbed_drift.rows.cutting import (
    ByCount,
    ByTime,
    CuttingError,
    Whole,
    WindowOptions,
)

DAY = 86_400.0


@pytest.mark.parametrize(
    ("cutting", "places", "left"),
    [
        (ByCount(4, 4), [(0, 4), (4, 8)], 2),
        (ByCount(4, 2), [(0, 4), (2, 6), (4, 8), (6, 10)], 0),
        (ByCount(3, 5), [(0, 3), (5, 8)], 2),
        (ByCount(11, 1), [], 10),
    ],
)
def test_windows_of_rows(cutting: ByCount, places: list[tuple[int, int]], left: int) -> None:
    """Whole windows only, tumbling, sliding or with gaps; what is left over is known."""
    cuts = list(cutting.cuts(10))
    assert [(cut.start, cut.end) for cut in cuts] == places
    assert cutting.left_over(10) == left
    assert len({cut.name for cut in cuts}) == len(cuts)


def test_windows_of_time_begin_at_round_times() -> None:
    """Days begin at midnight UTC; a day without rows is a window without rows."""
    times = np.array([0.5, 0.6, 2.0, 2.9]) * DAY
    cuts = list(ByTime(DAY, DAY).cuts(4, times))
    assert [(cut.start, cut.end) for cut in cuts] == [(0, 2), (2, 2), (2, 4)]
    assert [cut.span.start if cut.span else None for cut in cuts] == [0, DAY, 2 * DAY]
    assert cuts[0].name == "19700101T000000Z-19700102T000000Z"


def test_sliding_windows_of_time_overlap() -> None:
    """Two days, every day: a row is in two windows; an end is exclusive."""
    times = np.array([0.0, 1.0, 1.5]) * DAY
    cuts = list(ByTime(2 * DAY, DAY).cuts(3, times))
    assert [(cut.start, cut.end) for cut in cuts] == [(0, 3), (1, 3)]


def test_rows_without_windows_are_one() -> None:
    """All of them, even none."""
    assert [(cut.start, cut.end) for cut in Whole().cuts(7)] == [(0, 7)]
    assert list(ByTime(DAY, DAY).cuts(0, np.array([]))) == []


@pytest.mark.parametrize(
    ("options", "cutting"),
    [
        (WindowOptions(), Whole()),
        (WindowOptions(rows=1000), ByCount(1000, 1000)),
        (WindowOptions(rows=1000, every="500"), ByCount(1000, 500)),
        (WindowOptions(window="1d"), ByTime(DAY, DAY)),
        (WindowOptions(window="1d", every="6h"), ByTime(DAY, DAY / 4)),
    ],
)
def test_options(options: WindowOptions, cutting: object) -> None:
    """Windows touch unless it is said otherwise."""
    assert options.cutting() == cutting


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (WindowOptions(rows=10, window="1d"), "not both"),
        (WindowOptions(every="1d"), "--every needs"),
        (WindowOptions(rows=10, every="1d"), "number of rows, not 1d"),
        (WindowOptions(rows=10, every="0"), "number of rows, not 0"),
        (WindowOptions(window="soon"), "'soon' is not a valid duration"),
        (WindowOptions(window="1d", every="0"), "'0' is not the length of a window"),
    ],
)
def test_options_that_cut_nothing(options: WindowOptions, message: str) -> None:
    """The line names the option."""
    with pytest.raises(CuttingError, match=message):
        options.cutting()


def test_too_many_windows_are_a_mistake() -> None:
    """Windows of a second over years would never end; times are needed for windows of time."""
    with pytest.raises(CuttingError, match="at most 100000"):
        list(ByTime(1, 1).cuts(2, np.array([0.0, 1e8])))
    with pytest.raises(CuttingError, match="--time-column"):
        list(ByTime(1, 1).cuts(2))


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("1.5s", 1.5), ("15m", 900), ("2 w", 1_209_600)]
)
def test_durations(text: str, seconds: float) -> None:
    """A number alone is seconds."""
    assert seconds_of(text) == seconds

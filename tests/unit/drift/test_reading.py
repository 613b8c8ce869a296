"""The log as the job reads it: whole windows, and samples above the cap."""

from __future__ import annotations

import random
import uuid
from typing import TYPE_CHECKING

import pytest
from testbed_domain.logstore import PredictionRow, Selection, open_log
from testbed_drift.rows.reading import WindowLog

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A log with 3,000 rows, one a second."""
    rng = random.Random(1)  # noqa: S311 - ids of a test
    found = f"sqlite:///{tmp_path / 'log.db'}"
    with open_log(found) as log:
        log.append(
            [
                PredictionRow(
                    str(uuid.UUID(int=rng.getrandbits(128), version=4)), float(place), None, "i",
                    "m", "v1", {"x": place + 0.5}, "1", 0.8, {"1": 0.8, "0": 0.2},
                )
                for place in range(3000)
            ]
        )  # fmt: skip
    return found


def test_windows_below_the_cap_are_read_whole(url: str) -> None:
    """As many rows as the cap are all read, oldest first."""
    with WindowLog(open_log(url), cap=500) as log:
        assert list(log.window("v1", 0, 500, 5000).time) == list(range(500))
        assert list(log.window("v1", None, None, 500).time) == list(range(2500, 3000))


@pytest.mark.parametrize(("limit", "oldest"), [(2000, 1000), (5000, 0)])
def test_windows_above_the_cap_are_drawn_from(url: str, limit: int, oldest: int) -> None:
    """About the cap of the newest rows is read, spread over all of the window, always the same."""
    with WindowLog(open_log(url), cap=500) as log:
        found = log.window("v1", None, None, limit)
        assert 420 <= len(found) <= 580
        assert oldest <= found.time[0] < oldest + 50
        assert found.time[-1] > 2950
        assert list(log.window("v1", None, None, limit).time) == list(found.time)
        assert log.size(Selection("v1", limit=limit)) == 3000 - oldest
        assert list(found.features["x"]) == [time + 0.5 for time in found.time]

"""Windows of the log, one after the other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from testbed_drift.cutting import ByCount, ByTime
from testbed_drift.replay import NoPublisher, NoReports, Replay, part, walk_log
from testbed_drift.settings import DriftSettings
from testbed_drift.spans import Span
from testbed_drift.windows import NotEnoughRowsError, WindowReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testbed_domain.logstore import Columns

KINDS: Any = {"size": "numeric", "colour": "category"}


@pytest.fixture
def job(tmp_path: Path, log: Any, clock: Any) -> Replay:  # noqa: ANN401 - fakes of conftest
    """A job with the real detector on a log of 300 rows, a second apart."""
    from testbed_drift.detection import Detector  # noqa: PLC0415 - only here

    settings = DriftSettings(log_url="-", artefact=tmp_path, html="never", confirm=2, confirm_of=2)
    reader = WindowReader("rf-1", KINDS, 90, 5000)
    return Replay(settings, reader, log, Detector(KINDS), NoReports(), NoPublisher(), clock)


def test_every_window_of_the_log_is_judged(
    job: Replay,
    log: Any,  # noqa: ANN401 - a fake of conftest
    columns_of: Callable[..., Columns],
) -> None:
    """In order, with the memory of those before; all rows of the model are asked for."""
    quiet, moved = columns_of(300), columns_of(300, first=300, seed=3, shift=2)
    both = {
        name: getattr(quiet, name) + getattr(moved, name)
        for name in (
            "prediction",
            "probability",
            "label",
            "id",
            "time",
            "probabilities",
            "label_time",
        )
    }
    features = {name: quiet.features[name] + moved.features[name] for name in KINDS}
    log.current = replace(quiet, features=features, **both)
    results = list(walk_log(job, ByCount(100, 100)))
    found = [result.finding for result in results]
    assert [str(one.decision.action) for one in found if one] == [
        "NO_ACTION",
        "NO_ACTION",
        "NO_ACTION",
        "NO_ACTION",
        "RETRAIN",
        "RETRAIN",
    ]
    assert next(one.current.name for one in found if one) == "rows-1-100"
    assert log.asked[-1] == ("rf-1", None, None, None)
    assert all(one and one.json is None for one in found)


def test_windows_of_time_lie_in_the_asked_span(job: Replay, log: Any) -> None:  # noqa: ANN401 - a fake of conftest
    """The current window says which part of the log is cut; a short end is too few rows."""
    job.settings = job.settings.model_copy(update={"current_window": Span.between(0, 290)})
    results = list(walk_log(job, ByTime(100, 100)))
    assert log.asked[-1] == ("rf-1", 0, 290, None)
    spans = [one.finding.current.start for one in results if one.finding]
    assert spans == [0, 100, 200]
    job.reader = WindowReader("rf-1", KINDS, 150, 5000)
    needed = {result.rows_needed for result in walk_log(job, ByTime(100, 100))}
    assert needed == {150}


def test_an_empty_log_has_no_windows(
    job: Replay,
    log: Any,  # noqa: ANN401 - a fake of conftest
    columns_of: Callable[..., Columns],
) -> None:
    """It is told, like any window with too few rows."""
    log.current = columns_of(0)
    with pytest.raises(NotEnoughRowsError, match="0 rows in the log"):
        list(walk_log(job, ByCount(100, 100)))


def test_a_part_has_the_same_rows_in_every_column(columns_of: Callable[..., Columns]) -> None:
    """Features, labels and times stay together; what is empty stays so."""
    whole = columns_of(10)
    some = part(whole, slice(2, 5))
    assert len(some) == 3
    assert some.features["size"] == whole.features["size"][2:5]
    assert np.array(some.time).tolist() == whole.time[2:5]
    assert part(columns_of(0), slice(0, 5)).label_time == []

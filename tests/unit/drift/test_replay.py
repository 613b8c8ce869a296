"""Windows of the log, one after the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from testbed_drift.jobs.job import DriftJob
from testbed_drift.jobs.replay import NoPublisher, NoReports, part, walk_log
from testbed_drift.jobs.windowsource import LogWindows
from testbed_drift.rows.cutting import ByCount, ByTime
from testbed_drift.rows.spans import Period
from testbed_drift.rows.windows import NotEnoughRowsError, WindowReader
from testbed_drift.settings import DriftSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from testbed_domain.logstore import Columns
    from testbed_drift.evaluation.results import RunResult
    from testbed_drift.quality.trial import Retraining
    from testbed_drift.storage.memory import Memory

KINDS: Any = {"size": "numeric", "colour": "category"}


class Loud:
    """Fails the test when anything is published."""

    def publish(self, result: RunResult, memory: Memory | None = None) -> None:
        """Must not happen."""
        pytest.fail(f"published: {result.message}, {memory}")

    def retrained(self, retraining: Retraining) -> None:
        """Must not happen either."""
        pytest.fail(f"published: {retraining}")


@dataclass
class Walk:
    """A job with the real detector on a log of 300 rows, a second apart."""

    job: DriftJob
    log: LogWindows

    def with_settings(self, **changes: Any) -> None:  # noqa: ANN401 - one of many types per name
        """Change settings of the job."""
        self.job.settings = self.log.settings = self.job.settings.model_copy(update=changes)

    def over(self, cutting: ByCount | ByTime) -> Iterator[tuple[str | None, RunResult]]:
        """Evaluate every window."""
        return walk_log(self.job, self.log, cutting)


@pytest.fixture
def walk(tmp_path: Path, log: Any, clock: Any) -> Walk:  # noqa: ANN401 - fakes of conftest
    """Of a log that holds no drift."""
    from testbed_drift.evaluation.detection import Detector  # noqa: PLC0415 - only here

    settings = DriftSettings(log_url="-", artefact=tmp_path, html="never", confirm=2, confirm_of=2)
    source = LogWindows(settings, WindowReader("rf-1", KINDS, 90, 5000), log)
    job = DriftJob(settings, source, Detector(KINDS), NoReports(), NoPublisher(), clock)
    return Walk(job, source)


def test_every_window_of_the_log_is_evaluated(
    walk: Walk,
    log: Any,  # noqa: ANN401 - a fake of conftest
    columns_of: Callable[..., Columns],
) -> None:
    """In order, with the memory of those before; all rows of the model are asked for."""
    quiet, moved = columns_of(300), columns_of(300, first=300, seed=3, shift=2)
    both = {
        name: [*getattr(quiet, name), *getattr(moved, name)]
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
    features = {name: [*quiet.features[name], *moved.features[name]] for name in KINDS}
    log.current = replace(quiet, features=features, **both)
    found = [result.finding for _, result in walk.over(ByCount(100, 100))]
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


def test_groups_of_the_log_are_walked_by_themselves(
    walk: Walk,
    log: Any,  # noqa: ANN401 - a fake of conftest
    columns_of: Callable[..., Columns],
) -> None:
    """Each is compared with its own part of the reference, and none is published."""
    walk.with_settings(segment="colour", confirm=1)
    rows = columns_of(400, seed=5)
    sizes, colours = rows.features["size"], rows.features["colour"]
    moved: list[Any] = [
        float(size or 0) + 5 * (colour == "red")
        for size, colour in zip(sizes, colours, strict=True)
    ]
    log.current = replace(rows, features={"size": moved, "colour": colours})
    walk.job.publisher = Loud()
    found = {group: result.finding for group, result in walk.over(ByCount(150, 150))}
    decisions = {group: one and str(one.decision.action) for group, one in found.items()}
    assert decisions == {"colour=blue": "NO_ACTION", "colour=red": "RETRAIN"}
    red = found["colour=red"]
    assert red
    assert red.current.name == "colour=red-rows-1-150"
    assert red.reference.rows < 300


def test_windows_of_time_lie_in_the_asked_span(walk: Walk, log: Any) -> None:  # noqa: ANN401 - a fake of conftest
    """The current window says which part of the log is cut; a short end is too few rows."""
    walk.with_settings(current_window=Period.between(0, 290))
    results = [result for _, result in walk.over(ByTime(100, 100))]
    assert log.asked[-1] == ("rf-1", 0, 290, None)
    spans = [one.finding.current.start for one in results if one.finding]
    assert spans == [0, 100, 200]
    walk.log.reader = WindowReader("rf-1", KINDS, 150, 5000)
    needed = {result.rows_needed for _, result in walk.over(ByTime(100, 100))}
    assert needed == {150}


def test_a_training_may_have_a_small_reference(
    walk: Walk,
    log: Any,  # noqa: ANN401 - a fake of conftest
    columns_of: Callable[..., Columns],
) -> None:
    """A small data set has no larger one: it is evaluated as by the job that watches."""
    log.training = columns_of(60, seed=2)
    outcomes = [result.outcome for _, result in walk.over(ByCount(100, 100))]
    assert outcomes == ["success"] * 3


def test_an_empty_log_has_no_windows(
    walk: Walk,
    log: Any,  # noqa: ANN401 - a fake of conftest
    columns_of: Callable[..., Columns],
) -> None:
    """It is reported, like any window with too few rows."""
    log.current = columns_of(0)
    with pytest.raises(NotEnoughRowsError, match="0 rows in the log"):
        list(walk.over(ByCount(100, 100)))


def test_a_part_has_the_same_rows_in_every_column(columns_of: Callable[..., Columns]) -> None:
    """Features, labels and times stay together; what is empty stays so."""
    whole = columns_of(10)
    some = part(whole, slice(2, 5))
    assert part(whole, [2, 3, 4]) == some
    assert len(some) == 3
    assert some.features["size"] == whole.features["size"][2:5]
    assert np.array(some.time).tolist() == whole.time[2:5]
    assert part(columns_of(0), slice(0, 5)).label_time == []
    assert part(replace(whole, id=[]), [1]).id == []

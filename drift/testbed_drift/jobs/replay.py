"""The drift job on windows that are there already: of tables, or of a stretch of the log."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from testbed_drift.jobs.windowsource import GivenWindows, LogWindows, enough
from testbed_drift.rows.segments import Segmentation
from testbed_drift.rows.windows import Window, file_part
from testbed_drift.storage.memory import Memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from testbed_domain.logstore import Columns

    from testbed_drift.evaluation.results import RunResult
    from testbed_drift.jobs.job import DriftJob, Publishing
    from testbed_drift.quality.trial import Retraining
    from testbed_drift.rows.cutting import Cutting

    # Takes a group, its result, and the rows of the reference and of the window.
    Publish = Callable[[str, RunResult, tuple[int, int]], None]


class NoReports:
    """Takes the reports and writes nothing."""

    def write_json(self, reference: str, current: str, content: dict[str, Any]) -> Path | None:
        """Nowhere."""

    def write_html(self, reference: str, current: str, content: str) -> Path | None:
        """Nowhere."""

    def append_run(self, record: dict[str, Any]) -> None:
        """Nowhere."""


class NoPublisher:
    """Takes the results and publishes nothing."""

    def publish(self, result: RunResult, memory: Memory | None = None) -> None:
        """Nowhere."""

    def retrained(self, retraining: Retraining) -> None:
        """Nowhere."""


@dataclass(slots=True)
class Replay:
    """Evaluates one pair of windows after the other, each with the memory of those before.

    Attributes:
        job: takes its windows from ``source``.
        source: of the job.
    """

    job: DriftJob
    source: GivenWindows

    @classmethod
    def of(cls, job: DriftJob, publisher: Publishing | None = None) -> Self:
        """A replay with the parts of a job, without what it remembers and starts.

        Args:
            job: of which model, and how it is evaluated.
            publisher: in place of the job's; None leaves that.
        """
        source = GivenWindows(job.source.reader)
        alone = replace(
            job,
            source=source,
            publisher=publisher or job.publisher,
            memory=Memory(),
            once=False,
            hook=None,
            archive=None,
            segments=None,
            tracker=None,
        )
        return cls(alone, source)

    def evaluate(self, reference: Window, current: Window) -> RunResult:
        """Evaluate a window; too few rows in either are an outcome, as in every run."""
        self.source.pair = (reference, current)
        return self.job.run_once()


def walk_log(
    job: DriftJob, log: LogWindows, cutting: Cutting, publish: Publish = lambda *_: None
) -> Iterator[tuple[str | None, RunResult]]:
    """Evaluate every window of the log, or of the current window where one is set, in order.

    Where the settings name a segment, each of its groups is walked by itself, compared with the
    same group of the reference. The job publishes windows of all rows, ``publish`` those of groups:
    a metric of the job has one value at a time.

    Args:
        job: whose parts evaluate.
        log: gives the reference and all rows.
        cutting: how to cut.
        publish: takes the windows of groups.

    Yields:
        The group, or None, and the result.

    Raises:
        LogError: the log can't be read.
        NotEnoughRowsError: there is no reference, or no row at all.
    """
    wanted, reader = log.settings.current_window, log.reader
    with log.open_log() as opened:
        reference = log.reference(opened)
        start, end = (wanted.start, wanted.end) if wanted else (None, None)
        columns = opened.window(reader.model_version, start, end, None)
    enough("the log", len(columns), 1)
    for group, before, rows in _groups(log, reference, columns):
        replay = Replay.of(job, NoPublisher() if group else None)
        marks = [file_part(group)] if group else []
        for cut in cutting.cuts(len(rows), np.array(rows.time)):
            name = "-".join([*marks, cut.name])
            window = reader.of_columns(part(rows, cut.rows), name, cut.span)
            result = replay.evaluate(before, window)
            if group:
                publish(group, result, (len(before.frame), len(window.frame)))
            yield group, result


def _groups(
    log: LogWindows, reference: Window, columns: Columns
) -> Iterator[tuple[str | None, Window, Columns]]:
    segment = log.settings.segment
    if segment is None or reference.columns is None:
        yield None, reference, columns
        return
    before = reference.columns
    learnt = Segmentation.learn(segment, log.reader.kinds[segment], before.features[segment])
    old = learnt.groups(before.features[segment])
    for group, chosen in learnt.groups(columns.features[segment]).items():
        alike = part(before, np.flatnonzero(old.get(group, [])).tolist())
        name = f"{reference.name}-{file_part(group)}"
        window = log.reader.of_columns(alike, name, reference.span)
        yield group, window, part(columns, np.flatnonzero(chosen).tolist())


def part(columns: Columns, rows: slice | list[int]) -> Columns:
    """Some rows of a window; a column that is empty stays so."""

    def pick(values: Sequence[Any]) -> Any:  # noqa: ANN401 - what the log keeps values in
        if isinstance(rows, slice):
            return values[rows]
        return [values[place] for place in rows] if len(values) else []

    names = {one.name for one in fields(columns)} - {"features"}
    features: dict[str, Any] = {name: pick(values) for name, values in columns.features.items()}
    picked: dict[str, Any] = {name: pick(getattr(columns, name)) for name in names}
    return replace(columns, features=features, **picked)

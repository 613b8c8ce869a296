"""The drift job on windows that are there already: of tables, or of a stretch of the log."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from testbed_drift.jobs.job import DriftJob
from testbed_drift.rows.segments import Segmentation
from testbed_drift.rows.windows import NotEnoughRowsError, Window, file_part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from testbed_domain.logstore import Columns

    from testbed_drift.evaluation.results import RunResult
    from testbed_drift.quality.trial import Retraining
    from testbed_drift.rows.cutting import Cutting
    from testbed_drift.storage.memory import Memory

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
class Replay(DriftJob):
    """Evaluates one pair of windows after the other, each with the memory of those before.

    Attributes:
        min_reference: least rows of a reference; that of a training may be small.
    """

    min_reference: int = 1
    _pair: tuple[Window, Window] | None = field(default=None, init=False)

    @classmethod
    def of(cls, job: DriftJob) -> Self:
        """A replay with the parts of a job, without what it remembers and starts."""
        return cls(
            settings=job.settings,
            reader=job.reader,
            open_log=job.open_log,
            detector=job.detector,
            reports=job.reports,
            publisher=job.publisher,
            clock=job.clock,
            calibration=job.calibration,
            assessor=job.assessor,
            analyst=job.analyst,
        )

    def evaluate(self, reference: Window, current: Window) -> RunResult:
        """Evaluate a window; too few rows in either are an outcome, as in every run."""
        self._pair = (reference, current)
        return self.run_once()

    def _windows(self, now: float) -> tuple[Window, Window]:
        del now
        assert self._pair is not None  # noqa: S101 - for mypy: evaluate() sets it
        reference, current = self._pair
        enough(reference.name, len(reference.frame), self.min_reference)
        enough(current.name, len(current.frame), self.reader.min_rows, self.reader.purpose)
        return reference, current


def enough(name: str, rows: int, needed: int, purpose: str = "") -> None:
    """Check that a window can be evaluated.

    Raises:
        NotEnoughRowsError: it can't.
    """
    if rows < needed:
        raise NotEnoughRowsError(
            f"{rows} rows in {name}, {needed} needed {purpose}".rstrip(), needed
        )


def walk_log(
    job: Replay, cutting: Cutting, publish: Publish = lambda *_: None
) -> Iterator[tuple[str | None, RunResult]]:
    """Evaluate every window of the log, or of the current window where one is set, in order.

    Where the settings name a segment, each of its groups is walked by itself, compared with the
    same group of the reference. The job publishes windows of all rows, ``publish`` those of groups:
    a metric of the job has one value at a time.

    Args:
        job: whose reader and settings say which model and which reference.
        cutting: how to cut.
        publish: takes the windows of groups.

    Yields:
        The group, or None, and the result.

    Raises:
        LogError: the log can't be read.
        NotEnoughRowsError: there is no reference, or no row at all.
    """
    wanted, compared = job.settings.current_window, job.settings.reference_window
    with job.open_log() as log:
        reference = (
            job.reader.of_log(log, compared) if compared else job.reader.training_reference(log)
        )
        if job.calibration:
            job.calibration.verify(job.reader.model_version, reference.frame)
        start, end = (wanted.start, wanted.end) if wanted else (None, None)
        columns = log.window(job.reader.model_version, start, end, None)
    enough("the log", len(columns), 1)
    for group, before, rows in _groups(job, reference, columns):
        one = replace(job, publisher=NoPublisher()) if group else job
        marks = [file_part(group)] if group else []
        for cut in cutting.cuts(len(rows), np.array(rows.time)):
            name = "-".join([*marks, cut.name])
            window = job.reader.of_columns(part(rows, cut.rows), name, cut.span)
            result = one.evaluate(before, window)
            if group:
                publish(group, result, (len(before.frame), len(window.frame)))
            yield group, result


def _groups(
    job: Replay, reference: Window, columns: Columns
) -> Iterator[tuple[str | None, Window, Columns]]:
    segment = job.settings.segment
    if segment is None or reference.columns is None:
        yield None, reference, columns
        return
    before = reference.columns
    learnt = Segmentation.learn(segment, job.reader.kinds[segment], before.features[segment])
    old = learnt.groups(before.features[segment])
    for group, chosen in learnt.groups(columns.features[segment]).items():
        alike = part(before, np.flatnonzero(old.get(group, [])).tolist())
        name = f"{reference.name}-{file_part(group)}"
        window = job.reader.of_columns(alike, name, reference.span)
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

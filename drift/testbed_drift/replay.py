"""The drift job on windows that are there already: of tables, or of a stretch of the log."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from testbed_drift.job import DriftJob
from testbed_drift.windows import NotEnoughRowsError, Window

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed_domain.logstore import Columns

    from testbed_drift.cutting import Cutting
    from testbed_drift.results import RunResult


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

    def publish(self, result: RunResult) -> None:
        """Nowhere."""


@dataclass(slots=True)
class Replay(DriftJob):
    """Judges one pair of windows after the other, each with the memory of those before."""

    _pair: tuple[Window, Window] | None = field(default=None, init=False)

    def judge(self, reference: Window, current: Window) -> RunResult:
        """Judge a window; too few rows in either are an outcome, as in every run."""
        self._pair = (reference, current)
        return self.run_once()

    def _windows(self, now: float) -> tuple[Window, Window]:
        del now
        assert self._pair is not None  # noqa: S101 - for mypy: judge() sets it
        for window in self._pair:
            enough(window.name, len(window.frame), self.reader.min_rows, self.reader.purpose)
        return self._pair


def enough(name: str, rows: int, needed: int, purpose: str = "") -> None:
    """Check that a window can be judged.

    Raises:
        NotEnoughRowsError: it can't.
    """
    if rows < needed:
        raise NotEnoughRowsError(
            f"{rows} rows in {name}, {needed} needed {purpose}".rstrip(), needed
        )


def walk_log(job: Replay, cutting: Cutting) -> Iterator[RunResult]:
    """Judge every window of the log, or of the current window where one is set, in order.

    Args:
        job: whose reader and settings say which model and which reference.
        cutting: how to cut.

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
    for cut in cutting.cuts(len(columns), np.array(columns.time)):
        yield job.judge(
            reference, job.reader.of_columns(part(columns, cut.rows), cut.name, cut.span)
        )


def part(columns: Columns, rows: slice) -> Columns:
    """Some rows of a window; a column that is empty stays so."""
    sliced = {
        one.name: getattr(columns, one.name)[rows]
        for one in fields(columns)
        if one.name != "features"
    }
    features = {name: values[rows] for name, values in columns.features.items()}
    return replace(columns, features=features, **sliced)

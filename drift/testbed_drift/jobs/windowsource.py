"""Where a job has the two windows of a run from: a log that goes on, or windows that are given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from testbed_drift.rows.spans import Period
from testbed_drift.rows.windows import LogReader, NotEnoughRowsError, Window, WindowReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from testbed_drift.jobs.windowscheduler import WindowScheduler
    from testbed_drift.scoring.calibration import Calibration
    from testbed_drift.settings import DriftSettings
    from testbed_drift.storage.memory import Memory


class WindowSource(Protocol):
    """Gives the windows of one model version."""

    reader: WindowReader

    @property
    def behind(self) -> bool:
        """Whether the next window is full already."""

    def windows(self, now: float, memory: Memory | None) -> tuple[Window, Window]:
        """The reference and the window of a run.

        Args:
            now: Unix time.
            memory: what was evaluated so far; None takes a window that is known already, too.

        Raises:
            NotEnoughRowsError: either has too few rows, or nothing is new.
        """

    def ready(self, now: float) -> bool:
        """Whether a window is full that needs not wait for the interval."""

    def done(self) -> None:
        """Go on behind the window, whatever became of it: another try would end alike.

        Raises:
            OSError: how far it has come can't be stored.
        """


@dataclass(slots=True)
class LogWindows:
    """Windows of the prediction log, and the reference that the model was trained on.

    Attributes:
        settings: which windows.
        reader: cuts windows of the model out of a log.
        open_log: opens the prediction log; called in every run, so that a log that is away for a
            while costs only the runs in that time.
        calibration: where the detector's thresholds come from; must be of the reference.
        turns: say which window is the current one; None for the last seconds.
    """

    settings: DriftSettings
    reader: WindowReader
    open_log: Callable[[], AbstractContextManager[LogReader]]
    calibration: Calibration | None = None
    turns: WindowScheduler | None = None
    _training: Window | None = field(default=None, init=False)

    @property
    def behind(self) -> bool:
        """Whether the next window is full already."""
        return self.turns is not None and self.turns.behind

    def windows(self, now: float, memory: Memory | None) -> tuple[Window, Window]:
        """See :meth:`WindowSource.windows`."""
        wanted = self.settings.current_window or Period.between(now - self.settings.window, now)
        with self.open_log() as log:
            if self.turns and not self.settings.current_window:
                current = self.turns.next(log, self.reader, now)
            else:
                current = self.reader.of_log(log, wanted)
            self._refuse_known(current, memory)
            return self.reference(log), current

    def reference(self, log: LogReader) -> Window:
        """What is compared with.

        Raises:
            NotEnoughRowsError: there is nothing.
            CalibrationError: the thresholds are of another reference.
        """
        if self.settings.reference_window:
            return self.reader.of_log(log, self.settings.reference_window)
        if self._training is None:  # never changes: a model's version is a hash of it
            training = self.reader.training_reference(log)
            if self.calibration:
                self.calibration.verify(self.reader.model_version, training.frame)
            self._training = training
        return self._training

    def ready(self, now: float) -> bool:
        """Whether a window is full that needs not wait for the interval."""
        if self.turns is None or self.turns.every is None:
            return False
        try:
            with self.open_log() as log:
                return self.turns.full(log, self.reader, now)
        except Exception:  # noqa: BLE001 - the run that is due says what is wrong
            return False

    def done(self) -> None:
        """See :meth:`WindowSource.done`."""
        if self.turns:
            self.turns.done()

    def _refuse_known(self, current: Window, memory: Memory | None) -> None:
        now = current.extent
        if memory is None or memory.extent is None or not memory.knows(now):
            return
        if not now.has_labels_beyond(memory.extent):
            raise NotEnoughRowsError("no new rows and no new labels since the last run")


@dataclass(slots=True)
class GivenWindows:
    """Windows that are there already: of tables, or of a stretch of the log.

    Attributes:
        reader: says of which model they are, and how many rows they need.
        min_reference: least rows of a reference; that of a training may be small.
        pair: reference and window of the next run.
    """

    reader: WindowReader
    min_reference: int = 1
    pair: tuple[Window, Window] | None = None
    behind: bool = field(default=False, init=False)

    def windows(self, now: float, memory: Memory | None) -> tuple[Window, Window]:
        """See :meth:`WindowSource.windows`."""
        del now, memory
        assert self.pair is not None  # noqa: S101 - for mypy: a replay sets it
        reference, current = self.pair
        enough(reference.name, len(reference.frame), self.min_reference)
        enough(current.name, len(current.frame), self.reader.min_rows, self.reader.purpose)
        return reference, current

    def ready(self, now: float) -> bool:
        """They never fill."""
        del now
        return False

    def done(self) -> None:
        """There is nothing to go on with."""


def enough(name: str, rows: int, needed: int, purpose: str = "") -> None:
    """Check that a window can be evaluated.

    Raises:
        NotEnoughRowsError: it can't.
    """
    if rows < needed:
        raise NotEnoughRowsError(
            f"{rows} rows in {name}, {needed} needed {purpose}".rstrip(), needed
        )

"""The drift job: one run, and runs at an interval."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from testbed_domain.errors import DomainError

from testbed_drift.decision import Action, Policy, confirmed, decide, decision_line
from testbed_drift.results import SCHEMA_VERSION, Finding, Outcome, RunResult, judgement
from testbed_drift.segmentdrift import table as segment_table
from testbed_drift.spans import Span
from testbed_drift.windows import LogReader, NotEnoughRowsError, Window, WindowReader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import pandas as pd

    from testbed_drift.assessment import Assessment, Assessor
    from testbed_drift.calibration import Calibration
    from testbed_drift.publishing import Publisher
    from testbed_drift.reports import ReportStore
    from testbed_drift.results import Table
    from testbed_drift.scores import DriftScores
    from testbed_drift.segmentdrift import SegmentScorer
    from testbed_drift.settings import DriftSettings
    from testbed_drift.turns import Turns

logger = logging.getLogger(__name__)


class Detection(Protocol):
    """What a detector found."""

    @property
    def scores(self) -> DriftScores:
        """Verdict per column."""

    def metrics(self) -> list[dict[str, Any]]:
        """Metrics of the detector's report, JSON-ready; may take seconds."""

    def html(self, tables: Sequence[Table] = ()) -> str:
        """The detector's own report below the given tables; may take seconds."""


class Detector(Protocol):
    """Compares two windows."""

    def detect(self, reference: pd.DataFrame, current: pd.DataFrame) -> Detection:
        """Compare ``current`` with ``reference``."""


@dataclass(slots=True)
class DriftJob:
    """Compares the windows of one model, again and again.

    Attributes:
        settings: which windows, when a decision is due, when Evidently's report is rendered.
        reader: cuts windows of the model out of a log.
        open_log: opens the prediction log; called in every run, so that a log that is away for a
            while costs only the runs in that time.
        detector: gives the scores.
        reports: takes the reports.
        publisher: takes what there is to publish.
        clock: Unix time.
        calibration: where the detector's thresholds come from; must be of the reference.
        assessor: judges performance and data quality; None for drift alone.
        segments: scores drift within segments; None for the whole window alone.
        turns: say which window is the current one; None for the last seconds.
    """

    settings: DriftSettings
    reader: WindowReader
    open_log: Callable[[], AbstractContextManager[LogReader]]
    detector: Detector
    reports: ReportStore
    publisher: Publisher
    clock: Callable[[], float]
    calibration: Calibration | None = None
    assessor: Assessor | None = None
    segments: SegmentScorer | None = None
    turns: Turns | None = None
    _last_action: Action | None = field(default=None, init=False)
    _last_newest: float | None = field(default=None, init=False)
    _recent: list[Action] = field(default_factory=list, init=False)
    _last_report: float = field(default=-math.inf, init=False)
    _training: Window | None = field(default=None, init=False)

    def run_once(self) -> RunResult:
        """Run once; a failure is an outcome, reported and published like the others."""
        started = self.clock()
        finding = None
        outcome: Outcome
        try:
            finding = self._compare(started)
            outcome = "success"
            message = decision_line(
                _text(finding.html), str(finding.json), finding.scores, finding.decision
            )
        except NotEnoughRowsError as error:
            outcome, message = "insufficient_data", str(error)
        except Exception as error:  # noqa: BLE001 - a broken run must not end the job
            outcome, message = "error", _failure(error)
        seconds = max(0.0, self.clock() - started)
        version = self.reader.model_version
        # What can't be read now is not asked for again without a wait.
        behind = outcome != "error" and self.turns is not None and self.turns.behind
        result = RunResult(version, outcome, started, seconds, message, finding, behind=behind)
        self._record(result)
        return result

    def _compare(self, now: float) -> Finding:
        reference, current = self._windows(now)
        detection = self.detector.detect(reference.frame, current.frame)
        assessment = self._assess(reference, current)
        segments = self.segments.score(reference, current) if self.segments else ()
        alone = decide(detection.scores, self._policy, assessment.concept if assessment else None)
        counting = self._recent[max(0, len(self._recent) + 1 - self.settings.confirm_of) :]
        decision = confirmed(alone, counting, self.settings.confirm)
        before, after = reference.summary(), current.summary()
        content = {
            "schema_version": SCHEMA_VERSION,
            "model_version": self.reader.model_version,
            "created": now,
            "windows": {"reference": before.to_dict(), "current": after.to_dict()},
            "alert_share": self.settings.alert_share,
            "retrain_share": self.settings.retrain_share,
            **judgement(detection.scores, decision),
            **(assessment.to_dict() if assessment else {}),
            "segments": {found.name: found.to_dict() for found in segments},
            "evidently": None,
        }
        names = (before.name, after.name)
        html = None
        if self._report_wanted(decision.action, now):
            content["evidently"] = detection.metrics()
            tables = [*(assessment.tables() if assessment else ())]
            tables += [segment_table(segments)] if segments else []
            html = self.reports.write_html(*names, detection.html(tables))
            self._last_report = now
        json = self.reports.write_json(*names, content)
        self._last_action, self._last_newest = decision.action, current.newest
        self._recent = [*counting, alone.action]
        return Finding(before, after, detection.scores, decision, json, html, assessment, segments)

    def _assess(self, reference: Window, current: Window) -> Assessment | None:
        if self.assessor is None or reference.columns is None or current.columns is None:
            return None
        return self.assessor.assess(reference.columns, current.columns)

    def _windows(self, now: float) -> tuple[Window, Window]:
        wanted = self.settings.current_window or Span.between(now - self.settings.window, now)
        with self.open_log() as log:
            if self.turns and not self.settings.current_window:
                current = self.turns.next(log, self.reader, now)
            else:
                current = self.reader.of_log(log, wanted)
            if current.newest == self._last_newest:
                raise NotEnoughRowsError("no new rows since the last run")
            if self.settings.reference_window:
                return self.reader.of_log(log, self.settings.reference_window), current
            if self._training is None:  # never changes: a model's version is a hash of it
                training = self.reader.training_reference(log)
                if self.calibration:
                    self.calibration.verify(self.reader.model_version, training.frame)
                self._training = training
            return self._training, current

    @property
    def _policy(self) -> Policy:
        return Policy(self.settings.alert_share, self.settings.retrain_share)

    def _report_wanted(self, action: Action, now: float) -> bool:
        if self.settings.html != "on_change":
            return self.settings.html == "always"
        interval = self.settings.report_interval
        due = interval is not None and now - self._last_report >= interval
        return due or action is not self._last_action

    def _record(self, result: RunResult) -> None:
        try:
            self.reports.append_run(result.record())
        except OSError as error:
            logger.error("cannot record the run: %s", error)  # noqa: TRY400 - one line will do
        self.publisher.publish(result)
        self._end_turn()

    def _end_turn(self) -> None:
        """Go on behind this window, whatever became of it: another try would end alike."""
        try:
            if self.turns:
                self.turns.done()
        except OSError as error:
            logger.error("cannot keep the position: %s", error)  # noqa: TRY400 - one line will do


class Repeatable(Protocol):
    """What :func:`watch` runs."""

    def run_once(self) -> RunResult:
        """Run once."""


def watch(
    job: Repeatable,
    interval: float,
    clock: Callable[[], float],
    wait: Callable[[float], bool],
    announce: Callable[[RunResult], None],
) -> None:
    """Run at once and then every ``interval`` seconds, until told to stop.

    A run that takes longer than the interval skips the turns that it missed. Windows that are full
    already are judged without a wait.

    Args:
        job: what to run.
        interval: seconds from one run's start to the next's.
        clock: Unix time.
        wait: waits so many seconds; True when the job must stop.
        announce: told about every run.
    """
    due = clock()
    while not wait(min(interval, max(0.0, due - clock()))):  # a clock put back must not stall it
        result = job.run_once()
        announce(result)
        if not result.behind:
            due += interval * max(1, math.ceil((clock() - due) / interval))


def _failure(error: Exception) -> str:
    """One line about a failed run; what is no user's error keeps its traceback in the log."""
    if isinstance(error, DomainError | OSError):
        text = str(error)
    else:
        logger.error("the run failed", exc_info=error)
        text = f"{type(error).__name__}: {error}"
    return " ".join(text.split())


def _text(path: Path | None) -> str | None:
    return str(path) if path else None

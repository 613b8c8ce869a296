"""The drift job: one run, and runs at an interval."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from testbed_domain.artefact import load_artefact
from testbed_domain.errors import DomainError

from testbed_drift.evaluation.decision import Action, Policy, decide, decision_line
from testbed_drift.evaluation.results import (
    SCHEMA_VERSION,
    Outcome,
    RunFinding,
    RunResult,
    evaluation,
)
from testbed_drift.evaluation.segmentdrift import table as segment_table
from testbed_drift.jobs.championtracker import find
from testbed_drift.rows.spans import Period
from testbed_drift.rows.windows import LogReader, NotEnoughRowsError, Window, WindowReader
from testbed_drift.storage.memory import Memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import pandas as pd

    from testbed_drift.evaluation.assessment import Assessment, Assessor
    from testbed_drift.evaluation.segmentdrift import SegmentScorer
    from testbed_drift.formatting import ReportTable
    from testbed_drift.jobs.windowscheduler import WindowScheduler
    from testbed_drift.quality.trial import Retraining
    from testbed_drift.relations.study import Analyst, Relations
    from testbed_drift.retraining.hook import Hook
    from testbed_drift.scoring.calibration import Calibration
    from testbed_drift.scoring.scores import DriftScores
    from testbed_drift.settings import DriftSettings
    from testbed_drift.storage.archive import Archive
    from testbed_drift.storage.tracking import Tracker

logger = logging.getLogger(__name__)

_DONE: Final = object()
LOOKS: Final = 20
"""Looks for a full window in an interval."""


class Detection(Protocol):
    """What a detector found."""

    @property
    def scores(self) -> DriftScores:
        """Verdict per column."""

    def with_relations(self, relations: Relations) -> Detection:
        """The same with a study whose metrics the report shows too."""

    def metrics(self) -> list[dict[str, Any]]:
        """Metrics of the detector's report, JSON-ready; may take seconds."""

    def html(self, tables: Sequence[ReportTable] = ()) -> str:
        """The detector's own report below the given tables; may take seconds."""

    def snapshot(self) -> Any:  # noqa: ANN401 - of whichever library
        """That report as its library keeps it; may take seconds."""


class Detector(Protocol):
    """Compares two windows."""

    def detect(self, reference: pd.DataFrame, current: pd.DataFrame) -> Detection:
        """Compare ``current`` with ``reference``."""


class Reports(Protocol):
    """Takes the reports; those that it does not keep have no path."""

    def write_json(self, reference: str, current: str, content: dict[str, Any]) -> Path | None:
        """Take the JSON report of two windows."""

    def write_html(self, reference: str, current: str, content: str) -> Path | None:
        """Take the HTML report of two windows."""

    def append_run(self, record: dict[str, Any]) -> None:
        """Take the record of a run."""


class Publishing(Protocol):
    """Takes what there is to publish."""

    def publish(self, result: RunResult, memory: Memory | None = None) -> None:
        """Take over what a run found, and what the next process needs to go on."""

    def retrained(self, retraining: Retraining) -> None:
        """Take over what a training came to."""


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
        assessor: evaluates performance and data quality; None for drift alone.
        once: whether this is a single run that somebody wants, of a window that may be known.
        memory: what the runs so far have left, in other processes too.
        hook: what RETRAIN starts; None where nothing.
        archive: takes every run, and lets go of old ones; None where all just stays.
        segments: scores drift within segments; None for the whole window alone.
        analyst: studies what no single column shows; None where that is not wanted.
        turns: say which window is the current one; None for the last seconds.
        tracker: logs runs to a tracking server; None logs none.
    """

    settings: DriftSettings
    reader: WindowReader
    open_log: Callable[[], AbstractContextManager[LogReader]]
    detector: Detector
    reports: Reports
    publisher: Publishing
    clock: Callable[[], float]
    calibration: Calibration | None = None
    assessor: Assessor | None = None
    once: bool = False
    memory: Memory = field(default_factory=Memory)
    hook: Hook | None = None
    archive: Archive | None = None
    segments: SegmentScorer | None = None
    analyst: Analyst | None = None
    turns: WindowScheduler | None = None
    tracker: Tracker | None = None
    _training: Window | None = field(default=None, init=False)
    _relations: Relations | None = field(default=None, init=False)
    _last_study: float = field(default=-math.inf, init=False)

    @property
    def version(self) -> str:
        """The model version that is watched."""
        return self.reader.model_version

    def run_once(self) -> RunResult:
        """Run once; a failure is an outcome, reported and published like the others."""
        started = self.clock()
        finding, needed = None, None
        outcome: Outcome
        try:
            finding = self._compare(started)
            outcome = "success"
            message = decision_line(
                _text(finding.html), _text(finding.json), finding.scores, finding.decision
            )
        except NotEnoughRowsError as error:
            outcome, message, needed = "insufficient_data", str(error), error.needed
        except Exception as error:  # noqa: BLE001 - a broken run must not end the job
            outcome, message = "error", _failure(error)
        seconds = max(0.0, self.clock() - started)
        version = self.reader.model_version
        # What can't be read now is not asked for again without a wait.
        behind = outcome != "error" and self.turns is not None and self.turns.behind
        result = RunResult(
            version,
            outcome,
            started,
            seconds,
            message,
            finding,
            rows_needed=needed,
            behind=behind,
        )
        self._record(result)
        # After the drift is reported: a training takes its time, and so may a command.
        if retraining := self._retrain(result):
            self.publisher.retrained(retraining)
            self._track(retraining)
            result = replace(result, retraining=retraining)
        return result

    def ready(self) -> bool:
        """Whether a window is full that needs not wait for the interval."""
        if self.turns is None or self.turns.every is None:
            return False
        try:
            with self.open_log() as log:
                return self.turns.full(log, self.reader, self.clock())
        except Exception:  # noqa: BLE001 - the run that is due says what is wrong
            return False

    def _retrain(self, result: RunResult) -> Retraining | None:
        found = result.finding
        if self.hook is None or found is None or found.decision.action is not Action.RETRAIN:
            return None
        return self.hook.call(result)

    def _track(self, retraining: Retraining) -> None:
        """Log a model that was trained where the runs are logged, too."""
        if self.tracker is None or retraining.challenger is None:
            return
        path = find(retraining.challenger, self.settings.model_store.glob("*-*"))
        if path is not None:
            self.tracker.log_challenger(load_artefact(path), retraining.scores, retraining.outcome)

    def _compare(self, now: float) -> RunFinding:
        reference, current = self._windows(now)
        detection = self.detector.detect(reference.frame, current.frame)
        assessment = self._assess(reference, current)
        segments = self.segments.score(reference, current) if self.segments else ()
        relations = self._study(reference, current, detection.scores, now)
        concept = assessment.concept if assessment else None
        unreadable = assessment.quality.phrases if assessment else ()
        alone = decide(detection.scores, self._policy, concept, relations, unreadable)
        extent = current.extent
        decision, memory = self.memory.vote(
            alone, extent, self.settings.confirm, self.settings.confirm_of
        )
        before, after = reference.summary(), current.summary()
        trained = self.hook.last() if self.hook else None
        content = {
            "schema_version": SCHEMA_VERSION,
            "model_version": self.reader.model_version,
            "created": now,
            "windows": {"reference": before.to_dict(), "current": after.to_dict()},
            "alert_share": self.settings.alert_share,
            "retrain_share": self.settings.retrain_share,
            **evaluation(detection.scores, decision),
            **(assessment.to_dict() if assessment else {}),
            "retraining": trained.to_dict() if trained else None,
            "segments": {found.name: found.to_dict() for found in segments},
            **(relations.to_dict() if relations else {}),
            "evidently": None,
        }
        names = (before.name, after.name)
        html = snapshot = None
        if self._report_wanted(decision.action, now):
            if relations:
                detection = detection.with_relations(relations)
            content["evidently"] = detection.metrics()
            tables = [*(assessment.tables() if assessment else ())]
            tables += relations.tables() if relations else []
            tables += [segment_table(segments)] if segments else []
            tables += [trained.table()] if trained else []
            html = self.reports.write_html(*names, detection.html(tables))
            memory = replace(memory, reported=now)
            snapshot = detection.snapshot()
        json = self.reports.write_json(*names, content)
        fresh = not self.memory.knows(extent)
        self.memory = memory
        scores = detection.scores
        return RunFinding(
            before,
            after,
            scores,
            decision,
            json,
            html,
            assessment,
            fresh=fresh,
            snapshot=snapshot,
            segments=segments,
            relations=relations,
        )

    def _study(
        self, reference: Window, current: Window, scores: DriftScores, now: float
    ) -> Relations | None:
        if self.analyst is not None and now - self._last_study >= self.settings.relations_interval:
            self._relations = self.analyst.study(reference.frame, current.frame, scores)
            self._last_study = now
        return self._relations

    def _assess(self, reference: Window, current: Window) -> Assessment | None:
        if self.assessor is None or reference.columns is None or current.columns is None:
            return None
        return self.assessor.assess(reference.columns, current.columns)

    def _windows(self, now: float) -> tuple[Window, Window]:
        wanted = self.settings.current_window or Period.between(now - self.settings.window, now)
        with self.open_log() as log:
            if self.turns and not self.settings.current_window:
                current = self.turns.next(log, self.reader, now)
            else:
                current = self.reader.of_log(log, wanted)
            self._refuse_known(current)
            if self.settings.reference_window:
                return self.reader.of_log(log, self.settings.reference_window), current
            if self._training is None:  # never changes: a model's version is a hash of it
                training = self.reader.training_reference(log)
                if self.calibration:
                    self.calibration.verify(self.reader.model_version, training.frame)
                self._training = training
            return self._training, current

    def _refuse_known(self, current: Window) -> None:
        before, now = self.memory.extent, current.extent
        if self.once or before is None or not self.memory.knows(now):
            return
        if not now.has_labels_beyond(before):
            raise NotEnoughRowsError("no new rows and no new labels since the last run")

    @property
    def _policy(self) -> Policy:
        return Policy(self.settings.alert_share, self.settings.retrain_share)

    def _report_wanted(self, action: Action, now: float) -> bool:
        if self.settings.html != "on_change":
            return self.settings.html == "always"
        interval = self.settings.report_interval
        due = interval is not None and now - self.memory.reported >= interval
        return due or self.once or action is not self.memory.action

    def _record(self, result: RunResult) -> None:
        # First what a new process goes on with, whole or not at all, and the line with it: a kill
        # between the two leaves a line that ReportStore.recover() adds.
        self.publisher.publish(result, self.memory)
        try:
            self.reports.append_run(result.record())
        except OSError as error:
            logger.error("cannot record the run: %s", error)  # noqa: TRY400 - one line will do
        if self.archive:
            self.archive.take(result)
        if self.tracker:
            self.tracker.log_run(result)
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


class Watched(Repeatable, Protocol):
    """A job of one model version."""

    @property
    def version(self) -> str:
        """Which one."""


def watch(
    job: Repeatable,
    interval: float,
    clock: Callable[[], float],
    wait: Callable[[float], bool],
    announce: Callable[[RunResult], None],
    chores: Iterator[object] | None = None,
    ready: Callable[[], bool] | None = None,
) -> None:
    """Run at once and then every ``interval`` seconds, until asked to stop.

    A run that takes longer than the interval skips the turns that it missed. Windows that are full
    already are evaluated without a wait, and one that fills meanwhile before the interval is over.

    Args:
        job: what to run.
        interval: seconds from one run's start to the next's.
        clock: Unix time.
        wait: waits so many seconds; True when the job must stop.
        announce: notified about every run.
        chores: work that the runs to come are spared, done between runs, a step at a time.
        ready: whether a window is full that need not wait for the interval; None looks for none.
    """
    due = clock()
    while not _waited(interval, due, clock, wait, ready):
        due = min(due, clock())  # it may have been full before
        result = job.run_once()
        announce(result)
        if not result.behind:
            due += interval * max(1, math.ceil((clock() - due) / interval))
        while chores and clock() < due and not (ready and ready()) and not wait(0.0):
            if next(chores, _DONE) is _DONE:
                chores = None


def _waited(
    interval: float,
    due: float,
    clock: Callable[[], float],
    wait: Callable[[float], bool],
    ready: Callable[[], bool] | None,
) -> bool:
    """Wait until a run is due or need not wait; True when the job must stop."""
    step = interval / LOOKS if ready else interval
    while True:
        left = min(interval, max(0.0, due - clock()))  # a clock put back must not stall it
        if wait(min(left, step)):
            return True
        if left <= step or (ready and ready()):
            return False


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

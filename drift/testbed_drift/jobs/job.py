"""The drift job: one run, and runs at an interval."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from testbed_domain.artefact import load_artefact
from testbed_domain.endings import reason
from testbed_domain.errors import DomainError

from testbed_drift.evaluation.decision import Action, Policy, decide, decision_line
from testbed_drift.evaluation.heading import heading
from testbed_drift.evaluation.results import (
    SCHEMA_VERSION,
    Outcome,
    RunFinding,
    RunResult,
    evaluation,
)
from testbed_drift.evaluation.segmentdrift import table as segment_table
from testbed_drift.jobs.championtracker import find
from testbed_drift.jobs.processorwait import ProcessorWait
from testbed_drift.rows.windows import NotEnoughRowsError, Window
from testbed_drift.steps import step
from testbed_drift.storage.memory import Memory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pandas as pd

    from testbed_drift.evaluation.assessment import Assessment, Assessor
    from testbed_drift.evaluation.segmentdrift import SegmentScorer
    from testbed_drift.formatting import ReportHeading, ReportTable
    from testbed_drift.jobs.windowsource import WindowSource
    from testbed_drift.quality.trial import Retraining
    from testbed_drift.relations.study import Analyst, Relations
    from testbed_drift.retraining.hook import Hook
    from testbed_drift.scoring.scores import DriftScores
    from testbed_drift.settings import DriftSettings
    from testbed_drift.storage.archive import Archive
    from testbed_drift.storage.tracking import Tracker

logger = logging.getLogger(__name__)


class DetectionLike(Protocol):
    """What a detector found."""

    @property
    def scores(self) -> DriftScores:
        """Verdict per column."""

    def with_relations(self, relations: Relations) -> DetectionLike:
        """The same with a study whose metrics the report shows too."""

    def metrics(self) -> list[dict[str, Any]]:
        """Metrics of the detector's report, JSON-ready; may take seconds."""

    def html(self, heading: ReportHeading, tables: Sequence[ReportTable] = ()) -> str:
        """The report, with the given tables; may take seconds."""

    def snapshot(self) -> Any:  # noqa: ANN401 - of whichever library
        """That report as its library keeps it; may take seconds."""


class DetectorLike(Protocol):
    """Compares two windows."""

    def detect(self, reference: pd.DataFrame, current: pd.DataFrame) -> DetectionLike:
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
        settings: when a decision is due, when Evidently's report is rendered.
        source: gives the windows of the model.
        detector: gives the scores.
        reports: takes the reports.
        publisher: takes what there is to publish.
        clock: Unix time.
        assessor: evaluates performance and data quality; None for drift alone.
        once: whether this is a single run that somebody wants, of a window that may be known.
        memory: what the runs so far have left, in other processes too.
        hook: what RETRAIN starts; None where nothing.
        archive: takes every run, and lets go of old ones; None where all just stays.
        segments: scores drift within segments; None for the whole window alone.
        analyst: studies what no single column shows; None where that is not wanted.
        tracker: logs runs to a tracking server; None logs none.
        processor_wait: counts for how long no processor was free for the job.
    """

    settings: DriftSettings
    source: WindowSource
    detector: DetectorLike
    reports: Reports
    publisher: Publishing
    clock: Callable[[], float]
    assessor: Assessor | None = None
    once: bool = False
    memory: Memory = field(default_factory=Memory)
    hook: Hook | None = None
    archive: Archive | None = None
    segments: SegmentScorer | None = None
    analyst: Analyst | None = None
    tracker: Tracker | None = None
    processor_wait: ProcessorWait = field(default_factory=ProcessorWait)
    _relations: Relations | None = field(default=None, init=False)
    _last_study: float = field(default=-math.inf, init=False)

    @property
    def version(self) -> str:
        """The model version that is watched."""
        return self.source.reader.model_version

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
        # What can't be read now is not asked for again without a wait.
        behind = outcome != "error" and self.source.behind
        result = RunResult(
            self.version,
            outcome,
            started,
            seconds,
            message,
            finding,
            rows_needed=needed,
            behind=behind,
            waited=self.processor_wait.since(),
        )
        result = self._record(result)
        # After the drift is reported: a training takes its time, and so may a command.
        if retraining := self._retrain(result):
            self.publisher.retrained(retraining)
            self._track(retraining)
            result = replace(result, retraining=retraining)
        return result

    def ready(self) -> bool:
        """Whether a window is full that needs not wait for the interval."""
        return self.source.ready(self.clock())

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
        step("reading the windows")
        reference, current = self.source.windows(now, None if self.once else self.memory)
        rows, known = len(current.frame), len(reference.frame)
        step(f"comparing {rows:,} rows with {known:,} of the reference")
        detection = self.detector.detect(reference.frame, current.frame)
        assessment = self._assess(reference, current)
        segments = self.segments.score(reference, current) if self.segments else ()
        step("looking for what no single column shows")
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
            "model_version": self.version,
            "created": now,
            "windows": {"reference": before.to_dict(), "current": after.to_dict()},
            "alert_share": self.settings.alert_share,
            "retrain_share": self.settings.retrain_share,
            "alert_columns": self.settings.alert_columns,
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
            step("rendering the report")
            if relations:
                detection = detection.with_relations(relations)
            content["evidently"] = detection.metrics()
            tables = [*(assessment.tables() if assessment else ())]
            tables += relations.tables() if relations else []
            tables += [segment_table(segments)] if segments else []
            tables += [trained.table()] if trained else []
            html = self.reports.write_html(
                *names, detection.html(heading(decision, reference, current), tables)
            )
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
            policy=self._policy,
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

    @property
    def _policy(self) -> Policy:
        settings = self.settings
        return Policy(settings.alert_share, settings.retrain_share, settings.alert_columns)

    def _report_wanted(self, action: Action, now: float) -> bool:
        if self.settings.html != "on_change":
            return self.settings.html == "always"
        interval = self.settings.report_interval
        due = interval is not None and now - self.memory.reported >= interval
        return due or self.once or action is not self.memory.action

    def _record(self, result: RunResult) -> RunResult:
        # First what a new process goes on with, whole or not at all, and the line with it: a kill
        # between the two leaves a line that ReportStore.recover() adds.
        steps: list[Callable[[], object]] = [
            lambda: self.publisher.publish(result, self.memory),
            lambda: self.reports.append_run(result.record()),
        ]
        if self.archive:
            steps.append(partial(self.archive.take, result))
        if self.tracker:
            steps.append(partial(self.tracker.log_run, result))
        # It goes on behind this window, whatever became of it: another try would end alike.
        steps.append(self.source.done)
        refused: list[OSError] = []
        for write in steps:
            try:
                write()
            except OSError as error:
                refused.append(error)
        # Of a run that failed one knows already what is wrong.
        if not refused or result.outcome == "error":
            return result
        return replace(result, unstored=f"cannot store the run: {reason(refused[0])}")


def _failure(error: Exception) -> str:
    """One line about a failed run; what is not a user's error keeps its traceback in the log."""
    if isinstance(error, DomainError):
        text = str(error)
    elif isinstance(error, OSError):
        text = reason(error)
    else:
        logger.error("the run failed", exc_info=error)
        text = f"{type(error).__name__}: {error}"
    return " ".join(text.split())


def _text(path: Path | None) -> str | None:
    return str(path) if path else None

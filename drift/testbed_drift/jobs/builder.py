"""A drift job, put together: whatever its windows come from, of the same parts."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from testbed_domain.artefact import load_artefact
from testbed_domain.logstore import open_log

from testbed_drift.evaluation.assessment import Assessor
from testbed_drift.evaluation.detection import Detector
from testbed_drift.evaluation.segmentdrift import SegmentScorer
from testbed_drift.jobs.job import DriftJob
from testbed_drift.jobs.windowscheduler import WindowScheduler
from testbed_drift.jobs.windowsource import LogWindows
from testbed_drift.relations.models import OnnxModel
from testbed_drift.relations.study import Analyst
from testbed_drift.rows.frames import kinds_of, outcome_of
from testbed_drift.rows.reading import WindowLog
from testbed_drift.rows.windows import WindowReader
from testbed_drift.scoring.calibration import FILE, Calibration
from testbed_drift.scoring.limits import ColumnLimits, calibrated
from testbed_drift.settings import DriftSettings, DriftSettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from testbed_domain.artefact import Artefact
    from testbed_domain.features import FeatureSchema

    from testbed_drift.evaluation.segmentdrift import SegmentWorkers
    from testbed_drift.jobs.job import Publishing, Reports
    from testbed_drift.jobs.windowsource import WindowSource
    from testbed_drift.rows.columns import ColumnKind


@dataclass(frozen=True, slots=True)
class JobBuilder:
    """What is known of a model, and the parts of a job that follow from it.

    Attributes:
        settings: of the job; a calibration's shares of columns are in them.
        version: of the model.
        kinds: its columns.
        schema: its columns, as the model has them.
        limits: when a window is evaluated, and when a column of it drifted.
        calibration: where the limits come from, or None.
        artefact: the model itself, or None where only its columns are known.
    """

    settings: DriftSettings
    version: str
    kinds: Mapping[str, ColumnKind]
    schema: FeatureSchema
    limits: ColumnLimits
    calibration: Calibration | None = None
    artefact: Artefact | None = None

    @classmethod
    def of_artefact(cls, settings: DriftSettings) -> Self:
        """Of the model that the settings name, with its calibration where it has one.

        Raises:
            DomainError: the model or its calibration can't be used.
        """
        artefact = load_artefact(settings.artefact)
        calibration = _calibration(settings)
        limits = ColumnLimits.of(settings, calibration)
        if calibration:
            calibration.verify_version(artefact.version)
            if limits.minimum > settings.max_rows:
                raise DriftSettingsError(
                    f"the calibration needs {limits.minimum} rows a window, TESTBED_DRIFT_MAX_ROWS "
                    f"are {settings.max_rows}: allow more, or calibrate for fewer"
                )
        return cls(
            calibrated(settings, calibration),
            artefact.version,
            kinds_of(artefact.schema),
            artefact.schema,
            limits,
            calibration,
            artefact,
        )

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.artefact.name if self.artefact else self.version

    def reader(self) -> WindowReader:
        """Cuts windows of the model."""
        minimum = self.limits.minimum
        return WindowReader(
            self.version,
            self.kinds,
            minimum,
            max(minimum, self.settings.max_rows),
            self.limits.purpose,
            _trained(self.artefact) if self.artefact else None,
            outcome_of(self.artefact.schema) if self.artefact else "category",
        )

    def log(self, *, whole: bool = False) -> LogWindows:
        """Windows of the prediction log.

        Args:
            whole: whether all rows are read, and no sample of them; they are cut into windows.
        """
        settings = self.settings
        sample = None if whole else settings.sample_rows
        return LogWindows(
            settings,
            self.reader(),
            lambda: WindowLog(open_log(settings.log_url, create=False), sample),
            self.calibration,
            WindowScheduler.of(settings, self.version),
        )

    def segments(self, workers: SegmentWorkers | None = None) -> SegmentScorer | None:
        """Scores drift within segments, where the settings name a column for them.

        Args:
            workers: do it; None does it in this process.
        """
        settings = self.settings
        if settings.segment is None:
            return None
        return SegmentScorer(
            settings.segment,
            self.kinds,
            self.limits.rule,
            settings.segment_rows,
            settings.segments,
            workers,
        )

    def analyst(self) -> Analyst | None:
        """Studies what no single column shows, where that is wanted and the model is there."""
        rows, artefact = self.settings.relations_rows, self.artefact
        if not rows or artefact is None:
            return None
        return Analyst(self.kinds, lambda: OnnxModel(artefact), rows, self.limits.levels)

    def assessor(self) -> Assessor:
        """Assesses performance and data quality."""
        settings = self.settings
        return Assessor(
            self.schema,
            self.kinds,
            settings.segment,
            settings.segments,
            level=self.limits.levels.concept,
        )

    def build(
        self,
        source: WindowSource,
        reports: Reports,
        publisher: Publishing,
        clock: Callable[[], float] = time.time,
        **parts: Any,  # noqa: ANN401 - fields of the job
    ) -> DriftJob:
        """The job.

        Args:
            source: gives its windows.
            reports: takes its reports.
            publisher: takes what there is to publish.
            clock: Unix time.
            parts: further ones, see :class:`DriftJob`; an assessor is in every job.
        """
        detector = Detector(self.kinds, self.limits.rule, self.settings.sample_rows)
        if "assessor" not in parts:
            parts["assessor"] = self.assessor()
        return DriftJob(self.settings, source, detector, reports, publisher, clock, **parts)


def _trained(artefact: Artefact) -> float | None:
    try:
        return datetime.fromisoformat(artefact.created).timestamp()
    except ValueError:  # of an artefact that others made
        return None


def _calibration(settings: DriftSettings) -> Calibration | None:
    if settings.reference_window:
        if settings.calibration:
            raise DriftSettingsError("a calibration is of the training reference, not of a window")
        return None
    path = settings.calibration or settings.artefact / FILE
    if settings.calibration is None and not path.exists():
        return None
    return Calibration.load(path)

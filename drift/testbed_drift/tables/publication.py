"""Results of tables as metrics: pushed over OTLP, written into a textfile, or neither."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from testbed_otel import names

from testbed_drift.jobs.assembly import METER, telemetry_of
from testbed_drift.jobs.versionjobs import VersionRun
from testbed_drift.jobs.versionpublishing import VersionPublishers
from testbed_drift.publishing.ending import ending
from testbed_drift.publishing.gauges import Publisher, of_model
from testbed_drift.publishing.windowgroups import GroupGauges, together
from testbed_drift.scoring.limits import ColumnLimits

if TYPE_CHECKING:
    from testbed_otel.sdk import Telemetry

    from testbed_drift.evaluation.results import RunResult
    from testbed_drift.publishing.textfile import Textfile
    from testbed_drift.settings import DriftSettings
    from testbed_drift.tables.job import Grouping
    from testbed_drift.tables.reference import Reference

# Each version has all metrics of a model: a column of many values must not make them endless.
MAX_VERSIONS: Final = 20


class Publication:
    """Takes the results of one command, and publishes them under the names of the log's.

    Without groups each window is a run, as of the log. Segments have the metrics of segments;
    versions have all metrics, each under its own ``model_version``; the command is one run then.

    Args:
        endpoint: OTLP endpoint; ``none`` pushes nothing.
        textfile: file to write, or None.
    """

    def __init__(self, endpoint: str, textfile: Textfile | None) -> None:
        self._endpoint = endpoint
        self._textfile = textfile
        self._telemetry: Telemetry | None = None
        self._results: list[RunResult] = []
        self._publisher: Publisher | None = None
        self._segments: GroupGauges | None = None
        self._versions: VersionPublishers | None = None
        self._columns: tuple[str, ...] = ()
        self._left: set[str] = set()

    def begin(self, reference: Reference, settings: DriftSettings, grouping: Grouping) -> None:
        """Say what the results will be of.

        Args:
            reference: compared with.
            settings: whose share of drifted columns decides.
            grouping: by what results are distinguished.

        Raises:
            DriftSettingsError: a variable of OpenTelemetry can't be used.
        """
        columns = tuple(reference.schema.kinds)
        meter, calibration = self._measure(reference.name).meter, reference.calibration
        fixed = of_model(ColumnLimits.of(settings, calibration).minimum, calibration)
        alone = () if grouping.column else columns
        self._publisher = Publisher(meter(METER), reference.name, alone, None, fixed)
        if grouping.segment:
            self._segments = GroupGauges(
                meter(f"{METER}.segments"), reference.name, settings.alert_share
            )
        if grouping.version:
            self._versions, self._columns = VersionPublishers(meter), columns

    def take(self, group: str | None, result: RunResult, rows: tuple[int, int]) -> None:
        """Take over what became of a window.

        Args:
            group: whose it is, or None where all rows are one group.
            result: what became of it.
            rows: of the reference and of the window.
        """
        self._results.append(result)
        if group is None or self._publisher is None:
            if self._publisher:
                self._publisher.publish(result)
        elif self._segments:
            self._segments.take(group, result, rows)
        elif self._versions:
            self._take_version(group, result)

    def fail(self, result: RunResult) -> None:
        """Take over that the command ended before its time."""
        if self._publisher is None:
            telemetry = self._telemetry or self._measure(Path(result.model_version).stem)
            self._publisher = Publisher(telemetry.meter(METER), result.model_version, ())
        self._publisher.publish(result)
        self._segments = self._versions = None  # the run is reported

    def end(self) -> list[str]:
        """Publish what is left; returns a line about what could not be.

        Raises:
            TextfileError: the textfile could not be written.
        """
        if self._telemetry is None:
            return []
        if self._publisher and (self._segments or self._versions) and self._results:
            self._publisher.publish(together(self._results))
        evaluated = any(result.finding for result in self._results)
        left = [f"more than {MAX_VERSIONS} versions: {len(self._left)} are not published"]
        return (left if self._left else []) + ending(
            self._telemetry, self._textfile, evaluated=evaluated
        )

    def _measure(self, reference: str) -> Telemetry:
        """Begin to measure; the resource says what tables are compared with."""
        self._telemetry = telemetry_of(self._endpoint, {names.DRIFT_REFERENCE: reference})
        return self._telemetry

    def _take_version(self, version: str, result: RunResult) -> None:
        assert self._versions is not None  # noqa: S101 - for mypy: the caller knows
        if version not in self._versions.known and len(self._versions.known) >= MAX_VERSIONS:
            self._left.add(version)
        else:
            self._versions.publish(version, VersionRun(result, self._columns))

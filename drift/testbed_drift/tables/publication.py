"""Results of tables as metrics: pushed over OTLP, written into a textfile, or neither."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from opentelemetry.metrics import CallbackOptions, Observation
from testbed_otel import names

from testbed_drift.jobs.assembly import METER, telemetry_of
from testbed_drift.jobs.versionjobs import VersionRun
from testbed_drift.jobs.versionpublishing import VersionPublishers
from testbed_drift.judging.decision import Action
from testbed_drift.judging.results import OUTCOMES
from testbed_drift.judging.segmentdrift import SegmentDrift, rank
from testbed_drift.publishing import segmentindicators
from testbed_drift.publishing.bound import Bound
from testbed_drift.publishing.ending import ending
from testbed_drift.publishing.gauges import Publisher, of_model
from testbed_drift.scoring.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from opentelemetry.metrics import Meter
    from testbed_otel.names import Metric
    from testbed_otel.sdk import Telemetry

    from testbed_drift.judging.results import RunResult
    from testbed_drift.judging.segmentdrift import SegmentState
    from testbed_drift.publishing.textfile import Textfile
    from testbed_drift.settings import DriftSettings
    from testbed_drift.tables.job import Grouping
    from testbed_drift.tables.reference import Reference

# Each version has all metrics of a model: a column of many values must not make them endless.
MOST_VERSIONS: Final = 20


class Publication:
    """Takes the results of one command, and publishes them under the names of the log's.

    Without groups each window is a run, as of the log. Segments have the metrics of segments;
    versions have all metrics, each under its own ``model_version``; the command is one run then.

    Args:
        endpoint: OTLP endpoint; ``none`` pushes nothing.
        textfile: file to write, or None.
        reference: what tables are compared with, as the resource tells it.
    """

    def __init__(self, endpoint: str, textfile: Textfile | None, reference: str) -> None:
        self._telemetry: Telemetry = telemetry_of(endpoint, {names.DRIFT_REFERENCE: reference})
        self._textfile = textfile
        self._results: list[RunResult] = []
        self._publisher: Publisher | None = None
        self._segments: _Segments | None = None
        self._versions: VersionPublishers | None = None
        self._of_version: tuple[tuple[str, ...], float] = ((), 0.0)
        self._left: set[str] = set()

    def begin(self, reference: Reference, settings: DriftSettings, grouping: Grouping) -> None:
        """Say what the results will be of.

        Args:
            reference: compared with.
            settings: whose share of drifted columns decides.
            grouping: by what results are told apart.
        """
        columns, share = tuple(reference.schema.kinds), settings.alert_share
        meter, calibration = self._telemetry.meter, reference.calibration
        fixed = of_model(Limits.of(settings, calibration).least, calibration)
        alone = () if grouping.column else columns
        self._publisher = Publisher(meter(METER), share, reference.name, alone, None, fixed)
        if grouping.segment:
            self._segments = _Segments(meter(f"{METER}.segments"), reference.name, share)
        if grouping.version:
            self._versions, self._of_version = VersionPublishers(meter), (columns, share)

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

    def fail(self, result: RunResult, settings: DriftSettings) -> None:
        """Take over that the command ended before its time."""
        if self._publisher is None:
            share, meter = settings.alert_share, self._telemetry.meter(METER)
            self._publisher = Publisher(meter, share, result.model_version, ())
        self._publisher.publish(result)
        self._segments = self._versions = None  # the run is told

    def end(self) -> list[str]:
        """Publish what is left; returns a line about what could not be."""
        if self._publisher and (self._segments or self._versions) and self._results:
            self._publisher.publish(_together(self._results))
        judged = any(result.finding for result in self._results)
        left = [f"more than {MOST_VERSIONS} versions: {len(self._left)} are not published"]
        return (left if self._left else []) + ending(self._telemetry, self._textfile, judged=judged)

    def _take_version(self, version: str, result: RunResult) -> None:
        assert self._versions is not None  # noqa: S101 - for mypy: the caller knows
        if version not in self._versions.known and len(self._versions.known) >= MOST_VERSIONS:
            self._left.add(version)
        else:
            self._versions.publish(version, VersionRun(result, *self._of_version))


class _Segments:
    """Gauges of segments, beside the publisher of the job.

    Args:
        meter: one of their own: two instruments of one name in one meter would be one.
        version: what the segments are of.
        alert_share: published beside their shares.
    """

    def __init__(self, meter: Meter, version: str, alert_share: float) -> None:
        self._version = version
        self._alert_share = alert_share
        self._found: dict[str, tuple[SegmentDrift, Action | None]] = {}
        self._bound = Bound()
        metrics = (names.DRIFT_SHARE_THRESHOLD, names.DRIFT_SEGMENT_DECISION)
        for metric in (*segmentindicators.METRICS, *metrics):
            read = self._reader(metric)
            meter.create_observable_gauge(metric.name, [read], metric.unit, metric.help)

    def take(self, group: str, result: RunResult, rows: tuple[int, int]) -> None:
        """Take over what became of a segment's window; its last one stands."""
        found, (before, now) = result.finding, rows
        state: SegmentState = "error" if result.outcome == "error" else "insufficient_data"
        if found:
            state = "scored"
        drift = SegmentDrift(group, state, now, before, found.scores if found else None)
        self._found = {**self._found, group: (drift, found.decision.action if found else None)}

    def _reader(self, metric: Metric) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def read(_options: CallbackOptions) -> Iterable[Observation]:
            chosen = [
                Observation(value, {names.MODEL_VERSION: self._version, **attributes})
                for one, value, attributes in self._points()
                if one is metric
            ]
            return self._bound.first(metric.name, chosen)

        return read

    def _points(self) -> Iterator[tuple[Metric, float, dict[str, str]]]:
        ranked = sorted(self._found.values(), key=lambda pair: rank(pair[0]))
        yield names.DRIFT_SHARE_THRESHOLD, self._alert_share, {}
        yield from segmentindicators.points([drift for drift, _ in ranked])
        for drift, chosen in ranked:
            for action in Action if chosen else ():
                attributes = {names.SEGMENT: drift.name, names.DECISION: str(action)}
                yield names.DRIFT_SEGMENT_DECISION, float(action is chosen), attributes


def _together(results: list[RunResult]) -> RunResult:
    """One run that lasted as long as all, and ended as well as the best of them."""
    best = min(results, key=lambda one: OUTCOMES.index(one.outcome))
    seconds = max(one.ended for one in results) - results[0].started
    return replace(best, started=results[0].started, seconds=seconds, finding=None)

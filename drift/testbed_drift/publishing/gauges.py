"""Scores and the job's own health as OpenTelemetry metrics of the vocabulary."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any, Final, Protocol

from opentelemetry.metrics import CallbackOptions, Observation
from testbed_otel import names
from testbed_otel.sdk import counter

from testbed_drift.evaluation.decision import Action, Cause
from testbed_drift.evaluation.results import OUTCOMES
from testbed_drift.publishing import indicators, relationpoints, segmentindicators
from testbed_drift.publishing.bound import Bound
from testbed_drift.quality.trial import OUTCOMES as RETRAINING_OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from opentelemetry.metrics import Meter
    from testbed_otel.names import Metric

    from testbed_drift.evaluation.results import RunFinding, RunResult
    from testbed_drift.quality.trial import Retraining
    from testbed_drift.scoring.calibration import Calibration
    from testbed_drift.scoring.scores import ColumnDrift
    from testbed_drift.storage.memory import Memory

logger = logging.getLogger(__name__)

Point = tuple["Metric", float, dict[str, str]]

_PREDICTION: Final = (
    names.PREDICTION_DRIFT,
    names.PREDICTION_DRIFT_THRESHOLD,
    names.PREDICTION_DRIFT_DETECTED,
)
_TARGET: Final = (names.TARGET_DRIFT, names.TARGET_DRIFT_THRESHOLD, names.TARGET_DRIFT_DETECTED)
_OF_FINDING: Final = (
    names.DRIFT_COLUMN_SCORE,
    names.DRIFT_COLUMN_THRESHOLD,
    names.DRIFT_COLUMN_DETECTED,
    names.DRIFT_SHARE,
    names.DRIFT_SHARE_THRESHOLD,
    *_TARGET,
    *_PREDICTION,
    names.DRIFT_DECISION,
    names.DRIFT_CAUSE,
    names.DRIFT_WINDOW_ROWS,
    names.DRIFT_WINDOW_NEWEST,
    *indicators.METRICS,
    *segmentindicators.METRICS,
    *relationpoints.METRICS,
)
_OF_MODEL: Final = (names.DRIFT_ROWS_NEEDED, names.CALIBRATION_TIME)
_OF_JOB: Final = (names.DRIFT_RUN_DURATION, names.DRIFT_LAST_RUN, names.DRIFT_LAST_COMPLETED)
STATE_VERSION: Final = 1


class StateStore(Protocol):
    """Keeps one object from process to process."""

    def write_state(self, content: dict[str, Any]) -> None:
        """Keep it, whole or not at all."""

    def read_state(self) -> dict[str, Any]:
        """What was kept last; empty where there is nothing."""


class Publisher:
    """Keeps the last values for whoever collects: the periodic export, or a flush.

    Observable gauges, so that a series that the last comparison no longer has (labels stopped, a
    column's values all missing) ends instead of standing still.

    Args:
        meter: makes the instruments.
        alert_share: published beside the share, so that rules need not repeat it.
        model_version: the model that is watched.
        columns: its columns, whose detections are counted from 0 on.
        state: keeps the values of the last comparison, so that a process that starts anew, or that
            runs once and finds too few rows, carries on with them; None keeps nothing.
        fixed: what holds for this model in every run.
    """

    def __init__(
        self,
        meter: Meter,
        alert_share: float,
        model_version: str,
        columns: Iterable[str],
        state: StateStore | None = None,
        fixed: Mapping[Metric, float] | None = None,
    ) -> None:
        self._alert_share = alert_share
        self._state = state
        self._fixed = _fixed(model_version, fixed or {})
        before = state.read_state() if state else {}
        self._finding = restored(before, model_version)
        self._job = restored_job(before)
        self._bound = Bound()
        self._runs = counter(meter, names.DRIFT_RUNS)
        for outcome in OUTCOMES:
            self._runs.add(0, {names.OUTCOME: outcome})  # a rate needs the zero before the one
        self._detections = counter(meter, names.DRIFT_DETECTIONS)
        self._columns = tuple(columns)
        for column in self._columns:
            self._detected(0, model_version, column)
        self._trained: dict[str, list[Observation]] = {}
        self._trainings = counter(meter, names.RETRAINING_RUNS)
        for ending in RETRAINING_OUTCOMES:
            self._trainings.add(0, {names.OUTCOME: ending})
        for metric in (*_OF_FINDING, *_OF_MODEL, *_OF_JOB, *indicators.RETRAINING_METRICS):
            meter.create_observable_gauge(
                metric.name, [self._reader(metric.name)], metric.unit, metric.help
            )

    def publish(self, result: RunResult, memory: Memory | None = None) -> None:
        """Take over what a run found; a run without a decision leaves the last one standing.

        Args:
            result: the run.
            memory: kept with the values for the next process.
        """
        job = dict(self._job)
        job[names.DRIFT_RUN_DURATION.name, ""] = Observation(result.seconds)
        job[names.DRIFT_LAST_RUN.name, result.outcome] = Observation(
            result.ended, {names.OUTCOME: result.outcome}
        )
        if result.outcome != "error":
            job[names.DRIFT_LAST_COMPLETED.name, ""] = Observation(result.ended)
        found = result.finding
        finding = self._observations(found, result.model_version) if found else self._finding
        # Kept before they count: what a kill leaves behind has never been counted twice.
        self._keep(kept(finding, result.model_version, job, memory) | {"record": result.record()})
        self._job, self._finding = job, finding
        self._runs.add(1, {names.OUTCOME: result.outcome})
        if found and found.fresh:
            for column in found.scores.columns:
                self._detected(int(column.drifted), result.model_version, column.column)

    def follow(self, model_version: str, fixed: Mapping[Metric, float]) -> None:
        """Go on with another model of the same columns; the values of the old one end."""
        self._finding, self._fixed = {}, _fixed(model_version, fixed)
        for column in self._columns:
            self._detected(0, model_version, column)

    def retrained(self, found: Retraining, *, before: bool = False) -> None:
        """Take over what a training came to.

        Args:
            found: the training.
            before: whether another process counted it.
        """
        trained: dict[str, list[Observation]] = {}
        for metric, value, attributes in indicators.retraining_points(found):
            trained.setdefault(metric.name, []).append(Observation(value, attributes))
        self._trained = trained
        if not before:
            self._trainings.add(1, {names.OUTCOME: found.outcome})

    def _keep(self, content: dict[str, Any]) -> None:
        if self._state is None:
            return
        try:
            self._state.write_state(content)
        except OSError as error:
            logger.error("cannot keep the values: %s", error)  # noqa: TRY400 - one line will do

    def _detected(self, windows: int, version: str, column: str) -> None:
        self._detections.add(windows, {names.MODEL_VERSION: version, names.COLUMN: column})

    def _reader(self, name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        # The maps are replaced and never changed, so the exporting thread needs no lock.
        def read(_options: CallbackOptions) -> Iterable[Observation]:
            job = [point for (metric, _), point in self._job.items() if metric == name]
            maps = (self._finding, self._fixed, self._trained)
            return self._bound.first(name, job + [p for found in maps for p in found.get(name, [])])

        return read

    def _observations(self, found: RunFinding, version: str) -> dict[str, list[Observation]]:
        grouped: dict[str, list[Observation]] = {}
        for metric, value, attributes in self._points(found):
            if math.isfinite(value):
                point = Observation(value, {names.MODEL_VERSION: version, **attributes})
                grouped.setdefault(metric.name, []).append(point)
        return grouped

    def _points(self, found: RunFinding) -> Iterator[Point]:
        scores = found.scores
        yield names.DRIFT_SHARE, scores.share, {}
        yield names.DRIFT_SHARE_THRESHOLD, self._alert_share, {}
        for action in Action:
            chosen = found.decision.action is action
            yield names.DRIFT_DECISION, float(chosen), {names.DECISION: str(action)}
        for cause in Cause:
            yield names.DRIFT_CAUSE, float(cause in found.decision.causes), {names.CAUSE: cause}
        for window, which in ((found.reference, "reference"), (found.current, "current")):
            yield names.DRIFT_WINDOW_ROWS, window.rows, {names.WINDOW: which}
            if window.newest is not None:
                yield names.DRIFT_WINDOW_NEWEST, window.newest, {names.WINDOW: which}
        for column in scores.columns:
            yield from _column_points(column)
        yield from _class_points(_PREDICTION, scores.prediction)
        if scores.target:
            yield from _class_points(_TARGET, scores.target)
        if found.assessment:
            yield from indicators.points(found.assessment)
        if found.relations:
            yield from relationpoints.points(found.relations)
        yield from segmentindicators.points(found.segments)


def of_model(least: int, calibration: Calibration | None) -> dict[Metric, float]:
    """What holds in every run: the rows that a window needs, and the calibration's time."""
    created = calibration.created if calibration else None
    age = {names.CALIBRATION_TIME: created} if created else {}
    return {names.DRIFT_ROWS_NEEDED: float(least), **age}


def _fixed(version: str, values: Mapping[Metric, float]) -> dict[str, list[Observation]]:
    attributes = {names.MODEL_VERSION: version}
    return {metric.name: [Observation(value, attributes)] for metric, value in values.items()}


def _column_points(column: ColumnDrift) -> Iterator[Point]:
    for score in column.scores:
        attributes = {names.COLUMN: column.column, names.METHOD: score.method}
        yield names.DRIFT_COLUMN_SCORE, score.value, attributes
        yield names.DRIFT_COLUMN_THRESHOLD, score.threshold, attributes
    detected = float(column.drifted)
    yield names.DRIFT_COLUMN_DETECTED, detected, {names.COLUMN: column.column}


def _class_points(metrics: tuple[Metric, Metric, Metric], column: ColumnDrift) -> Iterator[Point]:
    value, threshold, detected = metrics
    for score in column.scores:
        yield value, score.value, {names.METHOD: score.method}
        yield threshold, score.threshold, {names.METHOD: score.method}
    yield detected, float(column.drifted), {}


def kept(
    observations: dict[str, list[Observation]],
    version: str,
    job: dict[tuple[str, str], Observation],
    memory: Memory | None = None,
) -> dict[str, Any]:
    """The values of a comparison and those of the job itself, JSON-ready."""
    points = [
        [name, point.value, dict(point.attributes or {})]
        for name, found in observations.items()
        for point in found
    ]
    return {
        "schema_version": STATE_VERSION,
        "model_version": version,
        "points": points,
        "job": [[name, key, point.value, point.attributes] for (name, key), point in job.items()],
        "memory": memory.to_dict() if memory else None,
    }


def remembered(state: dict[str, Any], version: str) -> dict[str, Any]:
    """The kept memory; empty where it is of another model or another form."""
    if (state.get("schema_version"), state.get("model_version")) != (STATE_VERSION, version):
        return {}
    found = state.get("memory")
    return found if isinstance(found, dict) else {}


def restored_job(state: dict[str, Any]) -> dict[tuple[str, str], Observation]:
    """Times and durations of the job's last runs, of whichever model; so ages stay right."""
    if state.get("schema_version") != STATE_VERSION:
        return {}
    known = {metric.name for metric in _OF_JOB}
    return {
        (name, key): Observation(value, attributes)
        for name, key, value, attributes in state.get("job", [])
        if name in known
    }


def restored(state: dict[str, Any], version: str) -> dict[str, list[Observation]]:
    """Inverse of :func:`kept`; nothing where the values are of another model or another form."""
    if (state.get("schema_version"), state.get("model_version")) != (STATE_VERSION, version):
        return {}
    known = {metric.name for metric in _OF_FINDING}
    found: dict[str, list[Observation]] = {}
    for name, value, attributes in state.get("points", []):
        if name in known:
            found.setdefault(name, []).append(Observation(value, attributes))
    return found

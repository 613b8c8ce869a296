"""Scores and the job's own health as OpenTelemetry metrics of the vocabulary."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.metrics import CallbackOptions, Observation
from testbed_otel import names
from testbed_otel.sdk import counter

from testbed_drift.evaluation.points import OF_FINDING, OF_JOB, OF_RETRAINING, of_retraining
from testbed_drift.evaluation.results import OUTCOMES
from testbed_drift.publishing.bound import SeriesLimiter
from testbed_drift.quality.trial import OUTCOMES as RETRAINING_OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from opentelemetry.metrics import Meter
    from testbed_otel.names import Metric

    from testbed_drift.evaluation.results import RunResult
    from testbed_drift.quality.trial import Retraining
    from testbed_drift.scoring.calibration import Calibration
    from testbed_drift.storage.memory import Memory
    from testbed_drift.storage.reports import ReportStore

_OF_MODEL: Final = (names.DRIFT_ROWS_NEEDED, names.CALIBRATION_TIME)
STATE_VERSION: Final = 1


class Publisher:
    """Stores the last values for their collectors: the periodic export, or a flush.

    Observable gauges, so that a series that the last comparison no longer has (labels stopped, a
    column's values all missing) ends instead of standing still.

    Args:
        meter: makes the instruments.
        model_version: the model that is watched.
        columns: its columns, whose detections are counted from 0 on.
        state: keeps the values of the last comparison, so that a process that starts anew, or that
            runs once and finds too few rows, carries on with them; None keeps nothing.
        fixed: what holds for this model in every run.
    """

    def __init__(
        self,
        meter: Meter,
        model_version: str,
        columns: Iterable[str],
        state: ReportStore | None = None,
        fixed: Mapping[Metric, float] | None = None,
    ) -> None:
        self._state = state
        self._fixed = _fixed(model_version, fixed or {})
        before = state.read_state() if state else {}
        self._finding = restored(before, model_version)
        self._job = restored_job(before)
        self._bound = SeriesLimiter()
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
        for metric in (*OF_FINDING, *_OF_MODEL, *OF_JOB, *OF_RETRAINING):
            meter.create_observable_gauge(
                metric.name, [self._reader(metric.name)], metric.unit, metric.help
            )

    def publish(self, result: RunResult, memory: Memory | None = None) -> None:
        """Take over what a run found; a run without a decision leaves the last one standing.

        Args:
            result: the run.
            memory: kept with the values for the next process.

        Raises:
            OSError: the values can't be stored for the next process; in this one they count.
        """
        job, finding = dict(self._job), dict[str, list[Observation]]()
        for metric, value, attributes in result.points():
            if metric in OF_JOB:
                job[metric.name, attributes.get(names.OUTCOME, "")] = Observation(value, attributes)
            elif math.isfinite(value):
                point = Observation(
                    value, {names.MODEL_VERSION: result.model_version, **attributes}
                )
                finding.setdefault(metric.name, []).append(point)
        found = result.finding
        finding = finding if found else self._finding
        try:
            # Kept before they count: what a kill leaves behind has never been counted twice.
            if self._state:
                values = stored_values(finding, result.model_version, job, memory)
                self._state.write_state(values | {"record": result.record()})
        finally:
            self._count(result, job, finding)

    def _count(
        self,
        result: RunResult,
        job: dict[tuple[str, str], Observation],
        finding: dict[str, list[Observation]],
    ) -> None:
        found = result.finding
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
        for metric, value, attributes in of_retraining(found):
            trained.setdefault(metric.name, []).append(Observation(value, attributes))
        self._trained = trained
        if not before:
            self._trainings.add(1, {names.OUTCOME: found.outcome})

    def _detected(self, windows: int, version: str, column: str) -> None:
        self._detections.add(windows, {names.MODEL_VERSION: version, names.COLUMN: column})

    def _reader(self, name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        # The maps are replaced and never changed, so the exporting thread needs no lock.
        def read(_options: CallbackOptions) -> Iterable[Observation]:
            job = [point for (metric, _), point in self._job.items() if metric == name]
            maps = (self._finding, self._fixed, self._trained)
            return self._bound.first(name, job + [p for found in maps for p in found.get(name, [])])

        return read


def of_model(minimum: int, calibration: Calibration | None) -> dict[Metric, float]:
    """What holds in every run: the rows that a window needs, and the calibration's time."""
    created = calibration.created if calibration else None
    age = {names.CALIBRATION_TIME: created} if created else {}
    return {names.DRIFT_ROWS_NEEDED: float(minimum), **age}


def _fixed(version: str, values: Mapping[Metric, float]) -> dict[str, list[Observation]]:
    attributes = {names.MODEL_VERSION: version}
    return {metric.name: [Observation(value, attributes)] for metric, value in values.items()}


def stored_values(
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
    known = {metric.name for metric in OF_JOB}
    return {
        (name, key): Observation(value, attributes)
        for name, key, value, attributes in state.get("job", [])
        if name in known
    }


def restored(state: dict[str, Any], version: str) -> dict[str, list[Observation]]:
    """Inverse of :func:`kept`; nothing where the values are of another model or another form."""
    if (state.get("schema_version"), state.get("model_version")) != (STATE_VERSION, version):
        return {}
    known = {metric.name for metric in OF_FINDING}
    found: dict[str, list[Observation]] = {}
    for name, value, attributes in state.get("points", []):
        if name in known:
            found.setdefault(name, []).append(Observation(value, attributes))
    return found

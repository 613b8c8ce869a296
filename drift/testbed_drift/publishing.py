"""Scores and the job's own health as OpenTelemetry metrics of the vocabulary."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any, Final, Protocol

from opentelemetry.metrics import CallbackOptions, Observation
from testbed_otel import names
from testbed_otel.sdk import counter

from testbed_drift import indicators, relationpoints
from testbed_drift.decision import Action
from testbed_drift.results import OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from opentelemetry.metrics import Meter
    from testbed_otel.names import Metric

    from testbed_drift.results import Finding, RunResult
    from testbed_drift.scores import ColumnDrift

logger = logging.getLogger(__name__)

Point = tuple["Metric", float, dict[str, str]]

_OF_FINDING: Final = (
    names.DRIFT_COLUMN_SCORE,
    names.DRIFT_COLUMN_THRESHOLD,
    names.DRIFT_COLUMN_DETECTED,
    names.DRIFT_SHARE,
    names.DRIFT_SHARE_THRESHOLD,
    names.TARGET_DRIFT,
    names.PREDICTION_DRIFT,
    names.DRIFT_DECISION,
    names.DRIFT_WINDOW_ROWS,
    *indicators.METRICS,
    *relationpoints.METRICS,
)
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
    """

    def __init__(
        self,
        meter: Meter,
        alert_share: float,
        model_version: str,
        columns: Iterable[str],
        state: StateStore | None = None,
    ) -> None:
        self._alert_share = alert_share
        self._state = state
        self._finding = restored(state.read_state(), model_version) if state else {}
        self._job: dict[tuple[str, str], Observation] = {}
        self._runs = counter(meter, names.DRIFT_RUNS)
        for outcome in OUTCOMES:
            self._runs.add(0, {names.OUTCOME: outcome})  # a rate needs the zero before the one
        self._detections = counter(meter, names.DRIFT_DETECTIONS)
        for column in columns:
            self._detected(0, model_version, column)
        for metric in (*_OF_FINDING, *_OF_JOB):
            meter.create_observable_gauge(
                metric.name, [self._reader(metric.name)], metric.unit, metric.help
            )

    def publish(self, result: RunResult) -> None:
        """Take over what a run found; a run without a decision leaves the last one standing."""
        self._runs.add(1, {names.OUTCOME: result.outcome})
        job = dict(self._job)
        job[names.DRIFT_RUN_DURATION.name, ""] = Observation(result.seconds)
        job[names.DRIFT_LAST_RUN.name, result.outcome] = Observation(
            result.ended, {names.OUTCOME: result.outcome}
        )
        if result.outcome != "error":
            job[names.DRIFT_LAST_COMPLETED.name, ""] = Observation(result.ended)
        self._job = job
        if result.finding:
            self._finding = self._observations(result.finding, result.model_version)
            self._keep(result.model_version)
            for column in result.finding.scores.columns:
                self._detected(int(column.drifted), result.model_version, column.column)

    def _keep(self, version: str) -> None:
        if self._state is None:
            return
        try:
            self._state.write_state(kept(self._finding, version))
        except OSError as error:
            logger.error("cannot keep the values: %s", error)  # noqa: TRY400 - one line will do

    def _detected(self, windows: int, version: str, column: str) -> None:
        self._detections.add(windows, {names.MODEL_VERSION: version, names.COLUMN: column})

    def _reader(self, name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        # The maps are replaced and never changed, so the exporting thread needs no lock.
        def read(_options: CallbackOptions) -> Iterable[Observation]:
            job = [point for (metric, _), point in self._job.items() if metric == name]
            return job + self._finding.get(name, [])

        return read

    def _observations(self, found: Finding, version: str) -> dict[str, list[Observation]]:
        grouped: dict[str, list[Observation]] = {}
        for metric, value, attributes in self._points(found):
            if math.isfinite(value):
                point = Observation(value, {names.MODEL_VERSION: version, **attributes})
                grouped.setdefault(metric.name, []).append(point)
        return grouped

    def _points(self, found: Finding) -> Iterator[Point]:
        scores = found.scores
        yield names.DRIFT_SHARE, scores.share, {}
        yield names.DRIFT_SHARE_THRESHOLD, self._alert_share, {}
        for action in Action:
            chosen = found.decision.action is action
            yield names.DRIFT_DECISION, float(chosen), {names.DECISION: str(action)}
        yield names.DRIFT_WINDOW_ROWS, found.reference.rows, {names.WINDOW: "reference"}
        yield names.DRIFT_WINDOW_ROWS, found.current.rows, {names.WINDOW: "current"}
        for column in scores.columns:
            yield from _column_points(column)
        yield from _class_points(names.PREDICTION_DRIFT, scores.prediction)
        if scores.target:
            yield from _class_points(names.TARGET_DRIFT, scores.target)
        if found.assessment:
            yield from indicators.points(found.assessment)
        if found.relations:
            yield from relationpoints.points(found.relations)


def _column_points(column: ColumnDrift) -> Iterator[Point]:
    for score in column.scores:
        attributes = {names.COLUMN: column.column, names.METHOD: score.method}
        yield names.DRIFT_COLUMN_SCORE, score.value, attributes
        yield names.DRIFT_COLUMN_THRESHOLD, score.threshold, attributes
    detected = float(column.drifted)
    yield names.DRIFT_COLUMN_DETECTED, detected, {names.COLUMN: column.column}


def _class_points(metric: Metric, column: ColumnDrift) -> Iterator[Point]:
    for score in column.scores:
        yield metric, score.value, {names.METHOD: score.method}


def kept(observations: dict[str, list[Observation]], version: str) -> dict[str, Any]:
    """The values of a comparison, JSON-ready."""
    points = [
        [name, point.value, dict(point.attributes or {})]
        for name, found in observations.items()
        for point in found
    ]
    return {"schema_version": STATE_VERSION, "model_version": version, "points": points}


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

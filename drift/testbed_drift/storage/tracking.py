"""Runs of the job and challengers, logged to an MLflow tracking server; the extra ``mlflow``.

The server is nothing that the job depends on: what can't be logged is an outcome, counted in
``ml.tracking.runs``, and after a failure the server is left alone for a while. Only
:mod:`testbed_drift.storage.trackingclient` imports MLflow.
"""

from __future__ import annotations

import logging
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from testbed_otel import names
from testbed_otel.sdk import counter

from testbed_drift.rows.columns import PREDICTION, TARGET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from opentelemetry.metrics import Counter, Meter
    from testbed_domain.artefact import Artefact

    from testbed_drift.evaluation.results import RunFinding, RunResult
    from testbed_drift.rows.extents import WindowSummary

logger = logging.getLogger(__name__)

TrackingOutcome = Literal["logged", "failed", "skipped"]
OUTCOMES: Final[tuple[TrackingOutcome, ...]] = ("logged", "failed", "skipped")
# Seconds for which a server that failed is not asked again: it may cost a time-out every time.
PAUSE: Final = 300.0
# Names of points as parameters and metrics of a run; the attributes' values stand in the braces.
_PARAMS: Final = {
    names.DRIFT_COLUMN_THRESHOLD: "threshold/{column}/{method}",
    names.PREDICTION_DRIFT_THRESHOLD: f"threshold/{PREDICTION}/{{method}}",
    names.TARGET_DRIFT_THRESHOLD: f"threshold/{TARGET}/{{method}}",
    names.RELATIONS_THRESHOLD: "threshold/{method}",
}
_METRICS: Final = {
    names.DRIFT_RUN_DURATION: "seconds",
    names.DRIFT_RATIO: "drift_share",
    names.DRIFT_COLUMN_SCORE: "score/{column}/{method}",
    names.DRIFT_COLUMN_DETECTED: "drifted/{column}",
    names.PREDICTION_DRIFT: f"score/{PREDICTION}/{{method}}",
    names.PREDICTION_DRIFT_DETECTED: f"drifted/{PREDICTION}",
    names.TARGET_DRIFT: f"score/{TARGET}/{{method}}",
    names.TARGET_DRIFT_DETECTED: f"drifted/{TARGET}",
    names.RELATIONS_SCORE: "score/{method}",
    names.PERFORMANCE_SCORE: "performance/{basis}/{score}",
    names.DRIFT_SEGMENT_ROWS: "segment/{segment}/rows",
    names.DRIFT_SEGMENT_RATIO: "segment/{segment}/drift_share",
    names.PERFORMANCE_SEGMENT_SCORE: "segment/{segment}/performance/realised/{score}",
    names.PERFORMANCE_SEGMENT_ESTIMATE: "segment/{segment}/performance/estimated/{score}",
}
_REFUSED: Final = re.compile(r"[^\w\-. :/]", re.ASCII)


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """A run as the tracking server shows it.

    Attributes:
        name: its name.
        started: Unix time.
        ended: Unix time.
        params: what it was done with.
        metrics: what it found; all finite.
        tags: what to search by.
        files: files, and folders with all that they hold.
    """

    name: str
    started: float
    ended: float
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    files: Sequence[Path]


class TrackingClient(Protocol):
    """Takes runs."""

    def log(self, entry: TrackedRun) -> None:
        """Log a run, whole; any exception means that it is not."""


@dataclass(slots=True)
class Tracker:
    """Logs to a tracking server, and outlives its failures.

    Attributes:
        connect: makes the client, when there is something to log; None where there is no server.
        meter: makes the counter of what became of the runs.
        clock: Unix time.
        pause: see :data:`PAUSE`.
    """

    connect: Callable[[], TrackingClient] | None
    meter: Meter
    clock: Callable[[], float]
    pause: float = PAUSE
    _client: TrackingClient | None = field(default=None, init=False)
    _failed: float = field(default=-math.inf, init=False)
    _counter: Counter = field(init=False)

    def __post_init__(self) -> None:
        self._counter = counter(self.meter, names.TRACKING_RUNS)
        for outcome in OUTCOMES:
            self._counter.add(0, {names.OUTCOME: outcome})  # as in the publisher

    def log_run(self, result: RunResult) -> TrackingOutcome | None:
        """Log a run that came to a decision, with its reports.

        Returns:
            What became of it; None where there is no server, or nothing was found.
        """
        if self.connect is None or result.finding is None:
            return None
        return self._log(run_entry(result, result.finding))

    def log_challenger(
        self, artefact: Artefact, scores: Mapping[str, float], verdict: str
    ) -> TrackingOutcome | None:
        """Log a model that was trained anew, as a run with the artefact's files.

        Args:
            artefact: the challenger.
            scores: how it did beside the champion, by name, for example on a hold-out.
            verdict: what became of it, for example ``promoted``.

        Returns:
            As :meth:`log_run`.
        """
        if self.connect is None:
            return None
        return self._log(challenger_entry(artefact, scores, verdict, self.clock()))

    def _log(self, entry: TrackedRun) -> TrackingOutcome:
        outcome = self._tried(entry)
        self._counter.add(1, {names.OUTCOME: outcome})
        return outcome

    def _tried(self, entry: TrackedRun) -> TrackingOutcome:
        if self.clock() - self._failed < self.pause:
            return "skipped"
        try:
            if self._client is None:
                assert self.connect  # noqa: S101 - for mypy: who calls has looked
                self._client = self.connect()
            self._client.log(entry)
        except Exception as error:  # noqa: BLE001 - whatever it is, the job goes on
            self._failed = self.clock()
            text = " ".join(str(error).split())
            logger.error(  # noqa: TRY400 - one line will do
                "run %r is not logged to the tracking server, which is left alone for %d s: %s: %s",
                entry.name,
                self.pause,
                type(error).__name__,
                text,
            )
            return "failed"
        return "logged"


def run_entry(result: RunResult, found: RunFinding) -> TrackedRun:
    """A run of the job: windows, limits and thresholds, scores, segments, decision, reports."""
    params = {
        "alert_share": f"{found.policy.alert_share:g}",
        "retrain_share": f"{found.policy.retrain_share:g}",
        **_window("reference", found.reference),
        **_window("current", found.current),
    }
    metrics = {}
    for metric, value, attributes in result.points():
        if metric in _PARAMS:
            params[_PARAMS[metric].format(**attributes)] = f"{value:g}"
        elif metric in _METRICS and attributes.get(names.WINDOW) != "reference":
            metrics[_METRICS[metric].format(**attributes)] = value
    return TrackedRun(
        f"{found.reference.name} vs {found.current.name}",
        result.started,
        result.ended,
        _named(params),
        _finite(metrics),
        {
            "kind": "drift",
            "decision": str(found.decision.action),
            "reasons": "; ".join(found.decision.reasons),
            "model_version": result.model_version,
        },
        tuple(path for path in (found.json, found.html) if path),
    )


def challenger_entry(
    artefact: Artefact, scores: Mapping[str, float], verdict: str, now: float
) -> TrackedRun:
    """A challenger: what it was trained on, how it does, its files."""
    params = {
        "use_case": artefact.use_case,
        "seed": str(artefact.seed),
        "created": artefact.created,
        "sampling": artefact.sampling,
        **{f"source/{name}": text for name, text in artefact.source.items()},
        **{f"rows/{name}": str(rows) for name, rows in artefact.splits.items()},
    }
    tested = {f"test/{name}": value for name, value in artefact.metrics.items()}
    return TrackedRun(
        f"challenger {artefact.version}",
        now,
        now,
        _named(params),
        _finite(tested | dict(scores)),
        {"kind": "challenger", "verdict": verdict, "model_version": artefact.version},
        (artefact.path,),
    )


def _window(which: str, window: WindowSummary) -> dict[str, str]:
    return {
        f"{which}/{name}": str(value)
        for name, value in window.to_dict().items()
        if value is not None
    }


def _named(values: Mapping[str, str]) -> dict[str, str]:
    """With names that MLflow takes; of two columns that then share one, the first stays."""
    found: dict[str, str] = {}
    for name, value in _allowed(values):
        found.setdefault(name, value)
    return found


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    """The same for metrics; MLflow's stores differ in what they make of NaN and infinities."""
    found: dict[str, float] = {}
    for name, value in _allowed(values):
        if math.isfinite(value):
            found.setdefault(name, float(value))
    return found


def _allowed(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        yield _REFUSED.sub("_", name), value

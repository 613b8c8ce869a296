"""MLflow's client in the form of :mod:`testbed_drift.storage.tracking`; takes seconds to import."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from testbed_domain.errors import DomainError

if TYPE_CHECKING:
    from testbed_drift.storage.tracking import TrackedRun, TrackingClient

URI: Final = "MLFLOW_TRACKING_URI"
EXPERIMENT: Final = "MLFLOW_EXPERIMENT_NAME"
DEFAULT_EXPERIMENT: Final = "drift"
# Read by MLflow whenever it asks: by default it tries for minutes, and sends usage data.
TIMEOUT: Final = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
# What a server takes at once.
MAX_PARAMS: Final = 100
MAX_METRICS: Final = 800
LONGEST: Final = 500

T = TypeVar("T")


class TrackingError(DomainError):
    """Runs can't be logged. One line that says what to do."""


def connect() -> TrackingClient:
    """A client of the server that ``MLFLOW_TRACKING_URI`` names.

    Raises:
        TrackingError: MLflow isn't installed.
    """
    for name, value in TIMEOUT.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient  # noqa: PLC0415 - an extra, and slow
    except ImportError as error:
        raise TrackingError(
            f"{URI} is set, but MLflow is not there: pip install 'testbed-drift[mlflow]'"
        ) from error
    name = os.environ.get(EXPERIMENT) or DEFAULT_EXPERIMENT
    return MlflowTracking(MlflowClient(os.environ[URI]), name)


@dataclass(frozen=True, slots=True)
class MlflowTracking:
    """Logs runs into one experiment.

    Attributes:
        client: MLflow's.
        experiment: name of the experiment; made if it isn't there.
    """

    client: Any
    experiment: str

    def log(self, entry: TrackedRun) -> None:
        """Log a run; one that could not be logged whole is marked as failed."""
        run = self.client.create_run(
            self._experiment_id(), _milliseconds(entry.started), _short(entry.tags), entry.name
        )
        identity = run.info.run_id
        try:
            self._fill(identity, entry)
        except Exception:
            self.client.set_terminated(identity, "FAILED")
            raise
        self.client.set_terminated(identity, "FINISHED", _milliseconds(entry.ended))

    def _fill(self, identity: str, entry: TrackedRun) -> None:
        from mlflow.entities import Metric, Param  # noqa: PLC0415 - as above

        at = _milliseconds(entry.ended)
        for some in _batches(_short(entry.params), MAX_PARAMS):
            params = [Param(name, value) for name, value in some.items()]
            self.client.log_batch(identity, params=params)
        for values in _batches(entry.metrics, MAX_METRICS):
            metrics = [Metric(name, value, at, 0) for name, value in values.items()]
            self.client.log_batch(identity, metrics=metrics)
        for path in entry.files:
            log = self.client.log_artifacts if path.is_dir() else self.client.log_artifact
            log(identity, str(path))

    def _experiment_id(self) -> str:
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 - as above

        found = self.client.get_experiment_by_name(self.experiment)
        if found is None:
            try:
                return str(self.client.create_experiment(self.experiment))
            except MlflowException:  # two jobs may begin at once
                found = self.client.get_experiment_by_name(self.experiment)
                if found is None:
                    raise
        return str(found.experiment_id)


def _milliseconds(time: float) -> int:
    return int(time * 1000)


def _short(texts: Mapping[str, str]) -> dict[str, str]:
    return {name: text[:LONGEST] for name, text in texts.items()}


def _batches(values: Mapping[str, T], maximum: int) -> Iterator[dict[str, T]]:
    items = list(values.items())
    for start in range(0, len(items), maximum):
        yield dict(items[start : start + maximum])

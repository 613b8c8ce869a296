"""Settings of single components that a scenario needs; the others are as in any other run."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from testbed.fields import StrictModel

_DRIFT = "TESTBED_DRIFT_"
_API = "TESTBED_API_"


class _Settings(StrictModel):
    def environment(self, prefix: str) -> dict[str, str]:
        """The fields that are set, as variables."""
        values = self.model_dump(mode="json", exclude_none=True, exclude={"keys"})
        return {f"{prefix}{name.upper()}": str(value) for name, value in values.items()}


class ApiOverrides(_Settings):
    """Of the API; each as ``TESTBED_API_`` and its name in capitals."""

    deadline: float | None = Field(None, gt=0, description="In real seconds: it doesn't scale.")
    log_failure: Literal["refuse", "spool"] | None = None
    log_spool_limit: int | None = Field(None, ge=4096, description="In bytes.")
    keys: bool = Field(
        default=False, description="Whether it demands API keys; the load gets one of its own."
    )


class DriftOverrides(_Settings):
    """Of the drift job; each as ``TESTBED_DRIFT_`` and its name in capitals."""

    segment: str | None = None
    segment_rows: int | None = Field(None, ge=1)
    relations_rows: int | None = Field(None, ge=0)
    versions: int | None = Field(None, ge=1)
    on_retrain: Literal["off", "builtin"] | None = None
    retrain_min_rows: int | None = Field(None, ge=20)
    models: Path | None = None


class CollectorOverrides(StrictModel):
    """Of the Collector."""

    queue_size: int | None = Field(
        None, ge=1, description="Exports that its queue to Prometheus holds."
    )


class LogOverrides(StrictModel):
    """Of the prediction log."""

    database: Literal["postgresql"] | None = Field(
        None,
        description="A server that the run starts for it, the component `database`; null: the log "
        "that `TESTBED_LOG_URL` names, else SQLite.",
    )


class ComponentSettings(StrictModel):
    """Of all components that have some."""

    api: ApiOverrides = ApiOverrides()
    drift: DriftOverrides = DriftOverrides()
    collector: CollectorOverrides = CollectorOverrides()
    log: LogOverrides = LogOverrides()

    @property
    def has_database(self) -> bool:
        """Whether the run has a database of its own."""
        return self.log.database is not None

    @property
    def api_environment(self) -> dict[str, str]:
        """Variables of the API."""
        return self.api.environment(_API)

    @property
    def drift_environment(self) -> dict[str, str]:
        """Variables of the drift job."""
        return self.drift.environment(_DRIFT)

"""The scenario schema, version 1: what is played, and what must come of it.

All durations are production durations, written as in Prometheus (``5m``, ``90s``); the run divides
them by the time scale, together with those of the rules. Rates are not scaled.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from testbed.errors import UsageError
from testbed.timescale import parse_duration

SCHEMA_VERSION = 1


def _seconds(value: object) -> object:
    return parse_duration(value) if isinstance(value, str) else value


Duration = Annotated[
    float,
    BeforeValidator(_seconds, json_schema_input_type=str | float),
    Field(ge=0, description="A duration as in Prometheus, for example 90s, 5m, 1h30m."),
]
Share = Annotated[float, Field(ge=0, le=1)]


class Model(BaseModel):
    """Base of the scenario's parts: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Drift(Model):
    """A named transformation of the sampled rows."""

    name: str = Field(description="Transformation of the load room, for example covariate_shift.")
    severity: float = Field(1.0, ge=0, description="0 changes nothing, 1 is the stated size.")


class ErrorFault(Model):
    """Share of predictions that the API answers with 500."""

    kind: Literal["errors"] = "errors"
    share: Share


class LatencyFault(Model):
    """Latency added to every inference, in real seconds: latency limits don't scale."""

    kind: Literal["latency"] = "latency"
    seconds: float = Field(gt=0, le=60)


class RestartFault(Model):
    """A part of the stack that is stopped at the start of the phase and comes back later."""

    kind: Literal["restart"] = "restart"
    part: str
    down: Duration


Fault = Annotated[ErrorFault | LatencyFault | RestartFault, Field(discriminator="kind")]


class Phase(Model):
    """A stretch of time with one load, one drift and its faults."""

    name: str
    duration: Duration
    rate: float = Field(gt=0, le=5000, description="Predictions per real second.")
    drift: Drift | None = None
    faults: tuple[Fault, ...] = ()


class ExpectedAlert(Model):
    """An alert that must ring."""

    alert: str
    phase: str = Field(description="Phase from whose start the delay counts.")
    within: Duration = Field(description="Must be notified within this time.")
    resolves_within: Duration | None = Field(
        None, description="Must be notified as resolved within this time after the phase's end."
    )
    severity: str | None = Field(
        None, description="Label `severity` of each notification; null: as its rule says."
    )
    receiver: str | None = Field(
        None, description="Receiver in Alertmanager; null: as the configured routes say."
    )
    contains: tuple[str, ...] = Field(
        (), description="Texts that stand in the annotations of each firing notification."
    )


class Labels(Model):
    """Truth that arrives later through POST /labels."""

    share: Share = 1.0
    delay: Duration = 60.0


class Limits(Model):
    """What the service itself must keep."""

    error_share: Share = Field(0.0, description="Share of predictions answered 5xx or not at all.")
    p95_seconds: float = Field(1.0, gt=0, description="95th percentile of latency seen by load.")
    lost_requests: int = Field(0, ge=0, description="Requests missing in Prometheus at the end.")
    repeats: int = Field(
        1, ge=0, description="Identical notifications of one episode at one receiver."
    )


DriftCause = Literal["columns", "prediction", "target", "concept", "relations"]


class Scenario(Model):
    """One scenario file."""

    schema_version: Literal[1] = 1
    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    title: str
    description: str
    use_case: str = "diabetes"
    time_scale: float = Field(30.0, ge=1, le=1000)
    phases: tuple[Phase, ...] = Field(min_length=1)
    settle: Duration = Field(0.0, description="Time after the load in which alerts may resolve.")
    labels: Labels = Labels()
    expected_alerts: tuple[ExpectedAlert, ...] = ()
    allowed_alerts: tuple[str, ...] = Field((), description="May ring; every other is forbidden.")
    expected_decision: tuple[Literal["NO_ACTION", "ALERT", "RETRAIN"], ...] = Field(
        ("NO_ACTION",), description="Most severe decision of the drift job: one of these."
    )
    expected_causes: tuple[DriftCause, ...] = Field(
        (), description="What decisions of the drift job must stand on, each at least once."
    )
    allowed_causes: tuple[DriftCause, ...] | None = Field(
        None, description="What else they may stand on; null allows anything."
    )
    expected_columns: tuple[str, ...] | None = Field(
        None,
        description="Columns that the drift job must name, and no other; null: those that the load "
        "moved.",
    )
    muted_alerts: tuple[str, ...] = Field(
        (), description="May be held back by Alertmanager though they fire."
    )
    limits: Limits = Limits()
    traces: bool = Field(default=True, description="Whether sampling must yield spans.")
    logs: bool = Field(default=False, description="Whether the API sends its log records.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [phase.name for phase in self.phases]
        if len(set(names)) < len(names):
            raise ValueError("phase names must differ")
        for expected in self.expected_alerts:
            if expected.phase not in names:
                raise ValueError(
                    f"alert {expected.alert} names the phase {expected.phase!r}; "
                    f"the scenario has {', '.join(names)}"
                )
        return self

    @property
    def duration(self) -> float:
        """Seconds of load, unscaled."""
        return sum(phase.duration for phase in self.phases)


def read_scenario(path: Path) -> Scenario:
    """Read and check a scenario file.

    Raises:
        UsageError: the file is missing, no YAML, or breaks the schema; names the field.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"cannot read the scenario {path}: {error}") from error
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UsageError(f"{path}: {where}: {first['msg']}") from error

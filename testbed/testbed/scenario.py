"""The scenario schema, version 1: what is played, and what must come of it.

All durations are production durations, written as in Prometheus (``5m``, ``90s``); the run divides
them by the time scale, together with those of the rules. Rates are not scaled.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator
from testbed_domain.features import Task

from testbed.errors import UsageError
from testbed.faults import Fault, OtlpFault
from testbed.fields import Duration, Share, StrictModel
from testbed.partsettings import PartSettings
from testbed.yamlfile import read_yaml

SCHEMA_VERSION = 1


class Only(StrictModel):
    """Which rows drift: those with this value of a category, or with more than this in a number."""

    column: str
    equals: str | None = None
    above: float | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.equals is None) == (self.above is None):
            raise ValueError("give either equals or above")
        return self

    def holds(self, row: Mapping[str, object]) -> bool:
        """Whether a row, as it was drawn, drifts."""
        value = row.get(self.column)
        if self.above is None:
            return value == self.equals
        return isinstance(value, int | float) and value > self.above

    @property
    def words(self) -> str:
        """The condition, for people."""
        if self.equals is not None:
            return f"{self.column} = {self.equals}"
        return f"{self.column} > {self.above:g}"


class Drift(StrictModel):
    """A named transformation of the sampled rows."""

    name: str = Field(
        description="Transformation of the load package, for example covariate_shift."
    )
    severity: float = Field(1.0, ge=0, description="0 changes nothing, 1 is the stated size.")
    only: Only | None = Field(None, description="The rows that drift; null: all.")


class Phase(StrictModel):
    """A stretch of time with one load, one drift and its faults."""

    name: str
    duration: Duration
    rate: float = Field(gt=0, le=5000, description="Predictions per real second.")
    drift: Drift | None = None
    faults: tuple[Fault, ...] = ()


class ExpectedAlert(StrictModel):
    """An alert that must fire."""

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
    labels: dict[str, str] = Field(
        {}, description="Labels that distinguish the alert from others of its name."
    )
    contains: tuple[str, ...] = Field(
        (), description="Texts that stand in the annotations of each firing notification."
    )


class Labels(StrictModel):
    """Truth that arrives later through POST /labels."""

    share: Share = 1.0
    delay: Duration = 60.0


class RequestLimits(StrictModel):
    """What the service itself must keep."""

    error_share: Share = Field(0.0, description="Share of predictions answered 5xx or not at all.")
    p95_seconds: float = Field(1.0, gt=0, description="95th percentile of latency seen by load.")
    lost_requests: int = Field(0, ge=0, description="Requests missing in Prometheus at the end.")
    repeats: int = Field(
        1, ge=0, description="Identical notifications of one episode at one receiver."
    )


DriftCause = Literal["columns", "prediction", "target", "concept", "relations"]


class Scenario(StrictModel):
    """One scenario file."""

    schema_version: Literal[1] = 1
    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    title: str
    description: str
    use_case: str = "diabetes"
    task: Task | None = Field(
        None, description="What the model must learn; null plays with either."
    )
    time_scale: float = Field(30.0, ge=1, le=1000)
    phases: tuple[Phase, ...] = Field(min_length=1)
    settle: Duration = Field(0.0, description="Time after the load in which alerts may resolve.")
    labels: Labels = Labels()
    settings: PartSettings = PartSettings()
    reference_rows: int = Field(
        0, ge=0, description="Rows that a model's reference needs for the doses to be certain."
    )
    expected_alerts: tuple[ExpectedAlert, ...] = ()
    allowed_alerts: tuple[str, ...] = Field((), description="May fire; every other is forbidden.")
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
    limits: RequestLimits = RequestLimits()
    traces: bool = Field(default=True, description="Whether sampling must yield spans.")
    logs: bool = Field(default=False, description="Whether the API sends its log records.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [phase.name for phase in self.phases]
        if len(set(names)) < len(names):
            raise ValueError("phase names must differ")
        for phase in self.phases:
            faults = [fault.label.split()[0] for fault in phase.faults]
            if len(set(faults)) < len(faults):
                raise ValueError(f"phase {phase.name} has two faults of one kind")
        for expected in self.expected_alerts:
            if expected.phase not in names:
                raise ValueError(
                    f"alert {expected.alert} names the phase {expected.phase!r}; "
                    f"the scenario has {', '.join(names)}"
                )
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the scenario names: use cases that lack one can't be played with it."""
        named = [
            phase.drift.only.column for phase in self.phases if phase.drift and phase.drift.only
        ]
        named += [self.settings.drift.segment] if self.settings.drift.segment else []
        return tuple(dict.fromkeys([*named, *(self.expected_columns or ())]))

    @property
    def gates(self) -> tuple[str, ...]:
        """Receivers of OTLP that a fault shuts."""
        shut = (f.to for phase in self.phases for f in phase.faults if isinstance(f, OtlpFault))
        return tuple(sorted(set(shut)))

    @property
    def duration(self) -> float:
        """Seconds of load, unscaled."""
        return sum(phase.duration for phase in self.phases)

    def for_other_rules(self) -> Self:
        """The same, without what it says of the severity, receiver and texts of its own rules."""
        blank = {"severity": None, "receiver": None, "contains": ()}
        expected = tuple(item.model_copy(update=blank) for item in self.expected_alerts)
        return self.model_copy(update={"expected_alerts": expected})


def read_scenario(path: Path) -> Scenario:
    """Read and check a scenario file.

    Raises:
        UsageError: the file is missing, no YAML, or breaks the schema; names the field.
    """
    data = read_yaml(path, "the scenario")
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UsageError(f"{path}: {where}: {first['msg']}") from error

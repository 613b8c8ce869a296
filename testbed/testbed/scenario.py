"""The scenario schema, version 1: what is played, and what must come of it.

All durations are production durations, written as in Prometheus (``5m``, ``90s``); the run divides
them by the time scale, together with those of the rules. Rates are not scaled.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from testbed_domain.features import Task
from testbed_domain.problems import nearest
from testbed_domain.yamlmodel import read_model
from testbed_load.arrivals import Arrivals, mean_rate, peak_rate
from testbed_load.plan import LoadPhase, PhaseDrift
from testbed_load.shapes import Shape
from testbed_load.shapes.base import MAX_RATE

from testbed.assertions import Assertion
from testbed.componentsettings import ComponentSettings
from testbed.decisions import Decision, DriftCause
from testbed.faults import Fault
from testbed.fields import Duration, Ratio, StrictModel
from testbed.stack.links import Link
from testbed.targets import Service

MAX_USERS: Final = 500
USUAL_ANSWER: Final = 0.1
"""Seconds that an answer is taken to need where the number of requests must be estimated."""


class Phase(StrictModel):
    """A stretch of time with one load, one drift and its faults."""

    name: str
    duration: Duration
    rate: float | None = Field(
        None, gt=0, le=MAX_RATE, description="Predictions per real second; or a shape, or users."
    )
    shape: Shape | None = Field(None, description="A rate that changes during the phase.")
    users: int | None = Field(
        None,
        ge=1,
        le=MAX_USERS,
        description="Closed load: so many users, each of whom sends once it is answered.",
    )
    wait: float = Field(
        0.0,
        ge=0,
        description="Real seconds that each of the users thinks after an answer; with poisson "
        "arrivals their mean.",
    )
    spawn_rate: float | None = Field(
        None, gt=0, description="Users that begin per real second; null: within one wait."
    )
    arrivals: Arrivals = Field(
        "even", description="Evenly spaced, or drawn from the seed as a Poisson process."
    )
    drift: PhaseDrift | None = None
    faults: tuple[Fault, ...] = ()

    @model_validator(mode="after")
    def _one_rate(self) -> Self:
        if sum(each is not None for each in (self.rate, self.shape, self.users)) != 1:
            raise ValueError("give one of rate, shape and users")
        if self.users is None and (self.wait or self.spawn_rate):
            raise ValueError("wait and spawn_rate are of users")
        if self.users is not None and self.drift is not None and self.drift.form is not None:
            raise ValueError("drift.form needs a rate or a shape: it goes by when requests are due")
        return self

    @property
    def closed(self) -> bool:
        """Whether its requests follow from answers, so that none is planned."""
        return self.users is not None

    @property
    def mean_rate(self) -> float:
        """Predictions per real second over the whole phase; of users an estimate."""
        if self.users is not None:
            return self.users / (self.wait + USUAL_ANSWER)
        return mean_rate(self.rate, self.shape)

    @property
    def peak_rate(self) -> float:
        """The most predictions per real second."""
        return peak_rate(self.rate, self.shape)

    @property
    def load(self) -> str:
        """The rate in words."""
        if self.users is not None:
            return f"{self.users} users, {self.wait:g} s of thought"
        rate = self.shape.description if self.shape else f"{self.rate:g}/s"
        return rate if self.arrivals == "even" else f"{rate}, {self.arrivals} arrivals"

    def played(self, factor: float) -> LoadPhase:
        """What the load gets of it at a time scale."""
        return LoadPhase(
            name=self.name,
            duration=self.duration / factor,
            rate=self.rate,
            drift=self.drift,
            shape=self.shape,
            arrivals=self.arrivals,
            users=self.users,
            wait=self.wait,
            spawn_rate=self.spawn_rate,
        )


class NumberRange(StrictModel):
    """Bounds of a number, both included."""

    min: int = Field(0, ge=0)
    max: int | None = Field(None, ge=0, description="null: no bound.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max is not None and self.min > self.max:
            raise ValueError("min is larger than max")
        return self

    def __contains__(self, number: int) -> bool:
        return self.min <= number and (self.max is None or number <= self.max)

    def __str__(self) -> str:
        if self.min == self.max:
            return f"{self.min}"
        return f"at least {self.min}" if self.max is None else f"from {self.min} to {self.max}"


def _bounds(value: object) -> object:
    exact = isinstance(value, int) and not isinstance(value, bool)
    return {"min": value, "max": value} if exact else value


def _texts(value: object) -> object:
    return (value,) if isinstance(value, str) else value


NotificationCount = Annotated[
    NumberRange, BeforeValidator(_bounds, json_schema_input_type=int | NumberRange)
]
Texts = Annotated[
    tuple[str, ...], BeforeValidator(_texts, json_schema_input_type=str | tuple[str, ...])
]


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
    contains: Texts = Field(
        (),
        description="Texts that stand in the annotations of each firing notification; with an "
        "Alertmanager configuration of your own, in what each integration of the receiver got.",
    )
    count: NotificationCount | None = Field(
        None,
        description="Firing notifications of it that the receiver gets from the phase's start on, "
        "repetitions included: a number, or min and max.",
    )

    @model_validator(mode="after")
    def _counted(self) -> Self:
        if self.count is not None and self.receiver is None:
            raise ValueError(f"the count of alert {self.alert} needs the receiver where it counts")
        return self


class ForbiddenNotification(StrictModel):
    """An alert that must not reach a receiver, though it fires."""

    alert: str
    receiver: str
    labels: dict[str, str] = Field(
        {}, description="Labels that distinguish the alert from others of its name."
    )
    phase: str | None = Field(None, description="Only while this phase lasts; null: in no phase.")


class Labels(StrictModel):
    """Truth that arrives later through POST /labels."""

    ratio: Ratio = 1.0
    delay: Duration = 60.0


class RequestLimits(StrictModel):
    """What the service itself must keep."""

    error_ratio: Ratio = Field(0.0, description="Share of predictions answered 5xx or not at all.")
    p95_seconds: float = Field(
        1.0, gt=0, description="95th percentile of latency from the planned time on."
    )
    lost_requests: int = Field(0, ge=0, description="Requests missing in Prometheus at the end.")
    repeats: int = Field(
        1, ge=0, description="Identical notifications of one episode at one receiver."
    )


def _conflict(phase: Phase) -> str:
    """Why the faults of a phase can't be in one; empty where they can."""
    kinds = [fault.label.split()[0] for fault in phase.faults]
    if len(set(kinds)) < len(kinds):
        return " has two faults of one kind"
    controls = [fault for fault in phase.faults if fault.controls]
    asked = next((fault for fault in controls if fault.kind == "http"), None)
    others = ", ".join(fault.label for fault in controls if fault is not asked)
    if asked is None or not others:
        return ""
    return (
        f": {asked.label} and {others} would overwrite each other in the fault control of the API: "
        "give all of them in the body of that request, or each as a fault of its kind"
    )


class Scenario(StrictModel):
    """One scenario file."""

    schema_version: Literal[1] = 1
    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    title: str
    description: str
    use_case: str = "diabetes"
    service: Service | None = Field(
        None, description="Your own service, in place of the API that comes with the testbed."
    )
    task: Task | None = Field(
        None, description="What the model must learn; null plays with either."
    )
    time_scale: float = Field(30.0, ge=1, le=1000)
    phases: tuple[Phase, ...] = Field(min_length=1)
    settle: Duration = Field(0.0, description="Time after the load in which alerts may resolve.")
    labels: Labels = Labels()
    settings: ComponentSettings = ComponentSettings()
    reference_rows: int = Field(
        0, ge=0, description="Rows that a model's reference needs for the doses to be certain."
    )
    expected_alerts: tuple[ExpectedAlert, ...] = ()
    allowed_alerts: tuple[str, ...] = Field((), description="May fire; every other is forbidden.")
    forbidden_notifications: tuple[ForbiddenNotification, ...] = Field(
        (), description="What must not be notified, and to whom."
    )
    expected_decision: tuple[Decision, ...] = Field(
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
    assertions: tuple[Assertion, ...] = Field((), description="What else must hold of the run.")
    traces: bool = Field(default=True, description="Whether sampling must yield spans.")
    logs: bool = Field(default=False, description="Whether the API sends its log records.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [phase.name for phase in self.phases]
        if len(set(names)) < len(names):
            raise ValueError("phase names must differ")
        for phase in self.phases:
            if conflict := _conflict(phase):
                raise ValueError(f"phase {phase.name}{conflict}")
        said = [each.name for each in self.assertions]
        if len(set(said)) < len(said):
            raise ValueError("names of assertions must differ")
        for assertion in self.assertions:
            for problem in assertion.refusals(self):
                raise ValueError(f"assertion {assertion.name} {problem}")
        named = [
            *((f"alert {each.alert}", each.phase) for each in self.expected_alerts),
            *(
                (f"the forbidden notification of {each.alert}", each.phase)
                for each in self.forbidden_notifications
            ),
        ]
        for what, phase_name in named:
            if phase_name is not None and phase_name not in names:
                raise ValueError(
                    f"{what} names the phase {phase_name!r}; the scenario has {', '.join(names)}"
                    f"{nearest(phase_name, names)}"
                )
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the scenario names: use cases that lack one can't be played with it."""
        drifts = [phase.drift for phase in self.phases if phase.drift]
        named = [drift.only.column for drift in drifts if drift.only]
        named += [drift.column for drift in drifts if drift.column]
        named += [self.settings.drift.segment] if self.settings.drift.segment else []
        named += [column for each in self.assertions for column in each.columns]
        return tuple(dict.fromkeys([*named, *(self.expected_columns or ())]))

    @property
    def gates(self) -> tuple[str, ...]:
        """Receivers of OTLP that a fault shuts."""
        shut = (fault.gate for phase in self.phases for fault in phase.faults)
        return tuple(sorted({gate for gate in shut if gate is not None}))

    @property
    def links(self) -> tuple[Link, ...]:
        """Links between components that a fault disturbs."""
        found = (fault.link for phase in self.phases for fault in phase.faults)
        return tuple(sorted({link for link in found if link is not None}))

    @property
    def disks(self) -> frozenset[str]:
        """Components whose data lie on a small disk, which a fault fills."""
        found = (fault.disk for phase in self.phases for fault in phase.faults)
        return frozenset(disk for disk in found if disk is not None)

    @property
    def duration(self) -> float:
        """Seconds of load, unscaled."""
        return sum(phase.duration for phase in self.phases)

    def planned_requests(self, factor: float) -> float:
        """Requests of all phases at a time scale.

        Poisson arrivals are so many on average, and those of users are estimated.
        """
        return sum(phase.mean_rate * phase.duration for phase in self.phases) / factor

    @property
    def receivers(self) -> dict[str, str]:
        """Receivers of Alertmanager that the scenario names, to where it does."""
        expected = {
            each.receiver: f"the expected alert {each.alert}"
            for each in self.expected_alerts
            if each.receiver is not None
        }
        forbidden = {
            each.receiver: f"the forbidden notification of {each.alert}"
            for each in self.forbidden_notifications
        }
        return expected | forbidden

    def for_other_routes(self) -> Self:
        """The same, without what it says of the receivers of its own routes."""
        blank = {"receiver": None, "count": None, "contains": ()}
        expected = tuple(item.model_copy(update=blank) for item in self.expected_alerts)
        update = {"expected_alerts": expected, "forbidden_notifications": ()}
        return self.model_copy(update=update)

    def for_other_rules(self) -> Self:
        """The same, without what it says of the severity, receiver and texts of its own rules."""
        blank = {"severity": None, "receiver": None, "contains": (), "count": None}
        expected = tuple(item.model_copy(update=blank) for item in self.expected_alerts)
        return self.model_copy(update={"expected_alerts": expected})


def read_scenario(path: Path) -> Scenario:
    """Read and check a scenario file.

    Raises:
        UsageError: the file is missing, no YAML, or breaks the schema; names the
            line and the field of each mistake.
    """
    scenario = read_model(
        path,
        "the scenario",
        partial(Scenario.model_validate, context={"folder": path.parent}),
        Scenario.model_json_schema,
    )
    if scenario.service is None:
        return scenario
    return scenario.model_copy(update={"service": scenario.service.placed(path.parent)})

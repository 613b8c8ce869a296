"""What checks find: the parts of the verdict, schema version 1."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from testbed.checks.stages import Stage
from testbed.decisions import Decision

if TYPE_CHECKING:
    from collections.abc import Iterable


class ResultModel(BaseModel):
    """Base of the verdict's parts: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Severity: TypeAlias = Literal["fail", "warn"]
"""What it means that a check did not pass: the verdict fails, or warns."""


class CheckResult(ResultModel):
    """One check: what was held against what, and what came of it."""

    name: str = Field(description="Unique within the verdict.")
    passed: bool
    stage: Stage = Field(description="Link of the way of the data that the check is about.")
    applicable: bool = Field(
        default=True,
        description="False: it could not be evaluated, for the reason in the summary.",
    )
    summary: str = Field(description="One sentence; the reason, where it failed.")
    details: tuple[str, ...] = Field(default=(), description="One line each.")
    severity: Severity = Field(
        default="fail",
        description="What it means where it did not pass: `warn` changes no outcome.",
    )
    weight: float | None = Field(
        default=None, description="Points of an assertion of the scenario; null of other checks."
    )


def not_applicable(name: str, stage: Stage, reason: str) -> CheckResult:
    """The result of a check whose evidence this run can't give, and why."""
    return CheckResult(name=name, passed=True, stage=stage, applicable=False, summary=reason)


class Points(ResultModel):
    """The score of the assertions of a scenario: the weights of those that hold, of all."""

    scored: float
    of: float

    @property
    def text(self) -> str:
        """For people."""
        return f"assertions: {self.scored:g} of {self.of:g} points ({self.scored / self.of:.0%})"


def points_of(checks: Iterable[CheckResult]) -> Points | None:
    """The score; None where nothing is asserted."""
    weights = [(check.weight, check.passed) for check in checks if check.weight is not None]
    if not weights:
        return None
    scored = sum(weight for weight, passed in weights if passed)
    return Points(scored=scored, of=sum(weight for weight, _ in weights))


class AlertStatus(StrEnum):
    """What became of an alert; ``blind``: it had no time in which the monitoring saw it."""

    DETECTED = "detected"
    ALLOWED = "allowed"
    FALSE_POSITIVE = "false_alarm"
    EARLY = "early"
    RULE_MISSING = "rule_missing"
    RULE_FAILING = "rule_failing"
    NEVER_FIRED = "never_fired"
    NOT_NOTIFIED = "not_notified"
    LATE = "late"
    NOT_RESOLVED = "not_resolved"
    RESOLVED_LATE = "resolved_late"
    NOT_PLAYED = "not_played"
    BLIND = "blind"


class Delay(ResultModel):
    """A time span at both scales, in seconds, beside what was allowed."""

    real: float
    production: float
    allowed_production: float | None = None


class AlertRow(ResultModel):
    """One alert: expected or not, and what became of it. Times are Unix seconds."""

    alert: str
    phase: str | None = Field(
        default=None, description="Phase of an expected alert; null of a heartbeat."
    )
    expected: bool
    status: AlertStatus
    passed: bool
    fired: bool = Field(description="Whether it fired in Prometheus, where that counts.")
    notified: bool = Field(description="Whether it reached the receiver, where that counts.")
    fired_at: float | None = Field(default=None, description="First firing in Prometheus.")
    notified_at: float | None = Field(
        default=None, description="First notification at the receiver."
    )
    resolved_at: float | None = Field(default=None, description="Last notification of its end.")
    detection: Delay | None = Field(
        default=None, description="From the phase's start to notification."
    )
    resolution: Delay | None = Field(
        default=None, description="From the phase's end to that of the alert."
    )
    reason: str


class Reason(StrEnum):
    """Why a hop passes less on than it got: the closed list."""

    NO_ANSWER_CONNECTION = "no_answer_connection"
    NO_ANSWER_TIMEOUT = "no_answer_timeout"
    NO_ANSWER_RESET = "no_answer_reset"
    REJECTED_413 = "rejected_413"
    REJECTED_422 = "rejected_422"
    REJECTED_OTHER = "rejected_other"
    INJECTED_ERROR = "injected_error"
    MODEL_ERROR = "model_error"
    NOT_READY = "not_ready"
    LOG_FAILED = "log_failed"
    SERVER_ERROR = "server_error"
    SHED_503 = "shed_503"
    LOG_SPOOLED = "log_spooled"
    REPLICA_CRASHED = "replica_crashed"
    TELEMETRY_LOST = "telemetry_lost"
    LABEL_DUPLICATE = "label_duplicate"
    LABEL_UNKNOWN = "label_unknown"
    QUEUE_FULL = "queue_full"
    EXPORT_FAILED = "export_failed"
    ENQUEUE_FAILED = "enqueue_failed"
    SEND_FAILED = "send_failed"
    COLLECTOR_ENDED = "collector_ended"
    DISK_FULL = "disk_full"
    IN_TRANSIT = "in_transit"


REASON_TEXTS: dict[Reason, str] = {
    Reason.NO_ANSWER_CONNECTION: "no connection, so it never arrived",
    Reason.NO_ANSWER_TIMEOUT: "the load gave up waiting; it may have arrived or not",
    Reason.NO_ANSWER_RESET: "the connection broke; it may have arrived or not",
    Reason.REJECTED_413: "refused as too large (413)",
    Reason.REJECTED_422: "refused as invalid (422)",
    Reason.REJECTED_OTHER: "refused with another 4xx",
    Reason.INJECTED_ERROR: "failed by the injected fault",
    Reason.MODEL_ERROR: "the model failed",
    Reason.NOT_READY: "the API was not ready",
    Reason.LOG_FAILED: "the prediction log could not be written",
    Reason.LOG_SPOOLED: "the row waits in the spool until the log takes it",
    Reason.REPLICA_CRASHED: "a replica crashed before it could export that",
    Reason.SERVER_ERROR: "another error in the API",
    Reason.SHED_503: "shed under load (503)",
    Reason.TELEMETRY_LOST: "telemetry lost, within the scenario's limit",
    Reason.LABEL_DUPLICATE: "the label was known already",
    Reason.LABEL_UNKNOWN: "no prediction has that id",
    Reason.QUEUE_FULL: "dropped by the process that made it: its queue was full",
    Reason.EXPORT_FAILED: "the process's export failed; it may have arrived or not",
    Reason.ENQUEUE_FAILED: "dropped by the Collector: its sending queue was full",
    Reason.SEND_FAILED: "the Collector's export failed; what its queue keeps is sent later",
    Reason.COLLECTOR_ENDED: "counted by a Collector that ended before it was scraped again",
    Reason.DISK_FULL: "Prometheus could not keep it: a fault had filled its disk",
    Reason.IN_TRANSIT: "on its way when the counters were read",
}


class Explanation(ResultModel):
    """Part of a difference that has a reason."""

    reason: Reason
    count: int
    certain: bool = Field(
        default=True, description="False: only so many could have this reason, and these it took."
    )


class Hop(ResultModel):
    """One step of the way, and what went missing on it."""

    key: str
    title: str
    source: str
    target: str
    sent: int
    arrived: int
    explained: tuple[Explanation, ...] = ()
    residual: int = Field(description="What has no reason; 0 where all is accounted for.")

    @property
    def difference(self) -> int:
        """Sent minus arrived."""
        return self.sent - self.arrived


class InstanceRow(ResultModel):
    """Final counters of one API instance: its own and those that Prometheus holds."""

    instance: str
    api: int | None = Field(description="Predictions that it counted; null where unknown.")
    prometheus: int = Field(description="Predictions that Prometheus holds of it.")
    lost: int = Field(description="Predictions that Prometheus lacks.")
    differences: tuple[str, ...] = Field(
        default=(), description="Series that differ, one line each."
    )


class LimitRow(ResultModel):
    """A limit of the scenario or of the load, and what was measured."""

    name: str
    title: str
    value: float | None = Field(description="Null where nothing could be measured.")
    limit: float
    unit: str
    at_least: bool = Field(default=False, description="The limit is a lower bound.")
    passed: bool


class RuleLimitRow(ResultModel):
    """One limit of a rule, and how near the run came to it."""

    expression: str = Field(description="What is compared with it.")
    operator: str
    limit: float
    quiet: float | None = Field(
        default=None,
        description="Value nearest to firing, for all of `for`, before a phase expects the alert.",
    )
    fault: float | None = Field(
        default=None,
        description="Value nearest to firing, for all of `for`, in the phases that expect it.",
    )
    bounded: bool = Field(
        description="Whether the limits that would have passed are known: only where it fired."
    )
    passes_from: float | None = Field(
        default=None, description="Lowest limit that would have passed; null: there is none."
    )
    passes_to: float | None = Field(
        default=None, description="Highest limit that would have passed; null: there is none."
    )


class RuleRow(ResultModel):
    """An alerting rule on this run's data: its margins, and which mistakes in it would pass."""

    alert: str
    labels: dict[str, str] = Field(description="Labels that the rule adds.")
    expression: str
    exercised: bool = Field(
        description="Whether the scenario expects the alert, and this rule fired as expected."
    )
    limits: tuple[RuleLimitRow, ...] = ()
    mutants: int = Field(description="Mutants of the rule that were replayed on the run's series.")
    killed: int = Field(description="Those that would have failed the verdict.")
    alike: int = Field(
        description="Further ones that the run's data can't distinguish from the rule."
    )
    survivors: tuple[str, ...] = Field(
        default=(), description="Mutants of an exercised rule that would have passed."
    )
    problem: str = Field(default="", description="Why it was not replayed; empty if it was.")
    unscored: str = Field(
        default="", description="Why there are no mutants of it; empty if there are."
    )


class DriftRunRow(ResultModel):
    """One run of the drift job."""

    time: float
    outcome: str
    decision: str | None = None
    drift_share: float | None = None
    drifted: tuple[str, ...] = Field(default=(), description="Drifted columns.")
    reasons: tuple[str, ...] = ()
    causes: tuple[str, ...] = Field(default=(), description="What the decision stands on.")
    html: str | None = Field(default=None, description="File below the run's drift folder.")
    json_file: str | None = Field(default=None, description="File below the run's drift folder.")


class DriftSummary(ResultModel):
    """What the drift job decided, against what was expected."""

    expected: tuple[str, ...]
    decision: Decision | None = Field(
        None, description="Most severe decision of all runs; null where there was none."
    )
    runs: tuple[DriftRunRow, ...] = ()
    level: float | None = Field(
        default=None,
        description="Chance that a run without drift has another decision than NO_ACTION, over all "
        "its windows; null where that is not known.",
    )
    windows: int | None = Field(
        default=None, description="Windows that the load can fill at most, which share the level."
    )

"""The verdict of a run, schema version 1: scenario and evidence in, passed or not out. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field, ValidationError
from testbed_domain.files import write_atomic

from testbed.checks import CHECKS, Case
from testbed.checks.alerts import alert_rows
from testbed.checks.counts import hops, instances
from testbed.checks.drift import drift_summary
from testbed.checks.limits import limit_rows
from testbed.checks.results import (
    AlertRow,
    AlertStatus,
    CheckResult,
    DriftSummary,
    Hop,
    InstanceRow,
    LimitRow,
    Model,
    PhaseRow,
)
from testbed.checks.telemetry import telemetry_hops
from testbed.errors import UsageError
from testbed.evidence import RunInfo
from testbed.layout import RunLayout

if TYPE_CHECKING:
    from testbed.evidence import Evidence
    from testbed.scenario import Scenario

SCHEMA_VERSION: Final = 1

__all__ = ["AlertStatus", "CheckResult", "Verdict", "judge", "read_verdict", "write_verdict"]


class Verdict(Model):
    """What came of a run."""

    schema_version: Literal[1] = 1
    passed: bool = Field(description="Whether every check passed.")
    run: RunInfo
    title: str = Field(description="Title of the scenario.")
    started_at: float = Field(description="Unix time.")
    ended_at: float = Field(description="Unix time.")
    checks: tuple[CheckResult, ...]
    phases: tuple[PhaseRow, ...]
    alerts: tuple[AlertRow, ...]
    hops: tuple[Hop, ...] = Field(description="The loss table.")
    instances: tuple[InstanceRow, ...]
    limits: tuple[LimitRow, ...]
    drift: DriftSummary

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        """The checks that did not pass."""
        return tuple(check for check in self.checks if not check.passed)

    def lines(self) -> tuple[str, ...]:
        """The verdict in plain text: the outcome, and what failed and why."""
        passed = len(self.checks) - len(self.failed)
        outcome = "PASSED" if self.passed else "FAILED"
        first = f"{outcome} {self.run.scenario}: {passed} of {len(self.checks)} checks passed"
        reasons = (
            line
            for check in self.failed
            for line in (
                f"  {check.name}: {check.summary}",
                *(f"    {detail}" for detail in check.details),
            )
        )
        return (first, *reasons)


def judge(scenario: Scenario, evidence: Evidence, factor: float) -> Verdict:
    """Hold what happened against what the scenario says.

    Args:
        scenario: durations in production seconds.
        evidence: times in real Unix seconds.
        factor: production seconds per real second.
    """
    case = Case(scenario, evidence, factor)
    checks = tuple(result for check in CHECKS for result in check(case))
    return Verdict(
        passed=all(check.passed for check in checks),
        run=evidence.run,
        title=scenario.title,
        started_at=evidence.snapshot.started_at,
        ended_at=evidence.snapshot.ended_at,
        checks=checks,
        phases=case.phases,
        alerts=alert_rows(case),
        hops=(*hops(case), *telemetry_hops(case)),
        instances=instances(case),
        limits=limit_rows(case),
        drift=drift_summary(case),
    )


def write_verdict(layout: RunLayout, verdict: Verdict) -> None:
    """Write ``verdict.json``."""
    write_atomic(layout.verdict_file, verdict.model_dump_json(indent=2) + "\n")


def read_verdict(layout: RunLayout) -> Verdict:
    """Read ``verdict.json``.

    Raises:
        UsageError: the run has none, or one of another version.
    """
    try:
        return Verdict.model_validate_json(layout.verdict_file.read_bytes())
    except OSError as error:
        raise UsageError(f"{layout.root} holds no verdict: that run did not end") from error
    except ValidationError as error:
        raise UsageError(f"{layout.verdict_file} is broken or of another version") from error

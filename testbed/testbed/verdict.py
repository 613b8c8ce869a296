"""The verdict of a run, schema version 1: scenario and evidence in, passed or not out. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, ValidationError
from testbed_domain.files import read_regular, write_atomic

from testbed.checks import CHECKS, Case
from testbed.checks.alerts import alert_rows
from testbed.checks.blindness import BLIND
from testbed.checks.causes import with_causes
from testbed.checks.counts import hops
from testbed.checks.coverage import Coverage, coverage
from testbed.checks.drift import drift_summary
from testbed.checks.instances import instances
from testbed.checks.limits import limit_rows
from testbed.checks.margins import rule_rows
from testbed.checks.results import (
    AlertRow,
    AlertStatus,
    CheckResult,
    DriftSummary,
    Hop,
    InstanceRow,
    LimitRow,
    Points,
    ResultModel,
    RuleRow,
    points_of,
)
from testbed.checks.service import service_hops
from testbed.checks.slowness import too_slow
from testbed.checks.stages import Stage, along_the_way
from testbed.checks.telemetry import telemetry_hops
from testbed.errors import EXIT_COULD_NOT_RUN, EXIT_PASS, EXIT_VERDICT_FAILED, UsageError
from testbed.evidence import RunInfo
from testbed.layout import RunLayout
from testbed.phases import PhaseRow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from testbed.evidence import Evidence
    from testbed.scenario import Scenario


__all__ = ["AlertStatus", "CheckResult", "Verdict", "evaluate", "read_verdict", "write_verdict"]


class Verdict(ResultModel):
    """What came of a run."""

    schema_version: Literal[1] = 1
    passed: bool = Field(description="Whether every check passed, but for those that only warn.")
    culprit: Stage | None = Field(
        default=None, description="The first broken link of the way of the data; null if passed."
    )
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
    coverage: Coverage | None = Field(
        default=None, description="What was exercised of the loaded alerts; null if unknown."
    )
    too_slow: str | None = Field(
        default=None,
        description="Why what failed blames nobody: the machine was too slow for the time scale. "
        "Such a run counts as one that could not be run, exit code 2.",
    )
    rules: tuple[RuleRow, ...] = Field(
        default=(), description="How much the run proves of each rule: margins and mutants."
    )

    points: Points | None = Field(
        default=None, description="Score of the scenario's assertions; null where it has none."
    )

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        """The checks that did not pass, along the way of the data: the first one leads."""
        return _failed(self.checks)

    @property
    def warned(self) -> tuple[CheckResult, ...]:
        """The checks that did not pass and by the scenario's word only warn."""
        return tuple(c for c in self.checks if not c.passed and c.severity == "warn")

    @property
    def skipped(self) -> tuple[CheckResult, ...]:
        """The checks whose evidence this run could not give."""
        return tuple(check for check in self.checks if not check.applicable)

    @property
    def blind(self) -> tuple[CheckResult, ...]:
        """What says when the monitoring itself was blind."""
        return tuple(check for check in self.checks if check.name.startswith(BLIND))

    @property
    def score(self) -> str:
        """How many of the checks that apply passed, in words."""
        count = len(self.checks) - len(self.skipped)
        beside = f", {len(self.skipped)} not applicable" if self.skipped else ""
        if self.warned:
            beside = f", {len(self.warned)} only warned{beside}"
        passed = count - len(self.failed) - len(self.warned)
        return f"{passed} of {count} checks passed{beside}"

    @property
    def outcome(self) -> str:
        """One or two words: what came of it."""
        if self.too_slow:
            return "NO VERDICT"
        return "PASSED" if self.passed else "FAILED"

    @property
    def exit_code(self) -> int:
        """Of the command that played it."""
        if self.too_slow:
            return EXIT_COULD_NOT_RUN
        return EXIT_PASS if self.passed else EXIT_VERDICT_FAILED

    def lines(self) -> tuple[str, ...]:
        """The verdict in plain text: the outcome, and what failed and why."""
        lines = [f"{self.outcome} {self.run.scenario}: {self.score}"]
        if self.too_slow:
            lines.append(f"  {self.too_slow}")
        for number, check in enumerate(self.failed):
            if number == 0:
                lines.append(f"first broken link: {check.stage}")
            elif number == 1:
                lines.append("what may follow from it:")
            lines.append(f"  {check.name}: {check.summary}")
            lines += [f"    {detail}" for detail in check.details]
        lines += [f"{check.name}: {check.summary}" for check in self.blind]
        lines += [f"warning: {check.name}: {check.summary}" for check in self.warned]
        lines += [self.points.text] if self.points else []
        return tuple(lines)


def evaluate(scenario: Scenario, evidence: Evidence, factor: float) -> Verdict:
    """Hold what happened against what the scenario says.

    Args:
        scenario: durations in production seconds.
        evidence: times in real Unix seconds.
        factor: production seconds per real second.
    """
    case = Case(scenario, evidence, factor)
    checks = with_causes(case, [result for check in CHECKS.values() for result in check(case)])
    failed = _failed(checks)
    alerts = alert_rows(case)
    return Verdict(
        passed=not failed,
        culprit=failed[0].stage if failed else None,
        run=evidence.run,
        title=scenario.title,
        started_at=evidence.snapshot.started_at,
        ended_at=evidence.snapshot.ended_at,
        checks=checks,
        phases=case.phases,
        alerts=alerts,
        hops=(*hops(case), *service_hops(case), *telemetry_hops(case)),
        instances=instances(case),
        limits=limit_rows(case),
        drift=drift_summary(case),
        coverage=coverage(case, alerts),
        too_slow=too_slow(case, failed, alerts),
        rules=rule_rows(case),
        points=points_of(checks),
    )


def _failed(checks: Iterable[CheckResult]) -> tuple[CheckResult, ...]:
    return along_the_way(c for c in checks if not c.passed and c.severity == "fail")


def write_verdict(layout: RunLayout, verdict: Verdict) -> None:
    """Write ``verdict.json``."""
    write_atomic(layout.verdict_file, verdict.model_dump_json(indent=2) + "\n")


def read_verdict(layout: RunLayout) -> Verdict:
    """Read ``verdict.json``.

    Raises:
        UsageError: the run has none, or one of another version.
    """
    try:
        return Verdict.model_validate_json(read_regular(layout.verdict_file))
    except FileNotFoundError as error:
        raise UsageError(f"{layout.root} holds no verdict: that run did not end") from error
    except OSError as error:
        raise UsageError(f"cannot read {layout.verdict_file}: {error.strerror}") from error
    except ValidationError as error:
        raise UsageError(f"{layout.verdict_file} is broken or of another version") from error

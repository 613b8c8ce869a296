"""What the drift job decided in a phase, and on what."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from testbed.assertions.base import ASSERTIONS, AssertionModel, Finding, where
from testbed.checks.stages import Stage
from testbed.decisions import SEVERITIES, Decision, DriftCause

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.checks.case import Case
    from testbed.records import DriftRun


@ASSERTIONS.register
class DriftAssertion(AssertionModel):
    """The most severe decision of the drift job's runs in a phase, its causes and its columns.

    A run counts where it ends; the last phase goes on until the end of settling.
    """

    stage: ClassVar[Stage] = Stage.DRIFT_JOB
    kind: Literal["drift"] = "drift"
    phase: str | None = Field(None, description="Phase in which it counts; null: the whole run.")
    decision: tuple[Decision, ...] | Decision | None = Field(
        None, description="The most severe decision must be this, or one of these."
    )
    causes: tuple[DriftCause, ...] = Field((), description="What decisions must stand on.")
    drifted: tuple[str, ...] = Field((), description="Columns that must be named as drifted.")

    @model_validator(mode="after")
    def _said(self) -> Self:
        if not self._decisions and not self.causes and not self.drifted:
            raise ValueError("give at least one of decision, causes and drifted")
        return self

    @property
    def _decisions(self) -> tuple[Decision, ...]:
        given = self.decision or ()
        return (given,) if isinstance(given, str) else given

    @property
    def words(self) -> str:
        """What must hold, for people."""
        said = [f"decision {' or '.join(self._decisions)}"] if self._decisions else []
        said += [f"caused by {', '.join(self.causes)}"] if self.causes else []
        said += [f"drifted columns {', '.join(self.drifted)}"] if self.drifted else []
        return f"{', '.join(said)}{where(self.phase)}"

    @property
    def columns(self) -> tuple[str, ...]:
        """Those that must be named."""
        return self.drifted

    @property
    def components(self) -> tuple[str, ...]:
        """What decides."""
        return ("drift",)

    def evaluate(self, case: Case) -> Finding:
        """By the runs of the job."""
        runs = [run for run in _runs(case, self.phase) if run.outcome == "success"]
        if not runs:
            return Finding(
                passed=False, summary=f"{self.words}: no run of the drift job came to a decision"
            )
        made = {run.decision for run in runs}
        worst = next(name for name in reversed(SEVERITIES) if name in made)
        causes = sorted({cause for run in runs for cause in run.causes})
        columns = sorted({name for run in runs for name in run.drifted})
        seen = (
            f"{worst} in {len(runs)} runs, causes: {', '.join(causes) or 'none'}, "
            f"drifted: {', '.join(columns) or 'none'}"
        )
        return Finding.of(self.words, self._problems(worst, causes, columns, seen), seen)

    def _problems(
        self, worst: Decision, causes: list[str], columns: list[str], seen: str
    ) -> Iterator[str]:
        lacking = [
            *(["the decision"] if self._decisions and worst not in self._decisions else []),
            *(cause for cause in self.causes if cause not in causes),
            *(name for name in self.drifted if name not in columns),
        ]
        if lacking:
            yield f"lacking {', '.join(lacking)}; {seen}"


def _runs(case: Case, phase: str | None) -> tuple[DriftRun, ...]:
    """Runs of the job that ended in a phase."""
    if phase is None:
        return case.evidence.drift_runs
    row = case.phase(phase)
    if row is None:
        return ()
    end = case.evidence.snapshot.ended_at if row == case.phases[-1] else row.end
    return tuple(run for run in case.evidence.drift_runs if row.start <= run.time < end)

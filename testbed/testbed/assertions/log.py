"""Lines in the log of a component, or log records that it exported."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from testbed.assertions.base import ASSERTIONS, AssertionModel, Finding, where
from testbed.checks.stages import Stage
from testbed.componentnames import SERVICES, LoggingName

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.checks.case import Case
    from testbed.scenario import Scenario


@ASSERTIONS.register
class LogAssertion(AssertionModel):
    """A regular expression that some line of a log must match, or that none may match."""

    stage: ClassVar[Stage] = Stage.EVIDENCE
    kind: Literal["log"] = "log"
    component: LoggingName = Field(description="Whose log.")
    source: Literal["file", "records"] = Field(
        "file",
        description="Its log file as it printed it, or the bodies of the log records that it "
        "exported (`api` and `drift`, with `logs: true`).",
    )
    matches: str = Field(
        min_length=1, description="Regular expression of Python, found anywhere in a line."
    )
    absent: bool = Field(default=False, description="No line may match.")
    phase: str | None = Field(
        None, description="Phase in which it counts, of records only; null: the whole run."
    )

    @field_validator("matches")
    @classmethod
    def _compiles(cls, text: str) -> str:
        try:
            re.compile(text)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return text

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.source == "records" and self.component not in SERVICES:
            raise ValueError(f"only {', '.join(SERVICES)} export log records")
        if self.source == "file" and self.phase is not None:
            raise ValueError("lines of a file have no phase: leave it out, or take source: records")
        return self

    @property
    def words(self) -> str:
        """What must hold, for people."""
        what = "log record" if self.source == "records" else "line of the log"
        how = "no" if self.absent else "some"
        return f"{how} {what} of {self.component} matches /{self.matches}/{where(self.phase)}"

    @property
    def components(self) -> tuple[str, ...]:
        """What writes it, and brings it."""
        if self.source == "records":
            return (self.component, "collector", "receiver")
        return (self.component,)

    @property
    def log_files(self) -> bool:
        """Whether it reads a file; that of the load is always the run's own."""
        return self.source == "file" and self.component != "load"

    def refusals(self, scenario: Scenario) -> Iterator[str]:
        """Records need to be exported."""
        yield from super().refusals(scenario)
        if self.source == "records" and not scenario.logs:
            yield "looks at exported log records: the scenario must say logs: true"

    def evaluate(self, case: Case) -> Finding:
        """By the lines that matched when the evidence was collected."""
        answers = case.evidence.snapshot.asserted_logs or ()
        found = next((each for each in answers if each.name == self.name), None)
        if found is None:
            return Finding(passed=False, summary=f"{self.words}: the log was not read")
        if found.problem:
            return Finding(passed=False, summary=f"{self.words}: {found.problem}")
        seen = f"{found.count:,} of {found.lines:,} match"
        passed = (found.count == 0) if self.absent else found.count > 0
        return Finding(passed=passed, summary=f"{self.words}: {seen}", details=found.examples)

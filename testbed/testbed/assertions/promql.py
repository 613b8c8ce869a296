"""Values of a query in PromQL keep to bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Literal, Self

from pydantic import Field, field_validator, model_validator
from testbed_rules.parsing import parse

from testbed.assertions.base import ASSERTIONS, AssertionModel, Finding, where
from testbed.checks.stages import Stage
from testbed.fields import Duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.checks.case import Case
    from testbed.facts.asserted import AssertedQuery, AssertedSeries

When = Literal["throughout", "once", "at_end"]

_WHEN: Final = {"throughout": "throughout", "once": "at least once", "at_end": "at the end"}
DETAILS: Final = 10
SLACK: Final = 2e-3
"""Seconds by which two times of one evaluation may differ: Prometheus has milliseconds."""


@ASSERTIONS.register
class PromqlAssertion(AssertionModel):
    """A query whose values keep to bounds; ranges, times and counts are those of production."""

    stage: ClassVar[Stage] = Stage.SERVICE
    kind: Literal["promql"] = "promql"
    promql: str = Field(description="A query that gives an instant vector or a scalar.")
    min: float | None = Field(None, description="Least value, this one included.")
    max: float | None = Field(None, description="Largest value, this one included.")
    absent: bool = Field(default=False, description="No series may come; without min and max.")
    phase: str | None = Field(None, description="Phase in which it counts; null: the whole load.")
    after: Duration = Field(0.0, description="Time from its start that is left out.")
    when: When = Field(
        "throughout",
        description="At every evaluation, at one at least, or at the last one, for each series.",
    )

    @field_validator("promql")
    @classmethod
    def _readable(cls, text: str) -> str:
        parse(text)
        return text

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        bounds = (self.min, self.max)
        if self.absent == any(bound is not None for bound in bounds):
            raise ValueError("give min, max or both, or absent alone")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is larger than max")
        return self

    @property
    def bounds(self) -> str:
        """What the values must be, for people."""
        if self.absent:
            must = "no series"
        elif self.min is None:
            must = f"at most {self.max:g}"
        elif self.max is None:
            must = f"at least {self.min:g}"
        else:
            must = f"from {self.min:g} to {self.max:g}"
        return f"{must} {_WHEN[self.when]}{where(self.phase)}"

    @property
    def words(self) -> str:
        """What must hold, for people."""
        return f"`{self.promql}` is {self.bounds}"

    def evaluate(self, case: Case) -> Finding:
        """By the answers that Prometheus gave at each evaluation of the rules."""
        answers = case.evidence.snapshot.asserted or ()
        asked = next((each for each in answers if each.name == self.name), None)
        if asked is None:
            return Finding(passed=False, summary=f"must be {self.bounds}: its query was not asked")
        first, *others = [*self._problems(asked)][:DETAILS] or [""]
        if not first:
            return Finding(passed=True, summary=f"is {self.bounds}")
        details = (*others, f"query: {asked.query}")
        return Finding(passed=False, summary=f"must be {self.bounds}: {first}", details=details)

    def _problems(self, asked: AssertedQuery) -> Iterator[str]:
        if asked.problem:
            yield asked.problem
            return
        if self.absent:
            yield from self._present(asked)
            return
        if not asked.series:
            yield "the query gives no series"
        for series in asked.series:
            if reason := self._broken(asked, series):
                yield f"{series.labels or 'the value'} {reason}"
        if asked.dropped:
            yield f"{asked.dropped} more series were not looked at: aggregate them"

    def _present(self, asked: AssertedQuery) -> Iterator[str]:
        """Series that are there though none may be."""
        last = asked.end - SLACK
        for series in asked.series:
            times = [time for time, _ in series.points if self.when != "at_end" or time >= last]
            everywhere = len(times) >= _evaluations(asked)
            if times and (self.when != "once" or everywhere):
                since = times[0] - asked.start
                yield f"{series.labels or 'a value'} is there, first {since:.1f} s on"

    def _broken(self, asked: AssertedQuery, series: AssertedSeries) -> str | None:
        """Why a series does not keep to the bounds; None where it does."""
        if self.when == "at_end":
            final = [value for time, value in series.points if time >= asked.end - SLACK]
            if not final:
                return "has no value at the end"
            return None if self._holds(final[0]) else f"is {_shown(final[0])} at the end"
        wrong = [(time, value) for time, value in series.points if not self._holds(value)]
        if self.when == "once":
            return "never is" if len(wrong) == len(series.points) else None
        if wrong:
            (time, value), count = wrong[0], len(wrong)
            return (
                f"is {_shown(value)} after {time - asked.start:.1f} s, and so at {count} of "
                f"{len(series.points)} evaluations"
            )
        missing = _evaluations(asked) - len(series.points)
        if not missing:
            return None
        return f"has no value at {missing} of {_evaluations(asked)} evaluations"

    def _holds(self, value: float | None) -> bool:
        """Whether one value keeps to the bounds; what is no number does not."""
        low = self.min if self.min is not None else float("-inf")
        high = self.max if self.max is not None else float("inf")
        return value is not None and low <= value <= high


def _evaluations(asked: AssertedQuery) -> int:
    return round((asked.end - asked.start) / asked.step) + 1 if asked.step else 1


def _shown(value: float | None) -> str:
    return "no number" if value is None else f"{value:.4g}"

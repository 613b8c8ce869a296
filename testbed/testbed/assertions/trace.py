"""A tree of spans that some trace must hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from testbed.assertions.base import ASSERTIONS, AssertionModel, Finding, where
from testbed.checks.stages import Stage
from testbed.fields import StrictModel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.checks.case import Case
    from testbed.scenario import Scenario


class SpanPattern(StrictModel):
    """A span: its name, some of its attributes, and spans whose parent it is."""

    name: str = Field(min_length=1, description="Name of the span.")
    attributes: dict[str, str | int | float | bool] = Field(
        {}, description="Attributes and their values; others may stand beside them."
    )
    status: Literal["UNSET", "OK", "ERROR"] | None = Field(None, description="Its status.")
    children: tuple[SpanPattern, ...] = Field(
        (), description="Its children, each another span; others may stand beside them."
    )

    @property
    def text(self) -> str:
        """As people write trees on one line."""
        below = f" > ({', '.join(each.text for each in self.children)})" if self.children else ""
        marks = [f"{key}={value}" for key, value in self.attributes.items()]
        marks += [self.status] if self.status else []
        return f"{self.name}{f' [{chr(44).join(marks)}]' if marks else ''}{below}"


@ASSERTIONS.register
class TraceAssertion(AssertionModel):
    """A tree of spans that must have arrived behind the Collector, in one trace at least."""

    stage: ClassVar[Stage] = Stage.EXPORT
    kind: Literal["trace"] = "trace"
    tree: SpanPattern = Field(description="The topmost span, which may have a parent itself.")
    phase: str | None = Field(
        None, description="Phase in which that span starts; null: the whole run."
    )

    @property
    def words(self) -> str:
        """What must hold, for people."""
        return f"some trace holds {self.tree.text}{where(self.phase)}"

    @property
    def components(self) -> tuple[str, ...]:
        """What brings spans."""
        return ("collector", "receiver")

    def refusals(self, scenario: Scenario) -> Iterator[str]:
        """There must be traces."""
        yield from super().refusals(scenario)
        if not scenario.traces:
            yield "looks for spans, and the scenario says traces: false"

    def evaluate(self, case: Case) -> Finding:
        """By the trees that were found when the evidence was collected."""
        answers = case.evidence.snapshot.asserted_traces or ()
        found = next((each for each in answers if each.name == self.name), None)
        if found is None:
            return Finding(passed=False, summary=f"{self.words}: no spans were read")
        if found.problem:
            return Finding(passed=False, summary=f"{self.words}: {found.problem}")
        if found.count:
            return Finding(
                passed=True, summary=f"{self.words}: {found.count:,} do, such as {found.example}"
            )
        named = ", ".join(f"{name} ({count:,})" for name, count in found.spans.items())
        if found.alike:
            why = f"{found.alike:,} spans are named {self.tree.name!r}, none is as asserted"
        else:
            why = f"no span is named {self.tree.name!r}"
        return Finding(
            passed=False, summary=f"{self.words}: {why}", details=(f"spans: {named or 'none'}",)
        )

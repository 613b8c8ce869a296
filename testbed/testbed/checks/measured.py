"""Measured values: what the service counted and timed is what the load itself saw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed.checks.latency import check_latency
from testbed.checks.results import CheckResult, not_applicable
from testbed.checks.stages import Stage
from testbed.checks.vocabulary import check_vocabulary

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.facts.cells import Cell, Group
    from testbed.facts.measured import Measured

# Field of the facts to what it counts.
GROUPS: Final = {
    "statuses": "answers by status",
    "predictions": "predictions by version and class",
    "probabilities": "probabilities of the predicted class",
    "errors": "failed predictions by kind",
    "outcomes": "right and wrong predictions, and their cost",
}
LINES: Final = 10
ROUNDING: Final = 1e-9
BETWEEN: Final = 0.01
"""Least distance of two bounds that are both named."""


def check_measured(case: Case) -> tuple[CheckResult, ...]:
    """What the service counted and timed is what the load itself saw."""
    facts = case.evidence.snapshot.measured
    if facts is None or not facts.statuses.compared:
        return ()
    groups = (_group(case, name, getattr(facts, name)) for name in GROUPS)
    return (
        _answers(facts),
        *groups,
        _accuracy(facts),
        _active(facts),
        *check_latency(facts.timing),
        check_vocabulary(facts.pages),
    )


def _answers(facts: Measured) -> CheckResult:
    """An answer with 200 holds a prediction."""
    empty = facts.unpredicted
    return CheckResult(
        name="measured answers",
        passed=not empty,
        stage=Stage.SERVICE,
        summary=(
            "the service answered 200 without a prediction"
            if empty
            else "every answer with 200 holds a prediction"
        ),
        details=empty,
    )


def _group(case: Case, name: str, group: Group) -> CheckResult:
    name, what = f"measured {name}", GROUPS[name]
    if group.skipped:
        return not_applicable(
            name, Stage.INSTRUMENT, f"{what} could not be compared: {group.skipped}"
        )
    if not group.wrong:
        summary = f"{what}: {group.compared} values are what the load saw"
    else:
        first = _line(case, group.examples[0])
        summary = f"{what}: the API counted otherwise than the load: {first}"
    return CheckResult(
        name=name,
        passed=not group.wrong,
        stage=Stage.INSTRUMENT,
        summary=summary,
        details=tuple(_line(case, cell) for cell in group.examples[1:LINES]),
    )


def _line(case: Case, cell: Cell) -> str:
    labels = ", ".join(f"{key}={value}" for key, value in cell.labels.items())
    who = f"{cell.instance}: " if cell.instance and len(case.evidence.snapshot.api) > 1 else ""
    seen = _number(cell.low)
    if cell.high - cell.low > BETWEEN and _number(cell.high) != seen:
        seen = f"{seen} to {_number(cell.high)}"
    when = ""
    if cell.time is not None:
        phase = case.phase_at(cell.time)
        when = f" at {cell.time:.1f}" + (f" in the phase {phase}" if phase else "")
    phases = "".join(
        f"; the phase {item.phase} {_number(item.counted)} for {_number(item.seen)}"
        for item in cell.phases
    )
    return (
        f"{who}{cell.metric}{{{labels}}} {_number(cell.counted)}{when}, the load saw {seen}{phases}"
    )


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value - round(value)) < 0.01 else f"{value:.6g}"  # noqa: PLR2004 - a count


def _accuracy(facts: Measured) -> CheckResult:
    """The published accuracy is the share of right ones among the counted decisions."""
    wrong = [
        f"{rate.instance}: {rate.version} {rate.accuracy:.6g}, by its own counts {right:.6g}"
        for rate in facts.accuracy
        if rate.correct + rate.wrong
        for right in (rate.correct / (rate.correct + rate.wrong),)
        if abs(rate.accuracy - right) > ROUNDING
    ]
    return CheckResult(
        name="measured accuracy",
        passed=not wrong,
        stage=Stage.INSTRUMENT,
        summary=(
            f"the API publishes another accuracy than its counts give: {wrong[0]}"
            if wrong
            else "the published accuracy is that of the counted decisions"
        ),
        details=tuple(wrong[1:]),
    )


def _active(facts: Measured) -> CheckResult:
    """Nothing is in flight once the load has ended."""
    passed = 0 <= facts.active <= facts.timing.unanswered
    return CheckResult(
        name="measured active",
        passed=passed,
        stage=Stage.INSTRUMENT,
        summary=(
            "no request is in flight once the load has ended"
            if passed
            else f"the API counts {facts.active} requests in flight after the load has ended"
        ),
    )

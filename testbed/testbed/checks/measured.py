"""Measured values: what the service counted and timed is what the load itself saw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed_otel import names

from testbed.charts import HTTP_COUNT, PREDICT_ROUTE
from testbed.checks.findings import lines_result
from testbed.checks.latency import check_latency
from testbed.checks.registry import CHECKS, of_bundled_api
from testbed.checks.results import CheckResult, not_applicable
from testbed.checks.stages import Stage
from testbed.checks.vocabulary import check_vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.checks.case import Case
    from testbed.facts.children import Child, Group
    from testbed.facts.measured import Measured

# Field of the facts to what it counts.
GROUPS: Final = {
    "statuses": "answers by status",
    "predictions": "predictions by version and class",
    "probabilities": "probabilities of the predicted class, or predicted numbers",
    "errors": "failed predictions by kind",
    "outcomes": "right and wrong predictions and their cost, or absolute errors",
}
OK: Final = 200
LINES: Final = 10
ROUNDING: Final = 1e-9
FEW_EXPORTS: Final = 4
MAX_EXPORTS: Final = 0.5
"""Share of the exports that may show more than was in flight close by: times are not exact."""

BETWEEN: Final = 0.01
"""Least distance of two bounds that are both named."""


@CHECKS.register
@of_bundled_api({"measured": Stage.INSTRUMENT})
def check_measured(case: Case) -> tuple[CheckResult, ...]:
    """What the service counted and timed is what the load itself saw."""
    facts = case.evidence.snapshot.measured
    if facts is None or not facts.statuses.compared:
        return ()
    groups = (_group(case, name, getattr(facts, name)) for name in GROUPS)
    return (
        _answers(case, facts),
        *groups,
        _accuracy(facts),
        _active(case, facts),
        _consistency(facts),
        *check_latency(facts.timing, queued_phases(case)),
        check_vocabulary(facts.pages),
    )


def _answers(case: Case, facts: Measured) -> CheckResult:
    """An answer with 200 holds a prediction.

    Where the service counted as many answers with 5xx as the load has such ones too many, it is the
    load's record of them that is wrong: a service that failed does not answer 200.
    """
    empty = facts.unpredicted
    stage, summary = Stage.SERVICE, "every answer with 200 holds a prediction"
    if empty:
        summary = "the service answered 200 without a prediction"
        count, more = _empty(case), _further_failures(case)
        if count and more == count:
            stage = Stage.LOAD
            summary = (
                f"the load recorded {count} answers with 200 that hold no prediction, and the "
                "service answered as many more with 5xx than the load recorded"
            )
    return CheckResult(
        name="measured answers", passed=not empty, stage=stage, summary=summary, details=empty
    )


def _empty(case: Case) -> int:
    """Answers with 200 that hold no prediction, by the load."""
    return sum(r.status == OK and r.prediction is None for r in case.evidence.truth.requests)


def _further_failures(case: Case) -> int | None:
    """Answers with 5xx by the service beyond those that the load saw; None where unknown."""
    own = case.evidence.snapshot.api.values()
    if None in own:
        return None
    status, route = names.label(names.HTTP_STATUS), names.label(names.HTTP_ROUTE)
    counted = sum(
        count.value
        for counts in own
        for count in counts or ()
        if count.metric == HTTP_COUNT
        and count.labels.get(route) == PREDICT_ROUTE
        and count.labels.get(status, "").startswith("5")
    )
    return counted - sum(r.status is not None and r.failed for r in case.evidence.truth.requests)


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
        details=tuple(_line(case, child) for child in group.examples[1:LINES]),
    )


def _line(case: Case, child: Child) -> str:
    labels = ", ".join(f"{key}={value}" for key, value in child.labels.items())
    who = f"{child.instance}: " if child.instance and len(case.evidence.snapshot.api) > 1 else ""
    seen = _number(child.low)
    if child.high - child.low > BETWEEN and _number(child.high) != seen:
        seen = f"{seen} to {_number(child.high)}"
    when = ""
    if child.time is not None:
        phase = case.phase_at(child.time)
        when = f" at {child.time:.1f}" + (f" in the phase {phase}" if phase else "")
    phases = "".join(
        f"; the phase {item.phase} {_number(item.counted)} for {_number(item.seen)}"
        for item in child.phases
    )
    counted = f"{who}{child.metric}{{{labels}}} {_number(child.counted)}"
    return f"{counted}{when}, the load saw {seen}{phases}"


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value - round(value)) < 0.01 else f"{value:.6g}"  # noqa: PLR2004 - a count


def _accuracy(facts: Measured) -> CheckResult:
    """The published accuracy is the share of right ones among the counted decisions."""
    if facts.regression:
        reason = "the model predicts numbers, which are neither right nor wrong"
        return not_applicable("measured accuracy", Stage.INSTRUMENT, reason)
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


def _active(case: Case, facts: Measured) -> CheckResult:
    """What is in flight by the API is in flight by the load, and nothing once that has ended."""
    fine = (
        "requests in flight are those that the load waited for "
        f"({facts.inflight.exports} exports with any), and none once it has ended"
    )
    wrong = _wrong_active(case, facts)
    return lines_result("measured active", Stage.INSTRUMENT, fine, wrong)


def _wrong_active(case: Case, facts: Measured) -> Iterator[str]:
    if not 0 <= facts.active <= facts.timing.unanswered:
        yield f"the API counts {facts.active} requests in flight after the load has ended"
    found, stray = facts.inflight, facts.inflight.stray
    if stray is not None:
        phase = case.phase_at(stray.time)
        yield (
            f"{stray.instance} counts {_number(stray.counted)} requests in flight"
            f"{f' in the phase {phase}' if phase else ''}, the load waited for "
            f"{_number(stray.high)} at most"
        )
    if found.above >= FEW_EXPORTS and found.above > MAX_EXPORTS * found.exports:
        yield (
            f"in {found.above} of {found.exports} exports with requests in flight the API counts "
            "more than the load waited for"
        )
    if queued_phases(case):
        return
    if found.below >= FEW_EXPORTS and found.below > MAX_EXPORTS * found.crowds:
        yield (
            f"in {found.below} of {found.crowds} exports with many requests in flight the API "
            "counts fewer than the load waited for"
        )


def queued_phases(case: Case) -> frozenset[str]:
    """Phases in which a fault makes requests wait where the API can't count them."""
    return frozenset(
        phase.name for phase in case.scenario.phases if any(f.queues for f in phase.faults)
    )


def _consistency(facts: Measured) -> CheckResult:
    """What only the process itself knows does not contradict the rest of what it says."""
    wrong = facts.disagreements
    return CheckResult(
        name="measured consistency",
        passed=not wrong,
        stage=Stage.INSTRUMENT,
        summary=(
            f"the API's metrics contradict each other: {wrong[0]}"
            if wrong
            else "sums lie where their buckets say, and nothing took longer than the run"
        ),
        details=wrong[1:],
    )

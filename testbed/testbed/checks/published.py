"""Drift: what Prometheus holds equals what the job evaluated, and that is what the log holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed.checks.driftcolumns import COLUMNS, check_columns
from testbed.checks.registry import CHECKS
from testbed.checks.results import CheckResult, not_applicable
from testbed.checks.stages import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.checks.case import Case
    from testbed.facts.driftwindows import Recomputed
    from testbed.facts.published import Mismatch, Published

NAME: Final = "published drift scores"
WINDOWS: Final = "drift windows"
RULES: Final = "drift limits"
STEPS_BEHIND: Final = 4
RATIO_BEHIND: Final = 0.75
"""Windows, and share of the rows, that may have come since the last evaluation: a training or a
study of relations takes its time on a busy machine."""
MOVED: Final = 0.02
"""Share of the rows before a window's end that may have come into the log behind it."""
MIN_READ: Final = 0.9
"""Share of the rows that were in the log for certain; fewer means that the job left rows out."""


@CHECKS.register
def check_published(case: Case) -> tuple[CheckResult, ...]:
    """Every score that was published is the one that the job wrote down and should have found."""
    facts = case.evidence.snapshot.published
    if facts is None:
        return ()
    if not facts.runs:
        reason = "the drift job wrote down no run"
        return (
            not_applicable(NAME, Stage.PUBLISHED, reason),
            *(not_applicable(name, Stage.DRIFT_JOB, reason) for name in (WINDOWS, RULES, COLUMNS)),
        )
    return (
        _published(case, facts),
        _windows(facts, stopped=_stopped(case)),
        _rules(facts),
        *check_columns(case, facts),
    )


def _published(case: Case, facts: Published) -> CheckResult:
    if not facts.exports:
        if "collector" in case.evidence.run.without:
            reason = "the run was made without collector, so nothing is exported"
            return not_applicable(NAME, Stage.PUBLISHED, reason)
        return CheckResult(
            name=NAME,
            passed=False,
            stage=Stage.EXPORT,
            summary=f"Prometheus holds no export of the drift job, which made {facts.runs} runs",
        )
    faults = {
        "hold another value than the job wrote down": facts.wrong,
        "were never published": facts.missing,
        "are not among those that the job wrote down": facts.unexpected,
    }
    reported = [f"{count} {text}" for text, count in faults.items() if count]
    seen = f"{facts.compared} values of {facts.runs - facts.unseen} runs were compared"
    if reported:
        text = f"the drift job's series are not what it evaluated: {', '.join(reported)} ({seen})"
    else:
        text = f"Prometheus holds what the drift job evaluated: {seen}"
    return CheckResult(
        name=NAME,
        passed=not reported,
        stage=Stage.PUBLISHED,
        summary=text,
        details=tuple(map(_line, facts.examples)),
    )


def _line(one: Mismatch) -> str:
    after = f"after run {one.run + 1}" if one.run >= 0 else "before the first run"
    if one.kind == "missing":
        return f"{one.series}: no value {after}, the job wrote down {one.recorded:g}"
    if one.kind == "unexpected":
        return f"{one.series}: {one.stored:g} {after}, the job wrote down no such series"
    recorded = "nothing" if one.recorded is None else f"{one.recorded:g}"
    return f"{one.series}: {one.stored:g} {after}, the job wrote down {recorded}"


def _stopped(case: Case) -> bool:
    """Whether the scenario stops the drift job, which then has windows to make up for."""
    faults = (fault for phase in case.scenario.phases for fault in phase.faults)
    return any(fault.stops == "drift" for fault in faults)


def _windows(facts: Published, *, stopped: bool) -> CheckResult:
    if not facts.windows:
        reason = "the drift job evaluated no window of the model that can be computed again"
        return not_applicable(WINDOWS, Stage.DRIFT_JOB, reason)
    faults = tuple(line for window in facts.windows for line in _of_window(window, facts.every))
    if not stopped:
        faults += tuple(_behind(facts.windows[-1], facts.every or 0))
    number = len(facts.windows)
    if faults:
        text = f"the drift job evaluated other rows than the log holds, or wrongly: {faults[0]}"
    else:
        rows = ", ".join(str(window.evaluated) for window in facts.windows)
        text = (
            f"{number} windows of the drift job, computed again from the log, "
            f"have the same rows ({rows}) and scores"
        )
    return CheckResult(
        name=WINDOWS, passed=not faults, stage=Stage.DRIFT_JOB, summary=text, details=faults[:10]
    )


def _rules(facts: Published) -> CheckResult:
    """Limits, verdicts and decisions are as documented, and follow from the scores."""
    text = (
        "verdicts and decisions of the drift job follow from its scores and the documented limits"
    )
    if facts.broken:
        text = f"the drift job does not decide as documented: {facts.rule_faults[0]}"
    return CheckResult(
        name=RULES,
        passed=not facts.broken,
        stage=Stage.DRIFT_JOB,
        summary=text,
        details=facts.rule_faults[:10] if facts.broken else (),
    )


def _behind(last: Recomputed, every: int) -> Iterator[str]:
    """Whether the job stopped going on: windows behind it were full for long.

    The first run with a decision takes seconds on a busy machine, in which several windows fill.
    """
    if last.place is None:
        return
    if last.total - last.place > max(RATIO_BEHIND * last.total, STEPS_BEHIND * every):
        yield (f"the last evaluated window ends at row {last.place}, the log holds {last.total}")


def _of_window(window: Recomputed, every: int | None) -> Iterator[str]:
    run = f"run {window.run + 1}"
    if not MIN_READ * window.settled <= window.evaluated <= window.logged:
        yield f"{run} evaluated {window.evaluated} rows, the log holds {window.logged} of that time"
    if window.place is not None and every:
        off = min(window.place % every, -window.place % every)
        if off > MOVED * window.place:
            yield (
                f"{run} evaluated the rows up to the {window.place}th, windows end at multiples of "
                f"{every}"
            )
    if window.reference != window.registered:
        yield (
            f"{run} compared with {window.reference} rows, the model's reference has "
            f"{window.registered}"
        )
    if window.evaluated != window.logged:
        return  # rows that came in late: the scores are those of others
    for score in window.scores:
        if score.apart > 1:
            recorded = "nothing" if score.recorded is None else f"{score.recorded:.4g}"
            yield (
                f"{run}: {score.method} of {score.column} is {score.computed:.4g} by the log's "
                f"rows, the job says {recorded}"
            )
    yield from (f"{run}: {fault}" for fault in window.faults)

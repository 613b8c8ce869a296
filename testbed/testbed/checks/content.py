"""Content of the prediction log: each row says what was sent and answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed.checks.registry import CHECKS, of_bundled_api
from testbed.checks.results import CheckResult, not_applicable
from testbed.checks.stages import Stage
from testbed.facts import logcompare as kinds
from testbed.facts.logcontent import LABEL_MISSING, LABEL_UNPOSTED, LABEL_VALUE
from testbed.facts.scoring import INVERTED, MODEL_CLASS, MODEL_NUMBER, MODEL_PROBABILITY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testbed.checks.case import Case
    from testbed.facts.findings import StoredFinding
    from testbed.facts.logcontent import LogContent

MAX: Final = 0.9
"""Share of wrong times from which on it is the clock that is wrong, not single rows."""

DETAILS: Final = 10

# Name of a check to the kinds of findings that it is about, and what it says without one.
_CHECKS: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "features": ((kinds.COLUMN,), "every column holds what was sent"),
    "predictions": (
        (
            kinds.REPLY_CLASS,
            kinds.REPLY_PROBABILITY,
            kinds.PROBABILITIES,
            kinds.MAX_PROBABLE,
            kinds.OF_CLASS,
            kinds.REPLY_NUMBER,
            kinds.NUMBER,
        ),
        "every row holds the class and the probabilities, or the number, that were answered",
    ),
    "identity": ((kinds.IDENTITY,), "every row names the model, an instance of the run and its id"),
    "clock": ((kinds.CLOCK,), "every row bears the time of its request"),
}

_TEXTS: Final[Mapping[str, str]] = {
    kinds.REPLY_CLASS: "the stored class is not the one that was answered",
    kinds.REPLY_PROBABILITY: "the stored probability is not the one that was answered",
    kinds.PROBABILITIES: "the stored probabilities don't sum to 1 over the model's classes",
    kinds.MAX_PROBABLE: "the stored class is not the most probable one",
    kinds.OF_CLASS: "the stored probability is not that of the stored class",
    kinds.REPLY_NUMBER: "the stored number is not the one that was answered",
    kinds.NUMBER: "the stored prediction is not a number without probabilities",
    MODEL_NUMBER: "the service answered another number than its model gives",
    MODEL_CLASS: "the service answered another class than its model gives",
    MODEL_PROBABILITY: "the service answered another probability than its model gives",
    LABEL_VALUE: "the stored label is not the true one",
    LABEL_MISSING: "the label was posted and taken, but is not in the log",
    LABEL_UNPOSTED: "a label is in the log that the load had not to post",
}


@CHECKS.register
@of_bundled_api({"content": Stage.LOG})
def check_content(case: Case) -> tuple[CheckResult, ...]:
    """Content of the prediction log: each row says what was sent and answered."""
    found = case.evidence.snapshot.logcontent
    if found is None:
        return ()
    return (
        _sent(found),
        _answers(found),
        *(_rows(name, found) for name in _CHECKS),
        _labels(found),
    )


def _sent(found: LogContent) -> CheckResult:
    """Whether the service got what the truth says, by the log and the model's own answers."""
    if not found.sent_otherwise:
        if not found.rows or not found.scored:
            reason = (
                "what the service got can't be reported without rows of the log and their model"
            )
            return not_applicable("content sent", Stage.LOAD, reason)
        fine = "the service got the rows that the truth holds"
        return CheckResult(name="content sent", passed=True, stage=Stage.LOAD, summary=fine)
    first = found.sent_otherwise[0]
    summary = (
        f"column {first.subject} was sent otherwise than the truth says in {first.ratio} rows "
        f"(for example {first.examples[0]}): the answers fit what is stored, so the load's truth "
        "is wrong, or the service changes rows before it scores them"
    )
    details = [f"column {f.subject}: {'; '.join(f.examples)}" for f in found.sent_otherwise]
    return CheckResult(
        name="content sent",
        passed=False,
        stage=Stage.LOAD,
        summary=summary,
        details=tuple(details[:DETAILS]),
    )


def _answers(found: LogContent) -> CheckResult:
    name = "content answers"
    if found.not_scored:
        reason = f"answers can't be held against the model: {found.not_scored}"
        return not_applicable(name, Stage.SERVICE, reason)
    if not found.scored:
        reason = "no answer is of the model that the run was started with"
        return not_applicable(name, Stage.SERVICE, reason)
    fine = f"{found.scored:,} answers are those of the model itself"
    return _result(name, Stage.SERVICE, found.answers, fine)


def _rows(name: str, found: LogContent) -> CheckResult:
    about, fine = _CHECKS[name]
    full = f"content {name}"
    if not found.rows:
        reason = "the prediction log holds no row of a request of this run"
        return not_applicable(full, Stage.LOG, reason)
    findings = [finding for finding in found.findings if finding.kind in about]
    return _result(full, Stage.LOG, findings, f"{fine} ({found.rows:,} rows)")


def _labels(found: LogContent) -> CheckResult:
    name = "content labels"
    if not found.labels and not found.label_findings:
        reason = "the prediction log holds no label of this run, and none had to come"
        return not_applicable(name, Stage.LOG, reason)
    fine = f"{found.labels:,} labels are the true ones, of the chosen share and in time"
    return _result(name, Stage.LOG, found.label_findings, fine)


def _result(name: str, stage: Stage, findings: Sequence[StoredFinding], fine: str) -> CheckResult:
    if not findings:
        return CheckResult(name=name, passed=True, stage=stage, summary=fine)
    first, *others = findings
    more = f", and {len(others)} more findings" if len(others) > 1 else ""
    more = ", and one more finding" if len(others) == 1 else more
    details = [f"{say(finding)}: {'; '.join(finding.examples)}" for finding in findings[:DETAILS]]
    return CheckResult(
        name=name,
        passed=False,
        stage=stage,
        summary=f"{say(first)} (for example {first.examples[0]}){more}",
        details=tuple(details),
    )


def say(finding: StoredFinding) -> str:
    """A finding as one sentence."""
    if finding.kind == kinds.CLOCK:
        return _clock(finding)
    if finding.kind == kinds.COLUMN:
        return f"column {finding.subject} differs from what was sent in {finding.ratio} rows"
    if finding.kind == kinds.IDENTITY:
        return f"the stored {finding.subject} is not one of this run in {finding.ratio} rows"
    if finding.kind == MODEL_PROBABILITY and finding.subject == INVERTED:
        return (
            f"the service answered an inverted probability, 1 - p for p, in {finding.ratio} answers"
        )
    return f"{_TEXTS[finding.kind]} in {finding.ratio}"


def _clock(finding: StoredFinding) -> str:
    if finding.subject == kinds.MILLISECONDS:
        return f"the log's time is in milliseconds, not in seconds, in {finding.ratio} rows"
    way = "ahead" if finding.offset > 0 else "behind"
    by = f"{abs(finding.offset):.4g} s {way}"
    if finding.count >= MAX * finding.of:
        return f"the clock of the log is {by} ({finding.ratio} rows)"
    return f"the log's time is wrong, by {by} at the median, in {finding.ratio} rows"

"""The load itself: planned against sent, drift realised as planned, labels right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed.checks.registry import CHECKS
from testbed.checks.results import CheckResult, not_applicable
from testbed.checks.stages import Stage
from testbed.facts import sending as kinds
from testbed.facts.bounds import BoundedSample, level, ratio_bound
from testbed.facts.deviations import MEAN
from testbed.facts.planrows import COLUMN
from testbed.percentiles import percentile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed.checks.case import Case
    from testbed.facts.deviations import Deviation
    from testbed.facts.driftstudy import RealisedPhase
    from testbed.facts.findings import StoredFinding
    from testbed.facts.labelposts import LabelPosts
    from testbed.facts.realised import Realised
    from testbed.facts.sending import Sending

MEDIAN_LAG: Final = 0.25
"""Seconds: half of the requests must be sent within so much of their planned time. On a machine
that keeps up it is a millisecond; a load that sends in heaps shows here."""

LABEL_LAG: Final = 1.0
"""Seconds: half of the labels must be posted within so much of their planned time; the load looks
for labels four times a second."""

DETAILS: Final = 10

_TEXTS: Final = {
    kinds.NUMBER: "numbers of requests have gaps, come twice or are of another run",
    kinds.SCHEDULE: "requests are planned for another time than the rate of their phase gives",
    kinds.EARLY: "requests are sent before they are due",
    kinds.PHASE: "requests name a phase or a drift that the scenario doesn't have there",
}


@CHECKS.register
def check_load(case: Case) -> tuple[CheckResult, ...]:
    """The load itself: planned against sent, drift realised as planned, labels right."""
    found = case.evidence.snapshot.realised
    if found is None or found.sending is None:
        return ()
    return (
        _plan(found),
        _requests(found.sending),
        _pace(case),
        _rows(found),
        _labels(case, found.labels),
        *_drift(found),
    )


def _plan(found: Realised) -> CheckResult:
    if not found.plan:
        return _passed("plan", "the load's plan is the scenario's")
    summary = f"the load was given another plan than the scenario's: {found.plan[0]}"
    return _failed("plan", summary, found.plan)


def _requests(found: Sending) -> CheckResult:
    paced = [(phase, phase.planned) for phase in found.phases if phase.planned is not None]
    if not paced and not found.findings:
        reason = f"closed users plan no arrivals: {', '.join(each.name for each in found.phases)}"
        return not_applicable("load requests", Stage.LOAD, reason)
    planned = sum(count for _, count in paced)
    sent = sum(phase.sent for phase, _ in paced)
    counts = [
        f"phase {phase.name}: {phase.sent:,} of {count:,} planned requests were sent"
        for phase, count in paced
        if phase.sent != count
    ]
    counts += [
        f"phase {phase.name}: {phase.sent:,} requests of closed users, who plan none"
        for phase in found.phases
        if phase.planned is None
    ]
    missed = f", and it says that {found.missed:,} were left unsent" if found.missed else ""
    if sent + found.missed != planned:
        summary = f"the load sent {sent:,} of {planned:,} planned requests{missed}"
        if not found.missed:
            summary += " and says nothing of the others"
        return _failed("requests", summary, [*counts, *map(_say, found.findings)])
    if found.findings:
        return _failed("requests", _say(found.findings[0]), [_full(f) for f in found.findings])
    if found.missed:
        summary = (
            f"{sent:,} of {planned:,} planned requests were sent; {found.missed:,} were not, "
            "because the service or the machine was too slow"
        )
        return _passed("requests", summary, counts)
    return _passed("requests", f"all {planned:,} planned requests were sent, each once", counts)


def _pace(case: Case) -> CheckResult:
    requests = case.paced_requests
    lag = percentile([request.lateness for request in requests], 0.5)
    if lag is None:
        sent = case.evidence.truth.requests
        reason = "closed users plan no arrivals" if sent else "no request was sent"
        return not_applicable("load pace", Stage.LOAD, reason)
    summary = f"half of the requests were sent within {lag:.3g} s of their time"
    if held := sum((r.free_at or 0.0) > r.scheduled_at for r in requests):
        summary += f"; {held:,} of {len(requests):,} had to wait, as all users awaited answers"
    if lag <= MEDIAN_LAG:
        return _passed("pace", summary)
    more = f", at most {MEDIAN_LAG:g} s: the load comes in heaps, or the machine is too slow"
    return _failed("pace", f"{summary}{more}", ())


def _rows(found: Realised) -> CheckResult:
    if found.not_planned:
        reason = f"the rows can't be made again: {found.not_planned}"
        return not_applicable("load rows", Stage.LOAD, reason)
    if found.planned_rows:
        summary = _say_row(found.planned_rows[0])
        details = [f"{_say_row(f)}: {'; '.join(f.examples)}" for f in found.planned_rows]
        return _failed("rows", summary, details)
    return _passed("rows", "every row and label is the one that the plan's seed gives")


def _labels(case: Case, found: LabelPosts | None) -> CheckResult:
    labels = case.scenario.labels
    if found is None or not found.answered:
        return not_applicable("load labels", Stage.LOAD, "no prediction was answered")
    if case.evidence.run.service is not None:
        return _recorded(case, found)
    problems = []
    if found.posted != found.due and not (found.refused and found.posted < found.due):
        problems.append(
            f"the load posted {found.posted:,} labels, {found.due:,} were chosen of "
            f"{found.answered:,} answered predictions"
        )
    ratio = found.due / found.answered
    bound = ratio_bound(labels.ratio, BoundedSample(found.answered, None), level(1))
    if abs(ratio - labels.ratio) > bound:
        problems.append(
            f"the share of chosen labels is {ratio:.3f}, the scenario says {labels.ratio:g}"
        )
    if found.early:
        problems.append(f"{found.early:,} labels were posted before their delay was over")
    if found.late > LABEL_LAG:
        problems.append(
            f"half of the labels were posted more than {found.late:.2f} s after their delay"
        )
    if problems:
        return _failed("labels", problems[0], problems)
    return _passed("labels", f"{found.posted:,} labels were posted, each after its delay")


def _recorded(case: Case, found: LabelPosts) -> CheckResult:
    """Those of a service's log come from the truth; what it is told itself is counted beside."""
    log = case.evidence.snapshot.log
    labels = 0 if log is None else log.labels
    summary = f"{labels:,} of {found.due:,} labels of the truth are in the prediction log"
    fine = labels == found.due
    if found.takes_labels:
        refused = "; ".join(f"{count:,} with {why}" for why, count in found.refusals.items())
        summary += f", {found.posted:,} were posted to the service"
        summary += f", which refused {found.refused:,} ({refused})" if refused else ""
        # Who does not answer at the end of the load is told no more.
        complete = found.posted == found.due or (found.refused and found.posted < found.due)
        fine = fine and bool(complete) and not 0 < found.refused == found.posted
    return _passed("labels", summary) if fine else _failed("labels", summary, ())


def _drift(found: Realised) -> tuple[CheckResult, ...]:
    if found.not_drawn:
        reason = f"the drift can't be recomputed: {found.not_drawn}"
        return (not_applicable("load drift", Stage.LOAD, reason),)
    unknown = [phase for phase in found.phases if not phase.known]
    results = [
        not_applicable(
            f"load drift {phase.name}",
            Stage.LOAD,
            f"what the drift {phase.drift} must do is not known to the verdict",
        )
        for phase in unknown
    ]
    wrong = [p for p in found.phases if p.deviations or p.changed]
    if wrong:
        details = [line for phase in wrong for line in _phase_lines(phase)]
        results.append(_failed("drift", _say_phase(wrong[0]), details))
    else:
        tests = sum(phase.tests for phase in found.phases)
        known = len(found.phases) - len(unknown)
        summary = f"{known} phases drifted as the scenario says, and not otherwise ({tests} tests)"
        results.append(_passed("drift", summary))
    return tuple(results)


def _say_phase(phase: RealisedPhase) -> str:
    planned = f"{phase.drift} at severity {phase.severity:g}" if phase.drift else "no drift"
    start = f"phase {phase.name} was to have {planned}, but"
    if phase.deviations:
        first = max(phase.deviations, key=_weight)
        others = len({d.subject for d in phase.deviations}) - 1
        more = f", and {others} others differ" if others > 0 else ""
        return f"{start} {_say_deviation(first)}{more}"
    return f"{start} {_say_change(phase.changed[0])}"


def _weight(found: Deviation) -> tuple[bool, float]:
    """Means say most to people, then what is furthest from its expectation."""
    return found.what == MEAN, abs(found.found - found.expected) / (found.allowed + 1e-9)


def _phase_lines(phase: RealisedPhase) -> list[str]:
    return [
        *(f"{phase.name}: {_say_deviation(deviation)}" for deviation in phase.deviations),
        *(f"{phase.name}: {_say_change(f)}: {'; '.join(f.examples)}" for f in phase.changed),
    ]


def _say_deviation(found: Deviation) -> str:
    if found.what == MEAN:
        return (
            f"the mean of {found.subject} moved by {found.found:.2f} standard deviations, "
            f"expected {found.expected:.2f} ± {found.allowed:.2f}"
        )
    return (
        f"{found.subject}: {found.what} is {found.found:.3g}, expected {found.expected:.3g} "
        f"± {found.allowed:.2g}"
    )


def _say_change(found: StoredFinding) -> str:
    what = found.subject if found.subject in {"labels", "rows"} else f"column {found.subject}"
    verb = "differ" if what == found.subject else "differs"
    return f"{what} {verb} from the drawn rows, not as the drift says, in {found.ratio} rows"


def _say_row(found: StoredFinding) -> str:
    what = f"column {found.subject}" if found.kind == COLUMN else "the label"
    example = found.examples[0]
    return f"{what} is not the one of the plan in {found.ratio} rows (for example {example})"


def _say(found: StoredFinding) -> str:
    return (
        f"{_TEXTS[found.kind]} ({found.count:,} of {found.of:,}, for example {found.examples[0]})"
    )


def _full(found: StoredFinding) -> str:
    return f"{_TEXTS[found.kind]}: {'; '.join(found.examples)}"


def _passed(name: str, summary: str, details: Sequence[str] = ()) -> CheckResult:
    return CheckResult(
        name=f"load {name}",
        passed=True,
        stage=Stage.LOAD,
        summary=summary,
        details=tuple(details),
    )


def _failed(name: str, summary: str, details: Sequence[str]) -> CheckResult:
    return CheckResult(
        name=f"load {name}",
        passed=False,
        stage=Stage.LOAD,
        summary=summary,
        details=tuple(details[:DETAILS]),
    )

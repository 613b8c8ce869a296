"""Dashboards: every panel query runs on the Prometheus of the run and returns data."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from testbed_otel import names

from testbed.checks.registry import CHECKS, of_bundled_api
from testbed.checks.results import CheckResult, not_applicable
from testbed.checks.stages import Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from testbed.checks.case import Case
    from testbed.facts.boards import Boards, PanelFacts, Unmatched
    from testbed.facts.panelvalues import Moves
    from testbed.faults import FaultModel

DRAWN: Final = "dashboards drawn"
PANELS: Final = "panel queries"
VALUES: Final = "panel values"
DETAILS: Final = 10
COUNTED: Final = 20
"""Events from which on a rate must show something: a few may come before the first sample."""
TOLERANCE: Final = 0.2
"""Relative difference of a request rate over a whole phase; 0.3 % on an idle machine."""
STRAY: Final = 5.0
"""Requests per second that are no predictions: labels, probes of health, people who look."""
SPREAD: Final = 2.0
"""Predictions per second by which a phase's rate may differ, whatever its rate is."""

_STATUS: Final = names.label(names.HTTP_STATUS)
_STATES: Final = frozenset(map(names.label, (names.DECISION, names.STATE)))
"""Labels of which one value always holds, so that ``== 1`` always finds one."""


@CHECKS.register
@of_bundled_api({DRAWN: Stage.DASHBOARD, PANELS: Stage.DASHBOARD, VALUES: Stage.DASHBOARD})
def check_boards(case: Case) -> tuple[CheckResult, ...]:
    """Dashboards: every panel query runs on the Prometheus of the run and returns data."""
    boards = case.evidence.snapshot.boards
    if boards is None:
        return ()
    if not boards.panels:
        reason = "No dashboard has a panel, so that no query was run"
        return (not_applicable(PANELS, Stage.DASHBOARD, reason),)
    return (_drawn(boards), _queries(case, boards), _values(case, boards))


def _drawn(boards: Boards) -> CheckResult:
    """Dashboards are as their source makes them, and say of themselves what they show."""
    lines = (*boards.unlike_source, *boards.contradictions)
    if boards.unlike_source:
        summary = f"A dashboard is not the one that its source makes: {lines[0]}"
    elif lines:
        summary = f"A panel says something else than its query: {lines[0]}"
    else:
        summary = "The dashboards are those that their source makes, and show what they say"
    return CheckResult(
        name=DRAWN,
        passed=not lines,
        stage=Stage.DASHBOARD,
        summary=summary,
        details=_cut(list(lines[1:])),
    )


def _queries(case: Case, boards: Boards) -> CheckResult:
    found = [
        (panel, problem)
        for panel in boards.panels
        if (problem := _problem(case, boards, panel)) is not None
    ]
    total = sum(len(panel.where) for panel in boards.panels)
    details = [f"{panel.where[0]}: {problem}" for panel, problem in found]
    if found:
        broken = sum(len(panel.where) for panel, _ in found)
        panel, problem = found[0]
        summary = f"{broken} of {total} panel queries are broken: {panel.where[0]}: {problem}"
        return CheckResult(
            name=PANELS,
            passed=False,
            stage=Stage.DASHBOARD,
            summary=summary,
            details=_cut(details),
        )
    absent = sorted({m for p in boards.panels if not p.returned for m in p.absent})
    silent = sum(len(p.where) for p in boards.panels if not p.returned)
    summary = f"All {total} panel queries run; {total - silent} return data"
    if silent:
        summary += f", {silent} have nothing to show in this run"
    lines = [f"not applicable, no series in this run: {', '.join(absent)}"] if absent else []
    return CheckResult(
        name=PANELS,
        passed=True,
        stage=Stage.DASHBOARD,
        summary=summary,
        details=tuple(lines),
    )


def _problem(case: Case, boards: Boards, panel: PanelFacts) -> str | None:
    """What is wrong with a query, if anything."""
    if panel.error is not None:
        return f"Prometheus refuses it: {panel.error}"
    if unknown := set(panel.absent) & set(boards.foreign):
        return f"the metric {min(unknown)} is not in the vocabulary, and this run has no series"
    reasons = (_unmatched(case, each) for each in panel.unmatched)
    return next((reason for reason in reasons if reason), None) or _result(panel)


def _result(panel: PanelFacts) -> str | None:
    """What is wrong with what a query returns."""
    if panel.unlabelled:
        return f"no series has the label {panel.unlabelled[0]} that it speaks of"
    if panel.absent or not panel.selects:
        return None
    if not panel.returned and not _may_filter(panel):
        return "it returns nothing, though its metrics have series"
    few = panel.counted is not None and panel.counted < COUNTED
    return "it returns no number" if panel.returned and not (panel.finite or few) else None


def _may_filter(panel: PanelFacts) -> bool:
    """Whether a comparison may rightly have dropped everything, or nothing was counted yet."""
    if panel.counted is not None and panel.counted < COUNTED:
        return True
    if not panel.filters:
        return False
    return not (panel.filters == ("==",) and _shows_a_state(panel.expr))


def _shows_a_state(expr: str) -> bool:
    """Whether a metric in it is 1 for one of its states at any time, and 0 for the others."""
    return any(
        _STATES & set(map(names.label, metric.attributes))
        and re.search(rf"\b{re.escape(metric.prometheus)}\b", expr)
        for metric in names.METRICS
    )


def _unmatched(case: Case, each: Unmatched) -> str | None:
    """Why a matcher that finds nothing is wrong; None where the value only did not occur."""
    text = f"no series of {each.metric} has {each.matcher}"
    if each.operator in {"!=", "!~"}:
        return None  # everything that occurred is excluded
    if each.label == _STATUS:
        return None if _status_may_be_missing(case, each.value) else text
    closed = _closed_values(each)
    if closed is None:
        return text
    if any(re.fullmatch(each.value, possible) for possible in closed):
        return None
    return f"{text}, and the vocabulary knows no such value"


def _status_may_be_missing(case: Case, pattern: str) -> bool:
    """Whether it is a pattern of HTTP statuses of which the load saw none."""
    possible = {str(status) for status in range(100, 600)}
    seen = {str(r.status) for r in case.evidence.truth.all_requests if r.status is not None}
    matching = {status for status in possible if re.fullmatch(pattern, status)}
    return bool(matching) and not matching & seen


def _closed_values(each: Unmatched) -> tuple[str, ...] | None:
    """The values that a label can have, where they are known."""
    if (each.metric, each.label) in names.FOREIGN_VALUES:
        return names.FOREIGN_VALUES[each.metric, each.label]
    for metric in names.METRICS:
        if each.metric in metric.prometheus_series:
            values = {names.label(key): known for key, known in metric.values}
            return values.get(each.label)
    return None


def _values(case: Case, boards: Boards) -> CheckResult:
    held = [panel for panel in boards.panels if panel.kind is not None and panel.returned]
    if not held:
        reason = "No panel shows requests, errors or the drift share, so that no value was compared"
        return not_applicable(VALUES, Stage.DASHBOARD, reason)
    wrong = [f"{p.where[0]}: {text}" for p in held for text in _wrong(case, p)]
    if wrong:
        return CheckResult(
            name=VALUES,
            passed=False,
            stage=Stage.DASHBOARD,
            summary=f"A panel shows other values than the load saw: {wrong[0]}",
            details=_cut(wrong),
        )
    number = sum(len(panel.where) for panel in held)
    return CheckResult(
        name=VALUES,
        passed=True,
        stage=Stage.DASHBOARD,
        summary=f"{number} panels of requests, errors and drift show what the load and the drift "
        "job saw",
    )


def _wrong(case: Case, panel: PanelFacts) -> Iterator[str]:
    if panel.kind == "drift":
        yield from _drift(case, panel)
        return
    quiet = {phase.name for phase in case.scenario.phases if _interrupted(phase.faults)}
    for moves in panel.moves:
        if moves.phase in quiet:
            continue
        if panel.kind == "errors":
            yield from _errors(moves)
        else:
            yield from _rate(panel, moves)


def _interrupted(faults: Iterable[FaultModel]) -> bool:
    """Whether measurements do not come all the time, so that a rate is one of what did come."""
    return any(fault.interrupts for fault in faults)


def _errors(moves: Moves) -> Iterator[str]:
    if (moves.expected or 0) >= COUNTED and not moves.maximum:
        yield f"it shows no error in {moves.phase}, where the load saw {moves.expected:.0f}"


def _rate(panel: PanelFacts, moves: Moves) -> Iterator[str]:
    rate = moves.expected
    if rate is None or moves.mean is None:
        return
    slack = TOLERANCE * rate + SPREAD
    above = slack if panel.whole else slack + STRAY + TOLERANCE * rate
    if not rate - slack <= moves.mean <= rate + above:
        yield (
            f"it shows {moves.mean:.1f} per second in {moves.phase}, where the load saw {rate:.1f}"
        )


def _drift(case: Case, panel: PanelFacts) -> Iterator[str]:
    """A share that the drift job found before the last phase is seen."""
    phase = case.phase(panel.moves[-1].phase) if panel.moves else None
    if phase is None:
        return
    ratios = [
        run.drift_share
        for run in case.evidence.drift_runs
        if run.drift_share is not None and run.time <= phase.start
    ]
    shown = max((moves.maximum for moves in panel.moves if moves.maximum is not None), default=0.0)
    if max(ratios, default=0.0) > 0 >= shown:
        yield f"it never shows more than {shown:g}, where the drift job found {max(ratios):g}"


def _cut(lines: list[str]) -> tuple[str, ...]:
    more = len(lines) - DETAILS
    return (*lines[:DETAILS], f"and {more} more") if more > 0 else tuple(lines)

"""When the monitoring itself was blind: no rule was evaluated, or nobody could be notified.

What a fault did to Prometheus, Alertmanager or the receiver is no mistake of the alerts. So the
time that an alert is given begins anew once they see again, and one that had no such time is not
applicable; one that had is judged as ever.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from testbed.checks.registry import CHECKS
from testbed.checks.results import CheckResult
from testbed.checks.stages import Stage
from testbed.timeline import BACK, GONE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from testbed.checks.case import Case
    from testbed.records import StoredEvent

BLIND: Final = "monitoring blind: "
"""Begin of the names of these checks."""

EVALUATES: Final = ("prometheus",)
"""Without it, no rule is evaluated."""

NOTIFIES: Final = ("alertmanager", "receiver")
"""Without one of them, what fires is not notified."""

STAGES: Final = {
    "prometheus": Stage.PROMETHEUS,
    "alertmanager": Stage.ROUTE,
    "receiver": Stage.RECEIVER,
}

STARTING: Final = 5.0
"""Real seconds that a component may take to work again once it is back."""

SHORT: Final = 2.5
"""Intervals of a rule that a pause must be longer than: any evaluation may be late."""


@dataclass(frozen=True, slots=True)
class Blind:
    """A time in which a component of the monitoring did nothing, in Unix seconds.

    Attributes:
        component: which one.
        start: since when.
        end: until it worked again; the run's end where it never did.
        why: in words.
        forgets: whether it came back without what it had known.
    """

    component: str
    start: float
    end: float
    why: str
    forgets: bool = False


@CHECKS.register
def check_blindness(case: Case) -> tuple[CheckResult, ...]:
    """When the monitoring was blind; the faults that made it so are in the scenario."""
    spans = blind(case)
    return tuple(
        CheckResult(
            name=f"{BLIND}{component}",
            passed=True,
            stage=STAGES[component],
            summary=f"the monitoring itself was {blind_text(case, own)}",
        )
        for component in (*EVALUATES, *NOTIFIES)
        if (own := [each for each in spans if each.component == component])
    )


def blind(case: Case, components: Sequence[str] = (*EVALUATES, *NOTIFIES)) -> tuple[Blind, ...]:
    """When components were gone by the timeline, and Prometheus until it evaluated again."""
    ended = case.evidence.snapshot.ended_at
    since: dict[str, StoredEvent] = {}
    found = []
    for event in case.evidence.timeline:
        if event.name not in components or event.time >= ended:
            continue
        if event.event in GONE:
            since.setdefault(event.name, event)
        elif event.event in BACK and event.name in since:
            gone = since.pop(event.name)
            found.append(_blind(gone, _seeing(case, event.name, gone.time, event.time)))
    found += [_blind(gone, ended) for gone in since.values()]
    return tuple(sorted(found, key=lambda each: each.start))


def forgotten(case: Case, ended: float) -> Blind | None:
    """The time in which an alert ended that Alertmanager has forgotten since; None: there is none.

    Killed, it loses whom it had notified, so that nobody is notified of the end.
    """
    gone = (each for each in blind(case, ("alertmanager",)) if each.forgets)
    return next((each for each in gone if each.start <= ended <= each.end + STARTING), None)


def deadline(case: Case, start: float, allowed: float) -> float:
    """When an alert is due that is allowed some real seconds from a start on.

    They begin anew after each time in which the monitoring was blind.
    """
    due = start + allowed
    for each in blind(case):
        if each.start < due and each.end > start:
            due = max(due, each.end + STARTING + allowed)
    return due


def longest_sight(case: Case, start: float, end: float, interval: float) -> float:
    """The longest real time within a span in which rules were evaluated without a pause."""
    longest, reached = 0.0, start
    for each in blind(case, EVALUATES):
        if each.end - each.start > SHORT * interval and each.end > start and each.start < end:
            longest = max(longest, each.start - reached)
            reached = max(reached, each.end)
    return max(longest, end - reached, 0.0)


def meanwhile(case: Case, start: float, end: float) -> tuple[Blind, ...]:
    """When it was blind within a span."""
    return tuple(each for each in blind(case) if each.start < end and each.end > start)


def blind_text(case: Case, spans: Iterable[Blind]) -> str:
    """Since when, until when and why, in seconds of the run."""
    began = case.evidence.snapshot.started_at
    return "blind " + " and ".join(
        f"from {each.start - began:.1f} s to {each.end - began:.1f} s into the run"
        f" ({each.component}: {each.why})"
        for each in spans
    )


def _blind(gone: StoredEvent, end: float) -> Blind:
    killed = gone.event == "component_crashed" or gone.details.get("signal") == signal.SIGKILL
    why = str(gone.details.get("outcome", "gone"))
    return Blind(gone.name, gone.time, end, why, forgets=killed)


def _seeing(case: Case, component: str, start: float, back: float) -> float:
    """When a component that is back worked again, so far as that was seen."""
    health = case.evidence.snapshot.rulehealth
    if component not in EVALUATES or health is None:
        return back
    ends = [
        pause.end
        for each in health.evaluations
        for pause in each.pauses
        if pause.start <= back and pause.end >= start
    ]
    return max([back, *ends])

"""What came of a fault, by what the load itself saw and the runner did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testbed.checks.case import Case
    from testbed.phases import PhaseRow
    from testbed.truth import Request

MIN_RATIO: Final = 0.75
"""Ratio of the planned requests that must be hit: the API spreads them evenly, it does not draw."""

SPARE: Final = 3
"""Hits that may be missing for each replica: what it owes when the fault ends."""

SETTING: Final = 0.5
"""Seconds after a fault began that do not count: it is set in each replica, one after another."""

MIN_REQUESTS: Final = 10
"""Requests from which on a fault is evaluated."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What came of one fault.

    Attributes:
        phase: in which it was planned.
        fault: what was planned, in words.
        took: whether it took hold; None where that can't be said.
        seen: what was seen, in words.
    """

    phase: str
    fault: str
    took: bool | None
    seen: str

    @property
    def sentence(self) -> str:
        """All of it."""
        if self.took is None:
            return f"whether the fault {self.fault} took hold can't be said: {self.seen}"
        took = "took hold" if self.took else "did not take hold"
        return f"the fault {self.fault} of phase {self.phase} {took}: {self.seen}"


def meanwhile(case: Case, phase: PhaseRow, label: str) -> Sequence[Request]:
    """The requests of a phase that began and ended while the fault of this label was on."""
    events = [e for e in case.evidence.timeline if e.name == label and e.time >= phase.start - 1]
    on = next((e.time for e in events if e.event == "fault_on"), phase.start)
    off = next((e.time for e in events if e.event == "fault_off" and e.time > on), phase.end)
    return [
        row
        for row in case.evidence.truth.requests
        if row.phase == phase.name and row.sent_at >= on + SETTING and row.finished_at <= off
    ]


def last_event(case: Case, phase: PhaseRow, label: str) -> Mapping[str, Any]:
    """What was written down as the fault of this label ended; empty where it never did."""
    events = (
        event.details
        for event in case.evidence.timeline
        if event.event == "fault_off" and event.name == label and event.time >= phase.start
    )
    return next(events, {})


def of_ratio(
    case: Case,
    phase: PhaseRow,
    label: str,
    rows: Sequence[Request],
    hit: int,
    ratio: float,
    what: str,
) -> Effect:
    """The effect of a fault that hits a ratio of the requests.

    Args:
        case: the run.
        phase: in which it was planned.
        label: of the fault.
        rows: the requests that it could hit.
        hit: how many of them it did.
        ratio: of those that it should.
        what: what it did to them, in words.
    """
    if len(rows) < MIN_REQUESTS:
        seen = f"{len(rows)} requests began and ended meanwhile"
        return Effect(phase.name, label, None, seen)
    seen = f"{100 * hit / len(rows):.1f} % of the {len(rows)} requests of the load {what}"
    planned, spare = ratio * len(rows), SPARE * max(1, case.evidence.run.replicas)
    if planned < spare:
        return Effect(phase.name, label, None, f"{seen}, {planned:.1f} requests were to be hit")
    took = hit > 0 and hit + spare >= MIN_RATIO * planned
    return Effect(phase.name, label, took, seen)

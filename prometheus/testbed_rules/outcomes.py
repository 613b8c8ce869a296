"""Whether the firings of an alert are what a scenario expects. Pure; times are Unix seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed_rules.conditions import Labels
    from testbed_rules.replay import ReplayedFiring


@dataclass(frozen=True, slots=True)
class AlertExpectation:
    """One expected alert.

    Attributes:
        phase: name of its phase.
        start: of the phase.
        end: of the phase.
        until: start of the next phase that expects the alert; what begins there belongs there.
        within: seconds from the start to the notification.
        resolves_within: seconds from the end to that of the resolution; None asks for none.
        labels: that distinguish the alert from others of its name.
    """

    phase: str
    start: float
    end: float
    until: float
    within: float
    resolves_within: float | None
    labels: Labels = frozenset()

    def is_met_by(self, firing: ReplayedFiring) -> bool:
        """Whether a firing is of this alert."""
        return self.labels <= firing.labels


@dataclass(frozen=True, slots=True)
class AlertContract:
    """What a scenario says of one alert.

    Attributes:
        expected: by start.
        allowed: whether it may fire elsewhere.
        group_wait: seconds from firing to the notification.
        group_interval: seconds between further notifications of the group.
    """

    expected: tuple[AlertExpectation, ...] = ()
    allowed: bool = False
    group_wait: float = 0.0
    group_interval: float = 0.0


def broken_by(firings: Sequence[ReplayedFiring], contract: AlertContract) -> str | None:
    """How firings break a contract, in words; None where they keep it."""
    if not contract.allowed and any(not _expected(firing, contract) for firing in firings):
        return "fires unexpectedly"
    faults = (_fault(firings, each, contract) for each in contract.expected)
    return next((fault for fault in faults if fault is not None), None)


def _expected(firing: ReplayedFiring, contract: AlertContract) -> bool:
    return any(each.is_met_by(firing) and firing.start >= each.start for each in contract.expected)


def _fault(
    firings: Sequence[ReplayedFiring], expected: AlertExpectation, contract: AlertContract
) -> str | None:
    mine = [
        firing
        for firing in firings
        if expected.is_met_by(firing) and expected.start <= firing.start < expected.until
    ]
    if not mine:
        return f"does not fire in {expected.phase}"
    notified = min(firing.start for firing in mine) + contract.group_wait
    if notified > expected.start + expected.within:
        return f"fires too late in {expected.phase}"
    if expected.resolves_within is None:
        return None
    ends = [firing.end for firing in mine if firing.end is not None]
    if len(ends) < len(mine):
        return f"does not resolve after {expected.phase}"
    flushes = math.ceil(max(0.0, max(ends) - notified) / (contract.group_interval or 1.0))
    resolved = notified + flushes * (contract.group_interval or 1.0)
    if resolved > expected.end + expected.resolves_within:
        return f"resolves too late after {expected.phase}"
    return None

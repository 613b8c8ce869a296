"""The case that every check evaluates: the scenario, the evidence and the time scale."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from testbed.checks.results import CheckResult, Delay
from testbed.heartbeat import heartbeat_names
from testbed.phases import PhaseRow, played_phases

if TYPE_CHECKING:
    from testbed.evidence import Evidence
    from testbed.scenario import Scenario
    from testbed.truth import Request


@dataclass(frozen=True)
class Case:
    """What was to happen, what happened, and how fast time went.

    Attributes:
        scenario: durations in production seconds.
        evidence: times in real Unix seconds.
        factor: production seconds per real second.
    """

    scenario: Scenario
    evidence: Evidence
    factor: float

    @cached_property
    def phases(self) -> tuple[PhaseRow, ...]:
        """The phases as they were played, in order: from the timeline, else from the truth."""
        over = self.evidence.snapshot.ended_at
        return played_phases(self.evidence.timeline, over) or self._planned()

    @cached_property
    def heartbeats(self) -> frozenset[str]:
        """Names of the alerts that always fire, by the expressions of their rules."""
        rules = self.evidence.snapshot.rules or ()
        return heartbeat_names((rule.name, rule.query) for rule in rules)

    @cached_property
    def paced_requests(self) -> tuple[Request, ...]:
        """Requests whose times were planned: all but those of closed users."""
        closed = {phase.name for phase in self.scenario.phases if phase.closed}
        sent = self.evidence.truth.requests
        return tuple(each for each in sent if each.phase not in closed) if closed else sent

    def phase(self, name: str) -> PhaseRow | None:
        """A phase by name; None if it was never played."""
        return next((phase for phase in self.phases if phase.name == name), None)

    def phase_at(self, time: float) -> str | None:
        """Name of the phase at a Unix time."""
        return next((p.name for p in self.phases if p.start <= time < p.end), None)

    def real(self, production: float) -> float:
        """Real seconds of a production duration."""
        return production / self.factor

    def delay(self, real: float, allowed: float | None = None) -> Delay:
        """A span of real seconds, with what the scenario allows in production seconds."""
        return Delay(
            real=round(real, 3),
            production=round(real * self.factor, 3),
            allowed_production=allowed,
        )

    def _planned(self) -> tuple[PhaseRow, ...]:
        start = self.evidence.truth.started_at
        if start is None:
            return ()
        rows = []
        for phase in self.scenario.phases:
            end = start + self.real(phase.duration)
            rows.append(PhaseRow(name=phase.name, start=start, end=end))
            start = end
        return tuple(rows)


class Check(Protocol):
    """Evaluates one side of a case; pure."""

    def __call__(self, case: Case, /) -> tuple[CheckResult, ...]:
        """Results, at least one unless there is nothing to evaluate."""
        ...

"""Which of the loaded alerts a run exercised: fired in Prometheus and notified as expected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from testbed.checks.results import AlertStatus, ResultModel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from testbed.checks.case import Case
    from testbed.checks.results import AlertRow


class Coverage(ResultModel):
    """Alerts of the loaded rules that a run exercised, and those that it did not, by name."""

    exercised: tuple[str, ...] = Field(
        default=(), description="Fired in Prometheus and notified as the scenario expects."
    )
    idle: tuple[str, ...] = Field(
        default=(), description="Of these the run says only that they stayed silent, if they did."
    )

    @property
    def total(self) -> int:
        """How many alerts there are."""
        return len(self.exercised) + len(self.idle)

    @property
    def text(self) -> str:
        """In words, with the names of those that were not exercised."""
        rest = f"; not exercised: {', '.join(self.idle)}" if self.idle else ""
        return f"{len(self.exercised)} of {self.total} alerts exercised{rest}"


def coverage(case: Case, alerts: Iterable[AlertRow]) -> Coverage | None:
    """What the run exercised; None where it is unknown which rules were loaded."""
    rules = case.evidence.snapshot.rules
    if rules is None:
        return None
    known = {rule.name for rule in rules}
    done = {row.alert for row in alerts if row.expected and row.status is AlertStatus.DETECTED}
    return Coverage(exercised=tuple(sorted(known & done)), idle=tuple(sorted(known - done)))

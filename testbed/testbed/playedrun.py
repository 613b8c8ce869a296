"""A run that was played, for assertions in tests: what it answers says why when it is printed."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from testbed_rules.timescale import format_duration, parse_duration

from testbed.errors import UsageError
from testbed.texts import status_text

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from testbed.checks.results import AlertRow, CheckResult
    from testbed.layout import RunLayout
    from testbed.phases import PhaseRow
    from testbed.verdict import Verdict


@dataclass(frozen=True, slots=True)
class RunAnswer:
    """Yes or no, and why: pytest prints it where an assertion on it fails."""

    holds: bool
    reason: str

    def __bool__(self) -> bool:
        return self.holds

    def __repr__(self) -> str:
        return f"<{'yes' if self.holds else 'no'}: {self.reason}>"


@dataclass(frozen=True, slots=True)
class PlayedRun:
    """A run and its verdict.

    Attributes:
        verdict: of the run, as ``verdict.json`` holds it.
        layout: its files.
    """

    verdict: Verdict
    layout: RunLayout

    @property
    def report(self) -> Path:
        """Its HTML report."""
        return self.layout.report_file

    @property
    def passed(self) -> RunAnswer:
        """Whether the verdict passed; else what failed."""
        return RunAnswer(self.verdict.passed, "\n".join(self.verdict.lines()))

    @property
    def decision(self) -> str | None:
        """The most severe decision of the drift job; None where it came to none."""
        return self.verdict.drift.decision

    def check(self, name: str) -> RunAnswer:
        """Whether a check passed, by its name in the report.

        Raises:
            UsageError: the verdict has no such check.
        """
        checks = {check.name: check for check in self.verdict.checks}
        return _answer(checks[_known("check", name, checks)])

    def assertion(self, name: str) -> RunAnswer:
        """Whether an assertion of the scenario holds, by its name there.

        Raises:
            UsageError: the scenario has none of that name.
        """
        checks = {
            check.name.partition("assertion ")[2]: check
            for check in self.verdict.checks
            if check.weight is not None
        }
        return _answer(checks[_known("assertion", name, checks)])

    def alert(self, name: str, phase: str | None = None) -> PlayedAlert:
        """What became of an alert.

        Args:
            name: of the alert.
            phase: from which times count; by default the one in which the scenario expects it, else
                that in which it was first notified.

        Raises:
            UsageError: no rule of the run has that name, or the scenario has no such phase.
        """
        covered = self.verdict.coverage
        rows = tuple(row for row in self.verdict.alerts if row.alert == name)
        if covered is not None and not rows:
            _known("alert", name, (*covered.exercised, *covered.idle))
        if phase is not None:
            _known("phase", phase, [each.name for each in self.verdict.phases])
            rows = tuple(row for row in rows if row.phase == phase) or rows
        return PlayedAlert(name, rows, self.verdict, phase)


@dataclass(frozen=True, slots=True)
class PlayedAlert:
    """An alert of a run.

    Attributes:
        name: of the alert.
        rows: what the verdict says of it, more than one where it is expected more than once.
        verdict: of the run.
        phase: from which times count; None leaves it to the row.
    """

    name: str
    rows: tuple[AlertRow, ...]
    verdict: Verdict
    phase: str | None = None

    @property
    def fired(self) -> RunAnswer:
        """Whether it fired in Prometheus."""
        return RunAnswer(any(row.fired for row in self.rows), self._why)

    @property
    def notified(self) -> RunAnswer:
        """Whether it reached the receiver."""
        return RunAnswer(any(row.notified for row in self.rows), self._why)

    @property
    def silent(self) -> RunAnswer:
        """Whether it never fired."""
        return RunAnswer(not any(row.fired or row.notified for row in self.rows), self._why)

    def fired_within(self, within: str | float) -> RunAnswer:
        """Whether it was notified within a production duration after the start of its phase."""
        row = next((each for each in self.rows if each.notified_at is not None), None)
        if row is None or row.notified_at is None:
            return RunAnswer(False, self._why)  # noqa: FBT003 - the answer
        phase = self._phase_of(row, row.notified_at)
        took = (row.notified_at - phase.start) * self.verdict.run.time_scale
        return self._within("notified", took, within, f"{phase.name} began")

    def resolved_within(self, within: str | float) -> RunAnswer:
        """Whether its end was notified within a production duration after its phase was over."""
        row = next((each for each in self.rows if each.resolved_at is not None), None)
        if row is None or row.resolved_at is None:
            return RunAnswer(False, f"{self.name} was not notified as resolved; {self._why}")  # noqa: FBT003 - the answer
        phase = self._phase_of(row, row.notified_at or row.resolved_at)
        took = max(0.0, (row.resolved_at - phase.end) * self.verdict.run.time_scale)
        return self._within("resolved", took, within, f"{phase.name} was over")

    def _within(self, what: str, took: float, within: str | float, since: str) -> RunAnswer:
        allowed = parse_duration(within) if isinstance(within, str) else within
        said = f"{self.name} was {what} {_duration(took)} after {since}"
        if took < 0:
            said = f"{self.name} was {what} {_duration(took)} before {since}"
        return RunAnswer(0 <= took <= allowed, f"{said}, allowed were {_duration(allowed)}")

    def _phase_of(self, row: AlertRow, at: float) -> PhaseRow:
        name = self.phase or row.phase
        phases = self.verdict.phases
        found = next((each for each in phases if each.name == name), None)
        return found or next((each for each in phases if each.start <= at < each.end), phases[-1])

    @property
    def _why(self) -> str:
        if not self.rows:
            return f"{self.name} never fired"
        return "; ".join(f"{self.name} {status_text(r.status)}: {r.reason}" for r in self.rows)


def _answer(check: CheckResult) -> RunAnswer:
    return RunAnswer(check.passed, "; ".join((f"{check.name}: {check.summary}", *check.details)))


def _duration(seconds: float) -> str:
    return format_duration(float(round(abs(seconds))))


def _known(what: str, name: str, names: Collection[str]) -> str:
    if name in names:
        return name
    near = get_close_matches(name, names, 1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names) or 'none'}"
    raise UsageError(f"the run has no {what} {name!r}: {hint}")

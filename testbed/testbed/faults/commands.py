"""A fault that a program of yours does."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from testbed.errors import StackError
from testbed.faults.base import FAULTS, AsideFault, ComponentName
from testbed.faults.effects import Effect, last_event

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.faults.rig import Rig
    from testbed.phases import PhaseRow

Argv = Annotated[tuple[str, ...], Field(min_length=1)]


@FAULTS.register
class ExecFault(AsideFault):
    """A command that begins something, and one that ends it.

    They are executed without a shell, beside the run, and end with it at the latest; TESTBED_RUN
    names its folder, whose run.json holds the addresses of the components. Any exit code but 0 says
    that it did not take hold. They need trust: `testbed trust FILE`.
    """

    interrupts: ClassVar[bool] = True
    kind: Literal["exec"] = "exec"
    start: Argv = Field(description="Program and arguments.")
    end_with: Argv | None = Field(None, description="What ends it; null executes nothing.")
    components: tuple[ComponentName, ...] = Field(
        (), description="Components that it hits: holes in what is measured of them are meant."
    )
    timeout: float = Field(10.0, gt=0, le=60, description="Real seconds for each command.")

    @property
    def label(self) -> str:
        """Of the timeline."""
        return f"exec {shlex.join(self.start)}"

    @property
    def description(self) -> str:
        """Of the documentation."""
        return f"`{shlex.join(self.start)}` is executed"

    @property
    def hits(self) -> tuple[str, ...]:
        """Those that it names."""
        return self.components

    @property
    def trusting(self) -> str:
        """Both commands."""
        return "; ".join(shlex.join(each) for each in (self.start, self.end_with) if each)

    def ask_for_begin(self, rig: Rig) -> int | str:
        """Execute the first command."""
        return self._execute(rig, "begin", self.start)

    def ask_for_end(self, rig: Rig) -> int | str | None:
        """Execute the other one."""
        return None if self.end_with is None else self._execute(rig, "end", self.end_with)

    def effect(self, case: Case, phase: PhaseRow) -> Effect:
        """By the exit codes."""
        seen = last_event(case, phase, self.label)
        if "begin" not in seen:
            return Effect(phase.name, self.label, took=False, seen="nothing was executed")
        codes = [each for each in (seen["begin"], seen["end"]) if each is not None]
        text = f"it ended with {' and, to end it, '.join(map(str, codes))}"
        return Effect(phase.name, self.label, took=not any(codes), seen=text)

    def _execute(self, rig: Rig, part: str, argv: Argv) -> int | str:
        """Its exit code, or what became of it."""
        try:
            outcome = rig.stack.run_helper(f"{self.label} {part}", argv, self.timeout)
        except StackError as error:
            return str(error)
        if outcome is None:
            return f"no exit within {self.timeout:g} s"
        return outcome.describe() if outcome.exit_code is None else outcome.exit_code

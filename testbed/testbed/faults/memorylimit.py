"""A component that may use only so much memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from testbed.faults.base import FAULTS, ComponentFault, HeldFault, Measuring, Seen
from testbed.faults.effects import Effect, last_event
from testbed.faults.rig import memorygroup
from testbed.faults.rig.kernel import MIB, members

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.faults.rig import Rig, Undo
    from testbed.phases import PhaseRow


@FAULTS.register
class MemoryLimitFault(ComponentFault, HeldFault):
    """The kernel gives a component so much memory and no swap, until the phase ends.

    By a control group (version 2, else 1), for which root and its memory controller are needed;
    elsewhere it is refused, and `memory` holds memory of the whole machine. What a process had
    before counts where it was. One that needs more is killed by the kernel, which the verdict calls
    a crash.
    """

    interrupts: ClassVar[bool] = True
    starves: ClassVar[bool] = True
    cuts: ClassVar[tuple[Measuring, ...]] = ("evaluations", "scrapes", "exports")
    kind: Literal["memory-limit"] = "memory-limit"
    mib: int = Field(ge=16, le=2**20, description="MiB that its processes may use together.")

    @property
    def label(self) -> str:
        """Of the timeline."""
        return f"{self.component} limited to {self.mib} MiB"

    @property
    def description(self) -> str:
        """Of the documentation."""
        return f"{self.component} may use {self.mib} MiB of memory"

    def permitted(self) -> str | None:
        """Whether there is a control group that can limit memory."""
        reason = memorygroup.refusal(memorygroup.hierarchies())
        return reason and f"{reason}; `memory` holds memory of the machine without one"

    def hold(self, rig: Rig) -> Undo:
        """Put its processes into a group."""
        hierarchy = memorygroup.chosen(memorygroup.hierarchies())
        assert hierarchy is not None, "refused before"  # noqa: S101 - for the reader of types
        pids = members(rig.stack.pid(self.component))
        group = memorygroup.limit(hierarchy, pids, self.mib * MIB)

        def release() -> Seen:
            seen = group.seen()
            group.release()
            return {**seen, "of": len(pids)}

        return release

    def effect(self, case: Case, phase: PhaseRow) -> Effect:
        """By what the kernel said of the group."""
        seen = last_event(case, phase, self.label)
        if "limit" not in seen:
            return Effect(phase.name, self.label, took=False, seen="nothing was seen of it")
        took = 0 < seen["limit"] <= self.mib * MIB and (seen["processes"] > 0 or seen["killed"] > 0)
        text = (
            f"{seen['processes']} of {seen['of']} processes were held to "
            f"{seen['limit'] // MIB} MiB and used {seen['peak'] // MIB} at most; the limit was met "
            f"{seen['met']} times, {seen['killed']} were killed"
        )
        return Effect(phase.name, self.label, took=took, seen=text)

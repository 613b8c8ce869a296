"""A component that can open no more files and connections."""

from __future__ import annotations

import resource
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from testbed.faults.base import FAULTS, ComponentFault, HeldFault, Seen
from testbed.faults.effects import Effect, last_event
from testbed.faults.rig.kernel import descriptors, members

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.faults.rig import Rig, Undo
    from testbed.phases import PhaseRow


@FAULTS.register
class DescriptorsFault(ComponentFault, HeldFault):
    """A component that may open only so many more files and connections until the phase ends.

    The soft limit RLIMIT_NOFILE of its running processes is lowered; what is open stays open.
    """

    interrupts: ClassVar[bool] = True
    starves: ClassVar[bool] = True
    kind: Literal["file-descriptors"] = "file-descriptors"
    spare: int = Field(0, ge=0, le=1000, description="How many it may open beyond those of now.")

    @property
    def label(self) -> str:
        """Of the timeline."""
        return f"{self.component} short of file descriptors"

    @property
    def description(self) -> str:
        """Of the documentation."""
        return f"{self.component} may open {self.spare or 'no'} more files and connections"

    def hold(self, rig: Rig) -> Undo:
        """Lower the limit of each of its processes."""
        leader = rig.stack.pid(self.component)
        before: dict[int, tuple[int, int]] = {}
        limits: dict[int, int] = {}
        for pid in members(leader):
            with suppress(ProcessLookupError):
                soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
                limits[pid] = min(descriptors(pid) + self.spare, soft)
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (limits[pid], hard))
                before[pid] = (soft, hard)

        def restore() -> Seen:
            held = [pid for pid in before if _soft(pid) == limits[pid]]
            seen = {
                "processes": len(before),
                "held": len(held),
                "limit": sum(limits[pid] for pid in held),
                "open": sum(map(descriptors, held)),
            }
            for pid, old in before.items():
                with suppress(ProcessLookupError):
                    resource.prlimit(pid, resource.RLIMIT_NOFILE, old)
            return seen

        return restore

    def effect(self, case: Case, phase: PhaseRow) -> Effect:
        """By the limits that the kernel held the processes to at the end."""
        seen = last_event(case, phase, self.label)
        if "held" not in seen:
            return Effect(phase.name, self.label, took=False, seen="nothing was seen of it")
        took = bool(seen["held"]) and seen["held"] == seen["processes"]
        text = f"the kernel held {seen['held']} of its {seen['processes']} processes to "
        text += f"{seen['limit']} descriptors, {seen['open']} were open at the end"
        return Effect(phase.name, self.label, took=took, seen=text)


def _soft(pid: int) -> int | None:
    with suppress(ProcessLookupError):
        return resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]
    return None

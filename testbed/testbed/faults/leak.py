"""Memory that the API loses."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Literal

import psutil
from pydantic import Field

from testbed.componentnames import API
from testbed.faults.api import ApiFault
from testbed.faults.base import FAULTS, HeldFault, Seen
from testbed.faults.effects import Effect, last_event
from testbed.faults.memory import SPARED
from testbed.faults.rig.kernel import MIB, members, resident

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.faults.rig import Rig, Undo
    from testbed.phases import PhaseRow

MIN_RATIO: Final = 0.5
"""Ratio of the planned growth that must be seen: the machine may be busy."""


@FAULTS.register
class LeakFault(ApiFault, HeldFault):
    """The API's process takes memory little by little, and lets go of it as the phase ends.

    Each replica does; 2 GiB at most. It shows in `process_resident_memory_bytes`.
    """

    key: ClassVar[str] = "leak"
    by_http: ClassVar[bool] = False
    kind: Literal["leak"] = "leak"
    mib_per_second: float = Field(gt=0, le=256, description="MiB per real second.")

    @property
    def label(self) -> str:
        """Of the timeline."""
        return f"leak of {self.mib_per_second:g} MiB/s"

    @property
    def description(self) -> str:
        """Of the documentation."""
        return f"the API loses {self.mib_per_second:g} MiB of memory per second"

    def permitted(self) -> str | None:
        """Whether more is left than must stay available."""
        available = psutil.virtual_memory().available // MIB
        return None if available > SPARED else f"only {available} MiB of memory are available"

    def begin(self, rig: Rig) -> None:
        """Let it begin."""
        HeldFault.begin(self, rig)

    def end(self, rig: Rig) -> Seen:
        """Let go of the memory."""
        return HeldFault.end(self, rig)

    def hold(self, rig: Rig) -> Undo:
        """Turn it on in each replica."""
        before = _resident(rig)
        rig.api.set(self.key, {"mib_per_second": self.mib_per_second})

        def release() -> Seen:
            after = _resident(rig)
            rig.api.clear(self.key)
            return {"before": round(before, 1), "after": round(after, 1)}

        return release

    def effect(self, case: Case, phase: PhaseRow) -> Effect:
        """By the memory that the API's processes occupied at the begin and at the end."""
        seen = last_event(case, phase, self.label)
        if "after" not in seen:
            return Effect(phase.name, self.label, took=False, seen="nothing was seen of it")
        grown = float(seen["after"]) - float(seen["before"])
        planned = min(self.mib_per_second * (phase.end - phase.start), 2048.0)
        text = f"the API occupied {seen['before']:.0f} MiB before and {seen['after']:.0f} MiB after"
        return Effect(phase.name, self.label, took=grown >= MIN_RATIO * planned, seen=text)


def _resident(rig: Rig) -> float:
    """MiB of all processes of the API."""
    return sum(map(resident, members(rig.stack.pid(API))))

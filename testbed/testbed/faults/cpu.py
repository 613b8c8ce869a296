"""A component that has to share one processor with busy processes."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from pydantic import Field

from testbed.faults.base import FAULTS, ComponentFault, HeldFault, Seen
from testbed.faults.effects import Effect, last_event
from testbed.faults.rig.kernel import members, threads, used, waited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from testbed.checks.case import Case
    from testbed.faults.rig import Rig, Undo
    from testbed.phases import PhaseRow

BUSY: Final = "import os; os.sched_setaffinity(0, {{{cpu}}}); os.nice({nice})\nwhile True: pass"
MIN_BUSY: Final = 0.5
"""Ratio of the time for which a worker must have had the processor, or have waited for it."""


@FAULTS.register
class CpuFault(ComponentFault, HeldFault):
    """A component that is confined to one processor, on which busy workers run as well.

    Other components are kept on the other processors, where the machine has several: the kernel
    would let some of their threads wait behind the workers.
    """

    interrupts: ClassVar[bool] = True
    starves: ClassVar[bool] = True
    crowds: ClassVar[bool] = True
    kind: Literal["cpu"] = "cpu"
    workers: int = Field(4, ge=1, le=64, description="Busy processes beside the component.")
    nice: int = Field(
        0, ge=0, le=19, description="Of the workers: at 0 each gets as much as the component."
    )

    @property
    def label(self) -> str:
        """Of the timeline."""
        return f"{self.component} beside {self.workers} busy workers"

    @property
    def description(self) -> str:
        """Of the documentation."""
        return f"{self.component} shares one processor with {self.workers} busy workers"

    def permitted(self) -> str | None:
        """Only Linux lets a process be confined to a processor."""
        return None if hasattr(os, "sched_setaffinity") else "this system has no affinity"

    def hold(self, rig: Rig) -> Undo:
        """Confine all threads of the component, and start the workers there."""
        cpu = max(os.sched_getaffinity(0))
        leader = rig.stack.pid(self.component)
        before = os.sched_getaffinity(leader)
        names = [f"busy worker {number} of {self.label}" for number in range(self.workers)]
        others = [pid for name, pid in rig.stack.pids().items() if name != self.component]
        let_back = _keep_away(others, cpu)
        code = BUSY.format(cpu=cpu, nice=self.nice)
        busy = [
            rig.stack.start_helper(name, (sys.executable, "-I", "-S", "-c", code)) for name in names
        ]
        _confine(threads(members(leader)), {cpu})
        began, lacked = time.monotonic(), waited(threads(members(leader)))

        def release() -> Seen:
            own = threads(members(leader))
            lacks = waited(own)
            seen = {
                "of": round(time.monotonic() - began, 3),
                "busy": round((used(busy) + (waited(busy) or 0.0)) / len(busy), 3),
                "confined": sum(_affinity(tid) == {cpu} for tid in own),
                "threads": len(own),
                "waited": None if lacks is None else round(max(0.0, lacks - (lacked or 0.0)), 3),
            }
            for name in names:
                rig.stack.stop_helper(name)
            _confine(threads(members(leader)), before)
            let_back()
            return seen

        return release

    def effect(self, case: Case, phase: PhaseRow) -> Effect:
        """By how long the workers wanted the processor, and by where the threads could run."""
        seen = last_event(case, phase, self.label)
        if "busy" not in seen:
            return Effect(phase.name, self.label, took=False, seen="nothing was seen of it")
        of, busy, confined, own = (
            float(seen[key]) for key in ("of", "busy", "confined", "threads")
        )
        text = f"a worker ran or waited for {busy:.1f} of {of:.1f} s, and {confined:.0f} of "
        text += f"{own:.0f} threads of {self.component} could run there only"
        if seen.get("waited") is not None:
            text += f", which waited for {seen['waited']} s together"
        took = busy >= MIN_BUSY * of and 0 < own == confined
        return Effect(phase.name, self.label, took=took, seen=text)


def _keep_away(leaders: Iterable[int], cpu: int) -> Callable[[], None]:
    """Keep components off a processor, unless they have no other; returns what ends that."""
    moved: dict[int, tuple[set[int], set[int]]] = {}
    for leader in leaders:
        before = _affinity(leader)
        if rest := before - {cpu}:
            moved[leader] = before, rest
            _confine(threads(members(leader)), rest)

    def let_back() -> None:
        for leader, (before, rest) in moved.items():
            # Those that another fault has confined meanwhile are its own affair.
            own = threads(members(leader))
            _confine((tid for tid in own if _affinity(tid) == rest), before)

    return let_back


def _affinity(tid: int) -> set[int]:
    with suppress(OSError):
        return os.sched_getaffinity(tid)
    return set()


def _confine(tids: Iterable[int], cpus: set[int]) -> None:
    for tid in tids:
        with suppress(OSError):  # ended meanwhile
            os.sched_setaffinity(tid, cpus)

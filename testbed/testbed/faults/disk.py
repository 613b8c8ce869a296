"""A component whose disk is full."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from testbed.faults.base import FAULTS, ComponentFault, HeldFault, Seen
from testbed.faults.effects import Effect, last_event
from testbed.stack.smalldisk import folder, why_not

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.faults.rig import Rig, Undo
    from testbed.phases import PhaseRow

BLOCK: Final = bytes(2**16)
FILLER: Final = "filler"


@FAULTS.register
class DiskFault(ComponentFault, HeldFault):
    """A component that can write no more until the phase ends: its disk is full.

    In such a run its data lie on a disk of 64 MiB, in memory, which is empty again after each start
    of the component.
    """

    interrupts: ClassVar[bool] = True
    kind: Literal["disk-full"] = "disk-full"
    component: Literal["prometheus", "collector", "alertmanager"]

    @property
    def label(self) -> str:
        """Of the timeline."""
        return f"{self.component} disk full"

    @property
    def description(self) -> str:
        """Of the documentation."""
        return f"the disk of {self.component} is full"

    @property
    def disk(self) -> str:
        """The component."""
        return self.component

    def permitted(self) -> str | None:
        """Whether a disk can be mounted."""
        return why_not()

    def hold(self, rig: Rig) -> Undo:
        """Fill it, as the component's processes see it."""
        place = folder(rig.stack.context, self.component).resolve().relative_to("/")
        filler = Path(f"/proc/{rig.stack.pid(self.component)}/root", place, FILLER)
        _fill(filler)
        gone = self.component == "prometheus"  # samples that it can't write are nowhere
        if gone:
            rig.stack.mark_gone(self.component, self.label)

        def make_room() -> Seen:
            seen = {"written": _fill(filler), "free": _free(filler.parent)}
            with suppress(OSError):  # the component was started again, on an empty disk
                filler.unlink()
            if gone:
                rig.stack.mark_back(self.component)
            return seen

        return make_room

    def effect(self, case: Case, phase: PhaseRow) -> Effect:
        """By what could still be written there at the end."""
        seen = last_event(case, phase, self.label)
        if "written" not in seen:
            return Effect(phase.name, self.label, took=False, seen="nothing was seen of it")
        took = seen["free"] is not None and int(seen["written"]) < len(BLOCK)
        text = f"{seen['written']} bytes could be written at the end, {seen['free']} were free"
        return Effect(phase.name, self.label, took=took, seen=text)


def _fill(filler: Path) -> int:
    """Append to a file until the disk is full; returns how many bytes that took."""
    written = 0
    try:
        with filler.open("ab", buffering=0) as file:
            while True:
                written += file.write(BLOCK) or 0
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.ENOENT}:
            raise
    return written


def _free(place: Path) -> int | None:
    """Bytes that are free; None where the place is gone."""
    with suppress(OSError):
        found = os.statvfs(place)
        return found.f_bavail * found.f_frsize
    return None

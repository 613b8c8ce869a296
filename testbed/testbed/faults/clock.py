"""A wall clock that is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from testbed.faults.api import ApiFault
from testbed.faults.base import FAULTS

if TYPE_CHECKING:
    from testbed.faults.rig import Rig


@FAULTS.register
class ClockFault(ApiFault):
    """The wall clock of the API's first replica is wrong, by cooperation.

    It stamps all that leaves the process: rows and labels of the prediction log, spans, log
    records, metric points, lines of the access log. The machine and the other replicas have the
    right time. A run with this fault has a failed verdict, whose failed checks name it.
    """

    key: ClassVar[str] = "clock"
    kind: Literal["clock"] = "clock"
    seconds: float = Field(
        ge=-86_400, le=86_400, description="Real seconds by which it is ahead; negative: behind."
    )

    @property
    def label(self) -> str:
        """Of the timeline."""
        return f"clock {self.seconds:+g} s"

    @property
    def description(self) -> str:
        """Of the documentation."""
        return f"the clock of one replica is off by {self.seconds:+g} s"

    @property
    def falsifies(self) -> tuple[str, ...]:
        """What must find it, and what follows from it: stamps, exports that seem to be missing."""
        stamps = ("content clock", "content labels", "clocks", "spans content")
        followed = ("exports", "counts exports_prometheus", "measured latency", "drift windows")
        return (*stamps, "log records content", *followed)

    def begin(self, rig: Rig) -> None:
        """Turn it on in the first replica."""
        rig.api.set(self.key, {"seconds": self.seconds}, first=True)

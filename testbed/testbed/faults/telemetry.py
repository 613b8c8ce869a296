"""A service that measures wrongly."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from testbed.faults.api import ApiFault
from testbed.faults.base import FAULTS, percent
from testbed.fields import Ratio

if TYPE_CHECKING:
    from testbed.faults.rig import Rig


@FAULTS.register
class TelemetryFault(ApiFault):
    """The API's own metrics are wrong: a counter misses some, durations are in milliseconds.

    The service does as it should, so that only the comparison with the load can find it: a run with
    this fault has a failed verdict, whose failed checks name it; one in which nothing finds it says
    that.
    """

    key: ClassVar[str] = "telemetry"
    kind: Literal["telemetry"] = "telemetry"
    missed: Ratio = Field(0.0, description="Ratio of the predictions that the counter misses.")
    milliseconds: bool = Field(
        default=False, description="Whether durations of inferences are in ms where s is said."
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.missed or self.milliseconds):
            raise ValueError("give missed or milliseconds")
        return self

    @property
    def label(self) -> str:
        """Of the timeline."""
        missed = f"misses {percent(self.missed)} of predictions" if self.missed else ""
        unit = "has milliseconds for seconds" if self.milliseconds else ""
        return f"telemetry {' and '.join(filter(None, (missed, unit)))}"

    @property
    def description(self) -> str:
        """Of the documentation."""
        return f"the API's {self.label}"

    @property
    def falsifies(self) -> tuple[str, ...]:
        """What must find it."""
        counted = ("measured predictions", "counts instances", "measured consistency")
        timed = ("measured inference", "measured latency", "measured consistency")
        found = (*(counted if self.missed else ()), *(timed if self.milliseconds else ()))
        return tuple(dict.fromkeys(found))

    def begin(self, rig: Rig) -> None:
        """Turn it on in each replica."""
        rig.api.set(self.key, {"missed": self.missed, "milliseconds": self.milliseconds})

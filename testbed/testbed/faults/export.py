"""Faults on the way of telemetry: targets that nobody finds, exports that are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from testbed.faults.base import FAULTS, FaultModel, Measuring

if TYPE_CHECKING:
    from testbed.faults.rig import Rig


@FAULTS.register
class UndiscoveredFault(FaultModel):
    """The API's replicas are no scrape targets: Prometheus neither finds nor misses them."""

    cuts: ClassVar[tuple[Measuring, ...]] = ("scrapes",)
    bundled: ClassVar[bool] = True
    kind: Literal["undiscovered"] = "undiscovered"

    @property
    def label(self) -> str:
        """Of the timeline."""
        return "targets undiscovered"

    @property
    def description(self) -> str:
        """Of the documentation."""
        return "the API is gone from Prometheus's service discovery"

    def begin(self, rig: Rig) -> None:
        """Empty the file of targets."""
        rig.stack.replicas.hide()

    def end(self, rig: Rig) -> None:
        """Fill it again."""
        rig.stack.replicas.show()


@FAULTS.register
class OtlpFault(FaultModel):
    """OTLP exports are refused, in place of the component that would take them.

    Those to the Collector are the API's, those to Prometheus are all metrics.
    """

    interrupts: ClassVar[bool] = True
    cuts: ClassVar[tuple[Measuring, ...]] = ("exports",)
    kind: Literal["otlp"] = "otlp"
    to: Literal["collector", "prometheus"]
    status: Literal[400, 503] = Field(
        503, description="What they are answered: 400 is final, 503 asks to try again."
    )

    @property
    def label(self) -> str:
        """Of the timeline."""
        return f"exports to {self.to} refused with {self.status}"

    @property
    def description(self) -> str:
        """Of the documentation."""
        whose = (
            "the API's exports to the Collector"
            if self.to == "collector"
            else ("the Collector's exports to Prometheus")
        )
        return f"{whose} are answered {self.status}"

    def begin(self, rig: Rig) -> None:
        """Shut the gate before the component."""
        rig.stack.context.gates[self.to].shut(self.status)

    def end(self, rig: Rig) -> None:
        """Open it."""
        rig.stack.context.gates[self.to].open()

    @property
    def gate(self) -> str:
        """The receiver."""
        return self.to

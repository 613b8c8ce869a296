"""Trouble on the network between two components."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from testbed.componentnames import API, LOAD, TARGET, AskedName, AskingName
from testbed.faults.base import FAULTS, HeldFault, Measuring, Seen
from testbed.faults.effects import Effect, last_event
from testbed.faults.rig.proxied import Disturbance, disturb
from testbed.stack.links import LINKS

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.faults.rig import Rig, Undo
    from testbed.phases import PhaseRow
    from testbed.stack.links import Link


@FAULTS.register
class NetworkFault(HeldFault):
    """What one component asks another comes late, slowly, or not at all.

    A run with such a fault has Toxiproxy between the two; only what `from` asks goes through it, so
    that scrapes are not hit. Answers come back at once.
    """

    model_config = ConfigDict(
        validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )

    interrupts: ClassVar[bool] = True
    cuts: ClassVar[tuple[Measuring, ...]] = ("exports",)
    kind: Literal["network"] = "network"
    source: AskingName = Field(alias="from", description="Who asks.")
    to: AskedName = Field(
        description="Who is asked; target: the system under test, also a service of yours."
    )
    delay: float = Field(0.0, ge=0, le=60, description="Real seconds by which data comes later.")
    jitter: float = Field(0.0, ge=0, le=60, description="Real seconds that it varies by, at most.")
    bandwidth: int | None = Field(None, ge=1, description="KB per real second that get through.")
    lost: Literal["reset", "partition"] | None = Field(
        None,
        description="reset: connections are reset at once; partition: nothing gets through, and "
        "nothing says so.",
    )

    @model_validator(mode="after")
    def _one_link(self) -> Self:
        if self.link not in LINKS:
            known = ", ".join(f"{source} to {to}" for source, to in LINKS)
            raise ValueError(f"there is no link from {self.source} to {self.to}; there are {known}")
        slow = bool(self.delay or self.bandwidth)
        if slow == (self.lost is not None):
            raise ValueError("give delay or bandwidth, or lost")
        if self.jitter > self.delay:
            raise ValueError("jitter must not be more than delay")
        return self

    @property
    def link(self) -> Link:
        """The two components."""
        return self.source, self.to

    @property
    def label(self) -> str:
        """Of the timeline."""
        return f"{self.source}-{self.to} network {self._words}"

    @property
    def description(self) -> str:
        """Of the documentation."""
        return f"the network from {self.source} to {self.to}: {self._words}"

    @property
    def queues(self) -> bool:
        """Those on their way to the API or another target."""
        return self.to in {API, TARGET}

    @property
    def hits(self) -> tuple[str, ...]:
        """Both, so far as they are components of every run."""
        return tuple(each for each in self.link if each not in {LOAD, TARGET})

    def hold(self, rig: Rig) -> Undo:
        """Tell the proxy of the link."""
        gone = self.lost is not None and self.to in {"alertmanager", "receiver"}
        disturbed = disturb(
            rig.stack.context.endpoints,
            self.link,
            Disturbance(self.delay, self.jitter, self.bandwidth, self.lost),
        )
        if gone:
            rig.stack.mark_gone(self.to, self.label)

        def restore() -> Seen:
            seen = disturbed.end()
            if gone:
                rig.stack.mark_back(self.to)
            return seen

        return restore

    def effect(self, case: Case, phase: PhaseRow) -> Effect:
        """By a connection that the runner made over the link while it was disturbed."""
        seen = last_event(case, phase, self.label)
        if "probed" not in seen:
            return Effect(phase.name, self.label, took=False, seen="nothing was seen of it")
        return Effect(phase.name, self.label, took=bool(seen["took"]), seen=str(seen["probed"]))

    @property
    def _words(self) -> str:
        jitter = f" ± {self.jitter:g} s" if self.jitter else ""
        slow = f"{self.delay:g} s{jitter} later" if self.delay else ""
        narrow = f"{self.bandwidth} KB/s" if self.bandwidth else ""
        return self.lost or ", ".join(filter(None, (slow, narrow)))

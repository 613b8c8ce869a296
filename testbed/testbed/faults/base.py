"""What a fault of a scenario is: its fields, what begins and ends it, its words, its effect.

One class per kind holds all of it, and :data:`FAULTS` finds the classes by this folder, or by the
entry points ``testbed.faults`` of installed packages.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from pydantic import Field
from testbed_domain.registry import Registry, kind_of

from testbed.componentnames import API, DATABASE, PIPELINE
from testbed.fields import StrictModel

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.faults.effects import Effect
    from testbed.faults.rig import Rig, Undo
    from testbed.layout import RunLayout
    from testbed.phases import PhaseRow
    from testbed.stack.links import Link


Measuring = Literal["evaluations", "scrapes", "exports"]

ComponentName = Annotated[
    str,
    Field(
        description=f"The target, as `{API}`, or {', '.join(PIPELINE)}; `{DATABASE}` "
        "in a run with a database of its own."
    ),
]

Seen = Mapping[str, Any]
"""What was seen of a fault while it was on: fields of its last event in the timeline."""


class FaultModel(StrictModel):
    """Base of the kinds: a fault of one phase, which begins with it.

    A kind adds the field ``kind``, a ``Literal`` of its name with that as its default.
    """

    bundled: ClassVar[bool] = False
    """Whether only the API that comes with the testbed can do it."""

    by_http: ClassVar[bool] = False
    """Whether it is asked for by HTTP, so that it needs no hold of any process."""

    interrupts: ClassVar[bool] = False
    """Whether metrics come with holes meanwhile, so that a rate is one of what did come."""

    crowds: ClassVar[bool] = False
    """Whether processes of its own take the processors away."""

    cuts: ClassVar[tuple[Measuring, ...]] = ("evaluations", "scrapes", "exports")
    """What of the components that it hits has holes meanwhile, beyond what the timeline says of
    their stops."""

    kind: str

    @property
    @abstractmethod
    def label(self) -> str:
        """What the timeline calls it; faults of one phase differ in its first word."""

    @property
    @abstractmethod
    def description(self) -> str:
        """A sentence for the documentation, without its full stop."""

    @abstractmethod
    def begin(self, rig: Rig) -> None:
        """Let it happen."""

    @abstractmethod
    def end(self, rig: Rig) -> Seen | None:
        """Undo it; may return what was seen of it."""

    def permitted(self) -> str | None:
        """Why this machine does not permit it; None where it does. Nothing is started before."""
        return None

    def unscaled(self, factor: float) -> str | None:
        """What of it no time scale of this factor suits, and why; None where all does."""
        del factor
        return None

    def prepare(self, layout: RunLayout) -> None:
        """Make what it needs before anything is started."""

    def lasts(self, phase: float) -> float:
        """Production seconds from its begin to its end, given those of the phase."""
        return phase

    def effect(self, case: Case, phase: PhaseRow) -> Effect | None:
        """Whether it took hold, by what the load saw; None where the load can't see it."""
        del case, phase
        return None

    @property
    def error_ratio(self) -> float:
        """Ratio of the predictions that it makes fail, 0 to 1."""
        return 0.0

    @property
    def latency(self) -> tuple[float, float]:
        """Seconds that it adds to an inference, and the ratio of inferences that it hits."""
        return 0.0, 0.0

    @property
    def hits(self) -> tuple[str, ...] | None:
        """The components that it hits, which the run must have; None where it may be any."""
        return None

    @property
    def link(self) -> Link | None:
        """The link between two components that it disturbs: the run puts a proxy there."""
        return None

    @property
    def disk(self) -> str | None:
        """The component whose data the run puts on a small disk, for it to fill."""
        return None

    @property
    def resolver(self) -> str | None:
        """The component that the run gives a resolver's configuration of its own, to break it."""
        return None

    @property
    def trusting(self) -> str | None:
        """What of it only a scenario may do that its reader trusts, in words; else None."""
        return None

    @property
    def queues(self) -> bool:
        """Whether requests wait where the API can't count them: on their way, or for its turn."""
        return False

    @property
    def stops(self) -> str | None:
        """The component that it keeps from working."""
        return None

    @property
    def falsifies(self) -> tuple[str, ...]:
        """Checks of the verdict that must fail by it, one at least; they name it then."""
        return ()

    @property
    def controls(self) -> bool:
        """Whether it sets the fault control of the API, which a request to it overwrites."""
        return False

    @property
    def gate(self) -> str | None:
        """The receiver of OTLP that it shuts."""
        return None


class ComponentFault(FaultModel):
    """Base of the faults of one component."""

    starves: ClassVar[bool] = False
    """Whether the component lives and gets to nothing, so that requests wait before a target."""

    component: ComponentName

    @property
    def hits(self) -> tuple[str, ...]:
        """The component."""
        return (self.component,)

    @property
    def queues(self) -> bool:
        """Those of a target that gets to nothing."""
        return self.starves and self.component not in {*PIPELINE, DATABASE}


class HeldFault(FaultModel):
    """Base of the faults that hold on to something, and let go of it however the run ends."""

    aside: ClassVar[bool] = False
    """Whether undoing it may take its time: it is undone beside the run, which goes on."""

    @abstractmethod
    def hold(self, rig: Rig) -> Undo:
        """Let it happen.

        Returns:
            What undoes it, and says what was seen of it.
        """

    def begin(self, rig: Rig) -> None:
        """Let it happen."""
        rig.held[self.label] = self.hold(rig)

    def end(self, rig: Rig) -> Seen:
        """Undo it."""
        return self.release(rig)()

    def release(self, rig: Rig) -> Undo:
        """What undoes it; nobody else does so any more."""
        return rig.held.pop(self.label)


class AsideFault(HeldFault):
    """Base of the faults that something else does in its own time, with the run beside it."""

    aside: ClassVar[bool] = True

    @abstractmethod
    def ask_for_begin(self, rig: Rig) -> Any:  # noqa: ANN401 - whatever JSON holds
        """Have it begun; returns what came of that. May take its time."""

    @abstractmethod
    def ask_for_end(self, rig: Rig) -> Any:  # noqa: ANN401 - whatever JSON holds
        """Have it ended; returns what came of that. May take its time."""

    def hold(self, rig: Rig) -> Undo:
        """Have it begun, without waiting for that."""
        beginning = rig.aside.submit(_timed, self.ask_for_begin, rig)

        def undo() -> Seen:
            began, took = beginning.result()
            ended, took_at_end = _timed(self.ask_for_end, rig)
            return {
                "begin": began,
                "end": ended,
                "begin_seconds": took,
                "end_seconds": took_at_end,
            }

        return undo


def _timed(ask: Callable[[Rig], Any], rig: Rig) -> tuple[Any, float]:
    """What came of it, and the seconds that it took."""
    start = time.monotonic()
    return ask(rig), round(time.monotonic() - start, 3)


FAULTS: Final[Registry[type[FaultModel]]] = Registry("testbed.faults", "testbed.faults", kind_of)
"""Every kind of fault by its ``kind``."""


def percent(ratio: float) -> str:
    """A ratio for people, with three digits."""
    return f"{ratio * 100:.3g}%"

"""Names that can't be resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from testbed.faults.base import FAULTS, ComponentFault, HeldFault, Measuring, Seen
from testbed.faults.effects import Effect, last_event
from testbed.stack.ownresolver import BROKEN, file_of, looked_up, why_not

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.faults.rig import Rig, Undo
    from testbed.phases import PhaseRow


@FAULTS.register
class DnsFault(ComponentFault, HeldFault):
    """No name can be resolved by a component until the phase ends.

    In such a run it has a resolver's configuration of its own, which names a server that answers
    nothing. Components ask each other by IP address, so it hits what a service looks up itself:
    a database, a feature store. Names in `/etc/hosts` are still resolved.
    """

    cuts: ClassVar[tuple[Measuring, ...]] = ()
    kind: Literal["dns"] = "dns"
    name: str = Field(
        "example.com",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="A name that is looked up where the component is, to see that it took hold.",
    )

    @property
    def label(self) -> str:
        """Of the timeline."""
        return f"{self.component} dns failure"

    @property
    def description(self) -> str:
        """Of the documentation."""
        return f"{self.component} can't resolve names"

    @property
    def resolver(self) -> str:
        """The component."""
        return self.component

    def permitted(self) -> str | None:
        """Whether the resolver's configuration of one process can be covered."""
        reason = why_not()
        return reason and f"{reason}; `exec` with a program that breaks your resolver needs none"

    def hold(self, rig: Rig) -> Undo:
        """Break its configuration, and look a name up before and after."""
        pid, file = rig.stack.pid(self.component), file_of(rig.stack.context, self.component)
        before, usual = looked_up(pid, self.name), file.read_bytes()
        file.write_text(BROKEN, encoding="ascii")
        meanwhile = looked_up(pid, self.name)

        def restore() -> Seen:
            file.write_bytes(usual)
            return {"before": before, "meanwhile": meanwhile}

        return restore

    def effect(self, case: Case, phase: PhaseRow) -> Effect:
        """By what became of the name where the component is."""
        seen = last_event(case, phase, self.label)
        if "meanwhile" not in seen:
            return Effect(phase.name, self.label, took=False, seen="nothing was seen of it")
        text = f"{self.name} was resolved {seen['meanwhile']}; before, {seen['before']}"
        took = str(seen["meanwhile"]).startswith("not:")
        return Effect(phase.name, self.label, took=took, seen=text)

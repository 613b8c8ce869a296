"""Names that can't be resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from testbed.faults.base import FAULTS, FaultModel, Measuring

if TYPE_CHECKING:
    from testbed.faults.rig import Rig


@FAULTS.register
class DnsFault(FaultModel):
    """What a service resolves fails. No run permits it: each says why, and what to take instead.

    The components ask each other by IP address, so that there is no name whose resolution could
    fail; and the resolver of the machine is everybody's.
    """

    cuts: ClassVar[tuple[Measuring, ...]] = ()
    kind: Literal["dns"] = "dns"

    @property
    def label(self) -> str:
        """Of the timeline."""
        return "dns failure"

    @property
    def description(self) -> str:
        """Of the documentation."""
        return "names can't be resolved"

    def permitted(self) -> str:
        """Why nothing permits it."""
        return (
            "components ask each other by IP address, so no name is resolved whose failure could "
            "be played, and the machine's resolver is not the testbed's to break; take `network` "
            "with `lost: partition`, or `exec` with a program that breaks your service's resolver"
        )

    def begin(self, rig: Rig) -> None:
        """Nothing: it is never permitted."""

    def end(self, rig: Rig) -> None:
        """Nothing."""

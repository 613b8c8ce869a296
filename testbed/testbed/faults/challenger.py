"""A model version that the drift job doesn't know."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from testbed.faults.base import FAULTS, FaultModel, Measuring, percent
from testbed.faults.rig import strangemodel
from testbed.fields import Ratio

if TYPE_CHECKING:
    from testbed.faults.rig import Rig


@FAULTS.register
class ChallengerFault(FaultModel):
    """A second model version answers a share of the requests, under a name of its own.

    The drift job knows nothing of a model of that name, so it can't evaluate the version.
    """

    cuts: ClassVar[tuple[Measuring, ...]] = ()
    bundled: ClassVar[bool] = True
    kind: Literal["challenger"] = "challenger"
    split: Ratio = Field(description="Share of the requests that it answers.")

    @property
    def label(self) -> str:
        """Of the timeline."""
        return f"challenger {percent(self.split)}"

    @property
    def description(self) -> str:
        """Of the documentation."""
        return f"a version that the drift job does not know answers {percent(self.split)}"

    def begin(self, rig: Rig) -> None:
        """Make a copy of the model under another name, and let the API load it."""
        context = rig.stack.context
        strangemodel.put(
            context.management,
            context.layout.model,
            split=self.split,
            token_file=context.layout.management_token,
        )

    def end(self, rig: Rig) -> None:
        """Withdraw it."""
        context = rig.stack.context
        strangemodel.withdraw(context.management, context.layout.management_token)

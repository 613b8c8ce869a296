"""What the job must know of its runs so far, and keeps from process to process. Pure.

Windows vote on the decision, each once: a window that is evaluated again, because labels came late
or because another process took over, replaces its own vote.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from testbed_drift.evaluation.decision import Action, Cause, Decision, confirmed
from testbed_drift.rows.extents import Extent

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Vote:
    """What one window asked for by itself, and on what grounds."""

    newest: float | None
    action: Action
    causes: tuple[Cause, ...] = ()


@dataclass(frozen=True, slots=True)
class Memory:
    """The job's past.

    Attributes:
        extent: of the window that was evaluated last; None before the first one.
        votes: of the latest windows, oldest first.
        action: the last decision.
        reported: Unix time of the last rendered report.
    """

    extent: Extent | None = None
    votes: tuple[Vote, ...] = ()
    action: Action | None = None
    reported: float = -math.inf

    def knows(self, extent: Extent) -> bool:
        """Whether a window with that newest row has been evaluated."""
        return self.extent is not None and self.extent.newest == extent.newest

    def vote(
        self, alone: Decision, extent: Extent, needed: int, of: int
    ) -> tuple[Decision, Memory]:
        """The decision that enough windows agree on, and the memory with the new vote.

        Args:
            alone: what the window asks for by itself.
            extent: of the window.
            needed: votes for an action that it takes.
            of: latest votes that count, the new one included.
        """
        counting = [vote for vote in self.votes if vote.newest != extent.newest]
        counting = counting[max(0, len(counting) + 1 - of) :]
        decision = confirmed(alone, [vote.action for vote in counting], needed)
        votes = (*counting, Vote(extent.newest, alone.action, alone.causes))
        decision = replace(decision, causes=_causes(decision.action, votes))
        return decision, replace(self, extent=extent, votes=votes, action=decision.action)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        reported = self.reported if math.isfinite(self.reported) else None
        return asdict(self) | {"reported": reported}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`; an empty memory where the content is of another form."""
        try:
            votes = tuple(
                Vote(vote["newest"], Action(vote["action"]), tuple(map(Cause, vote["causes"])))
                for vote in content["votes"]
            )
            extent, action, reported = (content[name] for name in ("extent", "action", "reported"))
            return cls(
                extent and Extent(**extent),
                votes,
                action and Action(action),
                -math.inf if reported is None else float(reported),
            )
        except (KeyError, TypeError, ValueError):
            return cls()


def _causes(action: Action, votes: Sequence[Vote]) -> tuple[Cause, ...]:
    """All that the votes for the action, or for a more severe one, stand on."""
    order = list(Action)
    if action is order[0]:
        return ()
    behind = [vote for vote in votes if order.index(vote.action) >= order.index(action)]
    found = {cause for vote in behind for cause in vote.causes}
    return tuple(cause for cause in Cause if cause in found)

"""What the job remembers: votes of windows, and how far rows and labels go."""

from __future__ import annotations

import json
import math

import pytest
from testbed_drift.evaluation.decision import Action, Cause, Decision
from testbed_drift.rows.extents import Extent
from testbed_drift.storage.memory import Memory, Vote

QUIET = Decision(Action.NO_ACTION, "< 0.30", ("why",))
ALERT = Decision(Action.ALERT, "< 0.30", ("why",), (Cause.CONCEPT,))
RETRAIN = Decision(Action.RETRAIN, ">= 0.50", ("why",), (Cause.COLUMNS, Cause.TARGET))


def test_window_votes_once() -> None:
    """A window evaluated again replaces its vote; a second one would confirm it by itself."""
    memory = Memory()
    for _ in range(3):
        decision, memory = memory.vote(ALERT, Extent(1.0), 2, 2)
        assert decision.action is Action.NO_ACTION
    decision, memory = memory.vote(ALERT, Extent(2.0), 2, 2)
    assert decision.action is Action.ALERT
    assert [vote.newest for vote in memory.votes] == [1.0, 2.0]


def test_causes_are_those_of_the_votes_behind_the_decision() -> None:
    """What another window stands on counts where its vote does; NO_ACTION stands on nothing."""
    _, memory = Memory().vote(RETRAIN, Extent(1.0), 1, 3)
    decision, memory = memory.vote(ALERT, Extent(2.0), 2, 3)
    assert decision.action is Action.ALERT
    assert decision.causes == (Cause.COLUMNS, Cause.TARGET, Cause.CONCEPT)
    decision, _ = memory.vote(QUIET, Extent(3.0), 2, 3)
    assert (decision.action, len(decision.causes)) == (Action.ALERT, 3)
    decision, _ = memory.vote(QUIET, Extent(3.0), 3, 3)
    assert (decision.action, decision.causes) == (Action.NO_ACTION, ())


@pytest.mark.parametrize(
    ("now", "new"),
    [
        (Extent(9.0, 10, 5.0), False),
        (Extent(9.0, 11, 6.0), True),
        (Extent(9.0, 4, 6.0), True),
        (Extent(9.0, 11, 4.0), True),
        (Extent(9.0, 4, 5.0), False),
        (Extent(9.0, 0, None), False),
    ],
)
def test_labels_are_new_by_time_or_number(now: Extent, new: bool) -> None:  # noqa: FBT001 - a table
    """Rows that leave the window take labels along; clocks of replicas differ."""
    assert now.has_labels_beyond(Extent(9.0, 10, 5.0)) is new


@pytest.mark.parametrize(
    "memory",
    [
        Memory(),
        Memory(
            Extent(3.0, 2, None), (Vote(3.0, Action.ALERT, (Cause.TARGET,)),), Action.ALERT, 7.0
        ),
    ],
)
def test_memory_survives_json(memory: Memory) -> None:
    """The form in the file holds all of it."""
    assert Memory.from_dict(json.loads(json.dumps(memory.to_dict(), allow_nan=False))) == memory


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"votes": 1},
        {"votes": [{"newest": 1, "action": "DANCE", "causes": []}]},
        {"votes": [], "extent": {"colour": 1}, "action": None, "reported": None},
    ],
)
def test_foreign_form_is_an_empty_memory(content: dict[str, object]) -> None:
    """A file of another version costs the memory, and nothing else."""
    assert Memory.from_dict(content) == Memory(None, (), None, -math.inf)

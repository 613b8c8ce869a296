"""The phases of a run as they were played."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from testbed.records import StoredEvent


class PhaseRow(BaseModel):
    """A phase as it was played; Unix seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    start: float
    end: float


def played_phases(timeline: Iterable[StoredEvent], over: float) -> tuple[PhaseRow, ...]:
    """The phases that a timeline holds, in order.

    Args:
        timeline: of the run.
        over: Unix time at which one that never ended is cut.
    """
    starts: dict[str, float] = {}
    ends: dict[str, float] = {}
    for event in timeline:
        if event.event == "phase_started":
            starts[event.name] = event.time
        elif event.event == "phase_ended":
            ends[event.name] = event.time
    return tuple(
        PhaseRow(name=name, start=start, end=ends.get(name, over)) for name, start in starts.items()
    )

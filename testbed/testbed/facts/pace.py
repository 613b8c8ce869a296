"""How fast the machine was during a run, by the runner's own measurements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed.charts import StoredModel
from testbed.facts.cadence import Stretch
from testbed.truth import read_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed.layout import RunLayout
    from testbed.truth import Json

STALL: Final = 0.5
"""Seconds by which a thread that only sleeps wakes up late when nothing on the machine ran."""

WINDOW: Final = 20
"""Lines, half a second each, over which the slowest stretch is taken."""

STALLS: Final = 50
"""Stalls that are stored, the longest ones."""


class Pace(StoredModel):
    """How fast the machine was.

    Attributes:
        lines: measurements.
        slowdown: time that work took over the processor time that it needed, over the run.
        worst: the same over the slowest ten seconds.
        late: seconds by which the runner woke up late at most.
        busy: share of the processors' time that was used; 1 where nothing was left.
        waiting: share of the time in which some task waited for a processor; None if unknown.
        stalls: when nothing ran at all, by time.
    """

    lines: int
    slowdown: float
    worst: float
    late: float
    busy: float
    waiting: float | None = None
    stalls: tuple[Stretch, ...] = ()


def read_pace(layout: RunLayout) -> Pace | None:
    """Read what the runner measured; None where it measured nothing."""
    lines = [line for line in read_lines(layout.pace, [], required=False) if "needed" in line]
    return summarise(lines) if lines else None


def summarise(lines: Sequence[Json]) -> Pace:
    """Sum up measurements, at least one, ordered by time."""
    windows = [lines[at : at + WINDOW] for at in range(max(1, len(lines) - WINDOW + 1))]
    first, last = lines[0], lines[-1]
    passed = last["time"] - first["time"]
    waiting = None
    if passed > 0 and first.get("waited") is not None and last.get("waited") is not None:
        waiting = (last["waited"] - first["waited"]) / passed
    stalls = [
        Stretch(start=line["time"] - line["late"], end=line["time"])
        for line in lines
        if line["late"] >= STALL
    ]
    longest = sorted(stalls, key=lambda each: -each.seconds)[:STALLS]
    return Pace(
        lines=len(lines),
        slowdown=_slowdown(lines),
        worst=max(map(_slowdown, windows)),
        late=max(line["late"] for line in lines),
        busy=sum(line["busy"] for line in lines) / len(lines),
        waiting=waiting,
        stalls=tuple(sorted(longest, key=lambda each: each.start)),
    )


def _slowdown(lines: Sequence[Json]) -> float:
    needed = sum(line["needed"] for line in lines)
    return float(sum(line["took"] for line in lines) / needed) if needed else 1.0

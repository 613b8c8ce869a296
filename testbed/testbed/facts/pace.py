"""How fast the machine was during a run, by the runner's own measurements."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, Final

from pydantic import Field

from testbed.charts import StoredModel
from testbed.facts.cadence import Stretch, longest
from testbed.truth import read_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from testbed.layout import RunLayout
    from testbed.truth import Json

STALL: Final = 0.5
"""Seconds by which a thread that only sleeps wakes up late when nothing on the machine ran."""

WINDOW: Final = 20
"""Lines, half a second each, over which the slowest stretch is taken."""

SYNCS: Final = 10
"""Lines over which the slowest stretch of the disk is taken."""

SLOW_SYNC: Final = 0.1
"""Seconds to keep a line, on average over these lines, that make a disk slow; one that turns takes
0.02. One that keeps nothing for a second is as bad: all answers wait for it."""

STALLS: Final = 50
"""Stalls that are stored, the longest ones."""

WAITS: Final = 200
"""Waits that are stored of each component, the longest ones."""


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
        synced: seconds that the disk took to keep a line, on average over the slowest five seconds;
            None if unknown.
        slow_disk: when that average was :data:`SLOW_SYNC` or more.
        waits: component to when it was ready to work and other processes had the processors, half a
            second at most each, by time.
    """

    lines: int
    slowdown: float
    worst: float
    late: float
    busy: float
    waiting: float | None = None
    stalls: tuple[Stretch, ...] = ()
    synced: float | None = None
    slow_disk: tuple[Stretch, ...] = ()
    waits: dict[str, tuple[Stretch, ...]] = Field(default_factory=dict)


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
    synced = list(_synced(lines))
    return Pace(
        lines=len(lines),
        slowdown=_slowdown(lines),
        worst=max(map(_slowdown, windows)),
        late=max(line["late"] for line in lines),
        busy=sum(line["busy"] for line in lines) / len(lines),
        waiting=waiting,
        stalls=longest(stalls, STALLS),
        synced=max((seconds for _, seconds in synced), default=None),
        slow_disk=_merged(stretch for stretch, seconds in synced if seconds >= SLOW_SYNC),
        waits=_waits(lines),
    )


def _synced(lines: Sequence[Json]) -> Iterator[tuple[Stretch, float]]:
    """The average of each window."""
    known = [line for line in lines if line.get("synced") is not None]
    for at in range(max(1, len(known) - SYNCS + 1)) if known else ():
        window = known[at : at + SYNCS]
        stretch = Stretch(start=window[0]["time"], end=window[-1]["time"])
        yield stretch, fmean(line["synced"] for line in window)


def _merged(stretches: Iterable[Stretch]) -> tuple[Stretch, ...]:
    """Those that overlap as one, by time."""
    found: list[Stretch] = []
    for each in stretches:
        if found and each.start <= found[-1].end:
            found[-1] = Stretch(start=found[-1].start, end=max(found[-1].end, each.end))
        else:
            found.append(each)
    return tuple(found)


def _waits(lines: Sequence[Json]) -> dict[str, tuple[Stretch, ...]]:
    found: dict[str, list[Stretch]] = {}
    for line in lines:
        for component, seconds in line.get("waits", {}).items():
            wait = Stretch(start=line["time"] - seconds, end=line["time"])
            found.setdefault(component, []).append(wait)
    return {component: longest(waits, WAITS) for component, waits in found.items()}


def _slowdown(lines: Sequence[Json]) -> float:
    needed = sum(line["needed"] for line in lines)
    return float(sum(line["took"] for line in lines) / needed) if needed else 1.0

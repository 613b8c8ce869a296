"""What Linux says of processes.

Those of a component are the session that its first one leads, and all that descend from it:
PostgreSQL gives each connection a process with a session of its own.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from testbed.stack.supervisor import descendants, process_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MIB: Final = 2**20
TICKS: Final = os.sysconf("SC_CLK_TCK")
STATE, USER, SYSTEM = 0, 11, 12  # places in /proc/PID/stat, counted from the state


def members(leader: int) -> frozenset[int]:
    """Ids of the processes of a component that live."""
    table = process_table()
    session = (pid for pid, entry in table.items() if entry.session == leader)
    return frozenset((*session, *(entry.pid for entry in descendants(leader, table))))


def states(pids: Iterable[int]) -> set[str]:
    """The states of processes: ``R`` runs, ``S`` and ``D`` wait, ``T`` is stopped by a signal."""
    return {fields[STATE] for fields in _stats(pids)}


def used(pids: Iterable[int]) -> float:
    """Seconds of the processor that processes have used since their starts."""
    return sum(int(fields[USER]) + int(fields[SYSTEM]) for fields in _stats(pids)) / TICKS


def threads(pids: Iterable[int]) -> frozenset[int]:
    """Ids of all threads of processes."""
    found: set[int] = set()
    for pid in pids:
        with suppress(OSError):
            found |= {int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()}
    return frozenset(found)


def scheduled(tids: Iterable[int]) -> dict[int, tuple[int, int]]:
    """Thread to nanoseconds on a processor and of waiting for one, where these are known."""
    found = {}
    for tid in tids:
        with suppress(OSError, ValueError, IndexError):  # ended, or a system that counts no waits
            fields = Path(f"/proc/{tid}/schedstat").read_text(encoding="ascii").split()
            found[tid] = (int(fields[0]), int(fields[1]))
    return found


def waited(tids: Iterable[int]) -> float | None:
    """Seconds in which threads could have run and had no processor; None where it isn't counted."""
    waits = [waiting for _, waiting in scheduled(tids).values()]
    return sum(waits) / 1e9 if waits else None


def descriptors(pid: int) -> int:
    """How many files and connections a process has open; 0 where that can't be seen."""
    with suppress(OSError):
        return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return 0


def resident(pid: int) -> float:
    """MiB of memory that a process occupies; 0 where it has ended."""
    with suppress(OSError):
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / MIB
    return 0.0


def _stats(pids: Iterable[int]) -> Iterator[list[str]]:
    for pid in pids:
        with suppress(OSError):  # ended meanwhile
            text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
            yield text.rpartition(")")[2].split()

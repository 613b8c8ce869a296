"""A control group of Linux (version 2, else 1) that limits the memory of some processes."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from testbed.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Iterable

MOUNTS: Final = Path("/proc/mounts")
CONTROLLER: Final = "memory"
NAME: Final = "testbed"


@dataclass(frozen=True, slots=True)
class Files:
    """What a version calls the files of a group.

    Attributes:
        kind: of the mount.
        limit: bytes that may be used.
        swap: the file that bounds swap, and what of the limit stands there: 0 of it, or all.
        peak: the most that was used.
        events: counts, one a line.
        met: how often the limit was met: a count of ``events``, or files of their own.
        group: what a line of ``/proc/PID/cgroup`` begins with behind its number.
    """

    kind: str
    limit: str
    swap: tuple[str, int]
    peak: str
    events: str
    met: tuple[str, ...]
    group: str


SECOND: Final = Files(
    "cgroup2", "memory.max", ("memory.swap.max", 0), "memory.peak", "memory.events", ("max",), ":"
)
FIRST: Final = Files(
    "cgroup",
    "memory.limit_in_bytes",
    ("memory.memsw.limit_in_bytes", 1),
    "memory.max_usage_in_bytes",
    "memory.oom_control",
    ("memory.failcnt", "memory.memsw.failcnt"),
    "memory:",
)


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """Where control groups are.

    Attributes:
        root: its topmost group.
        files: of its version.
    """

    root: Path
    files: Files = SECOND

    @property
    def refusal(self) -> str | None:
        """Why the memory of processes can't be limited here; None where it can."""
        needed = [self.root]
        if self.files is SECOND:
            try:
                controllers = (self.root / "cgroup.controllers").read_text(encoding="ascii").split()
            except OSError as error:
                return f"{self.root}/cgroup.controllers can't be read: {error.strerror}"
            if CONTROLLER not in controllers:
                there = ", ".join(controllers) or "none"
                return (
                    "control groups of version 2 have no memory controller here "
                    f"(those at {self.root}: {there})"
                )
            needed.append(self.root / "cgroup.subtree_control")
        if not all(os.access(path, os.W_OK) for path in needed):
            return (
                f"{self.root} can't be written to: it needs root, and a hierarchy that is not "
                "read-only"
            )
        return None


def hierarchies(mounts: Path = MOUNTS) -> tuple[Hierarchy, ...]:
    """Where control groups with a memory controller may be, version 2 first."""
    found: list[Hierarchy] = []
    with suppress(OSError):
        for line in mounts.read_text(encoding="utf-8").splitlines():
            _, place, kind, options, *_ = line.split()
            if kind == SECOND.kind:
                found.insert(0, Hierarchy(Path(place)))
            elif kind == FIRST.kind and CONTROLLER in options.split(","):
                found.append(Hierarchy(Path(place), FIRST))
    return tuple(found)


def chosen(found: Iterable[Hierarchy]) -> Hierarchy | None:
    """The first that can limit memory; None where none can."""
    return next((each for each in found if each.refusal is None), None)


def refusal(found: tuple[Hierarchy, ...]) -> str | None:
    """Why none of them can limit the memory of processes; None where one can."""
    if chosen(found) is not None:
        return None
    reasons = "; ".join(str(each.refusal) for each in found)
    return reasons or "there are no control groups that limit memory (none in /proc/mounts)"


@dataclass(frozen=True, slots=True)
class MemoryGroup:
    """One group, made for some processes and removed with :meth:`release`.

    Attributes:
        folder: of the group.
        hierarchy: in which it is.
        homes: process to the group that it was in before.
    """

    folder: Path
    hierarchy: Hierarchy
    homes: dict[int, Path]

    def seen(self) -> dict[str, int]:
        """Its limit, the most that was used, how often the limit was met, and processes killed."""
        files = self.hierarchy.files
        events = dict(line.split() for line in self._read(files.events).splitlines())
        limit = self._read(files.limit).strip()
        return {
            "limit": int(limit) if limit.isdigit() else 0,
            "peak": int(self._read(files.peak) or 0),
            "met": sum(int(events.get(name) or self._read(name) or 0) for name in files.met),
            "killed": int(events.get("oom_kill", 0)),
            "processes": len(self._read("cgroup.procs").split()),
        }

    def release(self) -> None:
        """Put its processes back where they were and remove it.

        In a container the kernel may name a group as the machine sees it, which is not there: what
        is mounted as the topmost is that group then.
        """
        root = self.hierarchy.root
        for pid in self._read("cgroup.procs").split():
            home = self.homes.get(int(pid), root)
            home = home if home.is_dir() else root
            with suppress(OSError):  # ended meanwhile
                (home / "cgroup.procs").write_text(pid, encoding="ascii")
        with suppress(OSError):
            self.folder.rmdir()

    def _read(self, name: str) -> str:
        with suppress(OSError):
            return (self.folder / name).read_text(encoding="ascii")
        return ""


def limit(hierarchy: Hierarchy, pids: Iterable[int], size: int) -> MemoryGroup:
    """Put processes into a new group that may use so many bytes of memory, and no swap.

    Raises:
        StackError: the kernel does not let it.
    """
    ordered, root, files = sorted(pids), hierarchy.root, hierarchy.files
    homes = {pid: _home(hierarchy, pid) for pid in ordered}
    group = MemoryGroup(root / f"{NAME}-{ordered[0]}", hierarchy, homes)
    swap, ratio = files.swap
    try:
        if files is SECOND:
            enabled = (root / "cgroup.subtree_control").read_text(encoding="ascii").split()
            if CONTROLLER not in enabled:
                (root / "cgroup.subtree_control").write_text(f"+{CONTROLLER}", encoding="ascii")
        group.folder.mkdir(exist_ok=True)
        (group.folder / files.limit).write_text(str(size), encoding="ascii")
        with suppress(OSError):  # there is no swap to be limited
            (group.folder / swap).write_text(str(ratio * size), encoding="ascii")
        for pid in ordered:
            (group.folder / "cgroup.procs").write_text(str(pid), encoding="ascii")
    except OSError as error:
        group.release()
        raise StackError(f"memory can't be limited by {group.folder}: {error.strerror}") from error
    return group


def _home(hierarchy: Hierarchy, pid: int) -> Path:
    """The group of a process in this hierarchy."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines():
            _, _, group = line.partition(":")
            if group.startswith(hierarchy.files.group):
                return hierarchy.root / group.removeprefix(hierarchy.files.group).strip("/")
    return hierarchy.root

"""A control group of Linux (version 2) that limits the memory of some processes."""

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
KIND: Final = "cgroup2"
CONTROLLER: Final = "memory"
NAME: Final = "testbed"


def hierarchy(mounts: Path = MOUNTS) -> Path | None:
    """Where the control groups of version 2 are; None where they are nowhere."""
    with suppress(OSError):
        for line in mounts.read_text(encoding="utf-8").splitlines():
            _, place, kind, *_ = line.split()
            if kind == KIND:
                return Path(place)
    return None


def refusal(root: Path | None) -> str | None:
    """Why the memory of processes can't be limited here; None where it can."""
    if root is None:
        return "there are no control groups of version 2 (no cgroup2 in /proc/mounts)"
    try:
        controllers = (root / "cgroup.controllers").read_text(encoding="ascii").split()
    except OSError as error:
        return f"{root}/cgroup.controllers can't be read: {error.strerror}"
    if CONTROLLER not in controllers:
        there = ", ".join(controllers) or "none"
        return (
            f"control groups of version 2 have no memory controller here (those at {root}: {there})"
        )
    if not os.access(root, os.W_OK) or not os.access(root / "cgroup.subtree_control", os.W_OK):
        return f"{root} can't be written to: it needs root, and a hierarchy that is not read-only"
    return None


@dataclass(frozen=True, slots=True)
class MemoryGroup:
    """One group, made for some processes and removed with :meth:`release`.

    Attributes:
        folder: of the group.
        root: of the hierarchy.
        homes: process to the group that it was in before.
    """

    folder: Path
    root: Path
    homes: dict[int, Path]

    def seen(self) -> dict[str, int]:
        """Its limit, the most that was used, how often the limit was met, and processes killed."""
        events = dict(line.split() for line in self._read("memory.events").splitlines())
        limit = self._read("memory.max").strip()
        return {
            "limit": int(limit) if limit.isdigit() else 0,
            "peak": int(self._read("memory.peak") or 0),
            "met": int(events.get("max", 0)),
            "killed": int(events.get("oom_kill", 0)),
            "processes": len(self._read("cgroup.procs").split()),
        }

    def release(self) -> None:
        """Put its processes back where they were and remove it."""
        for pid in self._read("cgroup.procs").split():
            home = self.homes.get(int(pid), self.root)
            with suppress(OSError):  # ended meanwhile
                (home / "cgroup.procs").write_text(pid, encoding="ascii")
        with suppress(OSError):
            self.folder.rmdir()

    def _read(self, name: str) -> str:
        with suppress(OSError):
            return (self.folder / name).read_text(encoding="ascii")
        return ""


def limit(root: Path, pids: Iterable[int], size: int) -> MemoryGroup:
    """Put processes into a new group that may use so many bytes of memory, and no swap.

    Raises:
        StackError: the kernel does not let it.
    """
    ordered = sorted(pids)
    group = MemoryGroup(
        root / f"{NAME}-{ordered[0]}", root, {pid: _home(root, pid) for pid in ordered}
    )
    try:
        enabled = (root / "cgroup.subtree_control").read_text(encoding="ascii").split()
        if CONTROLLER not in enabled:
            (root / "cgroup.subtree_control").write_text(f"+{CONTROLLER}", encoding="ascii")
        group.folder.mkdir(exist_ok=True)
        (group.folder / "memory.max").write_text(str(size), encoding="ascii")
        with suppress(OSError):  # there is no swap to be limited
            (group.folder / "memory.swap.max").write_text("0", encoding="ascii")
        for pid in ordered:
            (group.folder / "cgroup.procs").write_text(str(pid), encoding="ascii")
    except OSError as error:
        group.release()
        raise StackError(f"memory can't be limited by {group.folder}: {error.strerror}") from error
    return group


def _home(root: Path, pid: int) -> Path:
    """The group of a process in this hierarchy."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines():
            if line.startswith("0::"):
                return root / line.removeprefix("0::").strip("/")
    return root

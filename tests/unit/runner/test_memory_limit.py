"""The limit of memory by a control group: what refuses it, what is written, and what is undone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from testbed.errors import StackError
from testbed.faults.memorylimit import MemoryLimitFault
from testbed.faults.rig.memorygroup import hierarchy, limit, refusal


def make(root: Path, controllers: str = "cpu memory") -> Path:
    """Files as the kernel has them at the top of a hierarchy."""
    root.mkdir()
    (root / "cgroup.controllers").write_text(f"{controllers}\n")
    (root / "cgroup.subtree_control").write_text("cpu\n")
    (root / "cgroup.procs").write_text("")
    return root


def test_the_hierarchy_is_found_by_its_mount(tmp_path: Path) -> None:
    """Only one of version 2 counts."""
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\ncgroup2 /sys/fs/x cgroup2 rw 0 0\n"
    )
    assert hierarchy(mounts) == Path("/sys/fs/x")
    mounts.write_text("cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n")
    assert hierarchy(mounts) is None


def test_what_does_not_permit_it_is_said_by_name(tmp_path: Path) -> None:
    """And the fault points at the one that needs no group."""
    assert "no control groups of version 2" in (refusal(None) or "")
    without = make(tmp_path / "without", "cpu pids")
    assert "no memory controller here (those at" in (refusal(without) or "")
    assert "cpu, pids" in (refusal(without) or "")
    assert refusal(make(tmp_path / "with")) is None
    reason = MemoryLimitFault(component="api", mib=100).permitted()
    assert reason is None or "`memory` holds memory of the machine" in reason


def test_processes_are_limited_and_put_back(tmp_path: Path) -> None:
    """The limit in bytes, no swap, the controller turned on below; then the group is gone."""
    root = make(tmp_path / "root")
    group = limit(root, [os.getpid()], 64 * 2**20)
    assert (root / "cgroup.subtree_control").read_text() == "+memory"
    assert (group.folder / "memory.max").read_text() == str(64 * 2**20)
    assert (group.folder / "memory.swap.max").read_text() == "0"
    assert (group.folder / "cgroup.procs").read_text() == str(os.getpid())
    (group.folder / "memory.events").write_text("low 0\nmax 7\noom_kill 1\n")
    (group.folder / "memory.peak").write_text("67108864\n")
    seen = group.seen()
    assert seen == {
        "limit": 64 * 2**20, "peak": 64 * 2**20, "met": 7, "killed": 1, "processes": 1
    }  # fmt: skip
    home = group.homes[os.getpid()]
    home.mkdir(parents=True, exist_ok=True)
    group.release()
    assert (home / "cgroup.procs").read_text() == str(os.getpid())


def test_a_kernel_that_refuses_is_one_line(tmp_path: Path) -> None:
    """As where the hierarchy is read-only."""
    with pytest.raises(StackError, match="memory can't be limited"):
        limit(tmp_path / "nowhere", [os.getpid()], 2**20)

"""The limit of memory by a control group: what refuses it, what is written, and what is undone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from testbed.errors import StackError
from testbed.faults.memorylimit import MemoryLimitFault
from testbed.faults.rig.memorygroup import (
    FIRST,
    Hierarchy,
    chosen,
    hierarchies,
    limit,
    refusal,
)

from tests.support.polling import PATIENCE


def make(root: Path, controllers: str = "cpu memory") -> Path:
    """Files as the kernel has them at the top of a hierarchy."""
    root.mkdir()
    (root / "cgroup.controllers").write_text(f"{controllers}\n")
    (root / "cgroup.subtree_control").write_text("cpu\n")
    (root / "cgroup.procs").write_text("")
    return root


def test_the_hierarchy_is_found_by_its_mount(tmp_path: Path) -> None:
    """Version 2 first; of version 1 only that of memory counts."""
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\ncgroup2 /sys/fs/x cgroup2 rw 0 0\n"
    )
    first = Hierarchy(Path("/sys/fs/cgroup/memory"), FIRST)
    assert hierarchies(mounts) == (Hierarchy(Path("/sys/fs/x")), first)
    mounts.write_text("cgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0\n")
    assert hierarchies(mounts) == ()


def test_what_does_not_permit_it_is_said_by_name(tmp_path: Path) -> None:
    """And the fault points at the one that needs no group."""
    assert "no control groups that limit memory" in (refusal(()) or "")
    without = Hierarchy(make(tmp_path / "without", "cpu pids"))
    assert "no memory controller here (those at" in (refusal((without,)) or "")
    assert "cpu, pids" in (refusal((without,)) or "")
    able = Hierarchy(make(tmp_path / "with"))
    assert refusal((without, able)) is None
    assert chosen((without, able)) == able
    reason = MemoryLimitFault(component="api", mib=100).permitted()
    assert reason is None or "`memory` holds memory of the machine" in reason


def test_processes_are_limited_and_put_back(tmp_path: Path) -> None:
    """The limit in bytes, no swap, the controller turned on below; then the group is gone."""
    root = make(tmp_path / "root")
    group = limit(Hierarchy(root), [os.getpid()], 64 * 2**20)
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


def test_a_process_is_put_back_where_its_group_is_not_to_be_seen(tmp_path: Path) -> None:
    """As in a container, for which the kernel names groups as the machine sees them."""
    root = make(tmp_path / "root")
    group = limit(Hierarchy(root), [os.getpid()], 64 * 2**20)
    group.homes[os.getpid()] = root / "docker" / "1f3b"
    group.release()
    assert (root / "cgroup.procs").read_text() == str(os.getpid())


def test_a_kernel_that_refuses_is_one_line(tmp_path: Path) -> None:
    """As where the hierarchy is read-only."""
    with pytest.raises(StackError, match="memory can't be limited"):
        limit(Hierarchy(tmp_path / "nowhere"), [os.getpid()], 2**20)


def test_the_kernel_holds_a_process_to_its_limit() -> None:
    """For real, where this machine permits it; what it met is said, and nothing is left."""
    hierarchy = chosen(hierarchies())
    if hierarchy is None:
        pytest.skip(refusal(hierarchies()) or "")
    code = "import sys; sys.stdin.read(); held = bytearray(256 * 2**20)"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as process:
        group = limit(hierarchy, [process.pid], 64 * 2**20)
        try:
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(PATIENCE) == -signal.SIGKILL
            seen = group.seen()
        finally:
            process.kill()
            process.wait()
            group.release()
    assert seen["limit"] == 64 * 2**20
    assert seen["killed"] == 1
    assert 0 < seen["peak"] <= 64 * 2**20
    assert not group.folder.exists()

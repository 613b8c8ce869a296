"""Faults of processes, done to a real one: what the kernel says of it, and what is left after."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from testbed.errors import StackError
from testbed.faults.cpu import CpuFault
from testbed.faults.descriptors import DescriptorsFault
from testbed.faults.freeze import FreezeFault
from testbed.faults.memory import MemoryFault
from testbed.faults.rig import Rig
from testbed.faults.rig.kernel import members, resident, states, threads, used
from testbed.stack.process import ProcessRequest, Supervisor

from tests.support.polling import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.stack.stack import Stack

BUSY = "import threading\nthreading.Thread(target=threading.Event().wait).start()\nwhile True: pass"


class OneComponent:
    """A stack of one component, which runs the helpers of faults by a real supervisor."""

    def __init__(self, pid: int, supervisor: Supervisor, folder: Path) -> None:
        self._pid, self._supervisor, self._folder = pid, supervisor, folder
        self.marks: list[str] = []
        self.helpers: list[int] = []
        self.others: dict[str, int] = {}

    def pid(self, _name: str) -> int:
        """Of the component."""
        return self._pid

    def pids(self) -> dict[str, int]:
        """Of all components, and of helpers."""
        return {"api": self._pid, **self.others, **dict(zip("abc", self.helpers, strict=False))}

    def mark_gone(self, name: str, how: str) -> None:
        """Write it down."""
        self.marks.append(f"{name} gone: {how}")

    def mark_back(self, name: str) -> None:
        """Write it down."""
        self.marks.append(f"{name} back")

    def start_helper(self, name: str, argv: tuple[str, ...]) -> int:
        """Start one."""
        log = self._folder / "faults.log"
        request = ProcessRequest(name, argv, log, dict(os.environ), self._folder, job=True)
        self.helpers.append(self._supervisor.start(request).pid)
        return self.helpers[-1]

    def stop_helper(self, name: str) -> None:
        """End one."""
        self._supervisor.stop(name, kill=True)


@contextmanager
def busy() -> Iterator[int]:
    """A process that is busy all the time, in one of its two threads."""
    with subprocess.Popen([sys.executable, "-c", BUSY], start_new_session=True) as process:
        try:
            yield process.pid
        finally:
            process.kill()


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[OneComponent]:
    """A component that is busy all the time, in two threads of one process."""
    with busy() as process, Supervisor() as supervisor:
        wait_for(lambda: len(threads([process])) > 1, 20, "it has no second thread")
        yield OneComponent(process, supervisor, tmp_path)


@contextmanager
def rig_of(stack: OneComponent) -> Iterator[Rig]:
    """A rig, closed as that of a run that failed."""
    nothing = cast("object", SimpleNamespace())
    rig = Rig(cast("Stack", stack), nothing, nothing)  # type: ignore[arg-type]
    try:
        yield rig
    finally:
        rig.close()


def test_a_frozen_component_stands_still_until_the_end(stack: OneComponent) -> None:
    """The kernel says so, and it goes on afterwards."""
    fault = FreezeFault(component="api")
    leader = stack.pid("api")
    with rig_of(stack) as rig:
        fault.begin(rig)
        wait_for(lambda: states(members(leader)) == {"T"}, 10, "it is not frozen")
        before = used([leader])
        assert used([leader]) == before
        seen = fault.end(rig)
        assert seen["processor"] <= 0.05
        assert 0 <= seen["frozen"] <= seen["of"]
        assert stack.marks == ["api gone: api frozen", "api back"]
        wait_for(lambda: used([leader]) > before, 10, "it does not go on")


def test_what_has_a_session_of_its_own_is_frozen_with_its_component(tmp_path: Path) -> None:
    """As PostgreSQL's processes for connections: while they went on, nothing would be frozen."""
    child = "import subprocess; subprocess.run(['sleep', '600'], start_new_session=True)"
    with (
        subprocess.Popen([sys.executable, "-c", child], start_new_session=True) as process,
        Supervisor() as supervisor,
    ):
        wait_for(lambda: len(members(process.pid)) == 2, 20, "it has no child")
        (asleep,) = members(process.pid) - {process.pid}
        with rig_of(OneComponent(process.pid, supervisor, tmp_path)) as rig:
            FreezeFault(component="api").begin(rig)
            wait_for(lambda: states([asleep]) == {"T"}, 10, "it is not frozen")
        wait_for(lambda: states([asleep]) == {"S"}, 10, "it does not go on")
        os.kill(asleep, signal.SIGKILL)


def test_a_component_goes_on_where_the_run_fails(stack: OneComponent) -> None:
    """Nothing but the end of the rig has to happen; slowed down, it ran in between."""
    leader = stack.pid("api")
    with rig_of(stack) as rig:
        FreezeFault(component="api", duty=0.5).begin(rig)
        wait_for(lambda: "T" in states([leader]), 10, "it is never frozen")
        wait_for(lambda: "R" in states([leader]), 10, "it stays frozen")
    before = used([leader])
    wait_for(lambda: used([leader]) > before, 10, "it stays frozen")


def test_a_frozen_component_can_be_stopped(tmp_path: Path) -> None:
    """The supervisor wakes what it asks to end, which then ends by itself, in time."""
    request = ProcessRequest(
        "frozen", ("sleep", "600"), tmp_path / "log", dict(os.environ), tmp_path, grace=30
    )
    with Supervisor() as supervisor:
        pid = supervisor.start(request).pid
        os.killpg(pid, 19)
        wait_for(lambda: states([pid]) == {"T"}, 10, "it is not frozen")
        assert supervisor.stop("frozen").signal == 2


def test_a_component_shares_one_processor(stack: OneComponent) -> None:
    """All of its threads and the workers can run there only, until the end."""
    fault = CpuFault(component="api", workers=2)
    leader = stack.pid("api")
    usual = os.sched_getaffinity(leader)
    cpu = {max(os.sched_getaffinity(0))}
    with rig_of(stack) as rig:
        fault.begin(rig)
        wait_for(lambda: used(stack.helpers) > 0.1, 20, "the workers do nothing")
        assert {frozenset(os.sched_getaffinity(tid)) for tid in threads([leader])} == {
            frozenset(cpu)
        }
        seen = fault.end(rig)
    assert seen["confined"] == seen["threads"] == 2
    assert seen["busy"] >= 0.1
    assert not states(stack.helpers)
    assert os.sched_getaffinity(leader) == usual


@pytest.mark.skipif(len(os.sched_getaffinity(0)) == 1, reason="there is one processor only")
def test_other_components_are_kept_off_that_processor(stack: OneComponent) -> None:
    """All of their threads, those that begin meanwhile too; one that is confined there stays."""

    def places(pid: int) -> set[frozenset[int]]:
        return {frozenset(os.sched_getaffinity(tid)) for tid in threads([pid])}

    usual = frozenset(os.sched_getaffinity(0))
    cpu = frozenset({max(usual)})
    with busy() as load, busy() as receiver:
        stack.others = {"load": load, "receiver": receiver}
        os.sched_setaffinity(receiver, cpu)
        with rig_of(stack) as rig:
            fault = CpuFault(component="api", workers=1)
            fault.begin(rig)
            wait_for(lambda: len(threads([load])) > 1, 20, "it has no second thread")
            assert places(load) == {usual - cpu}
            assert os.sched_getaffinity(receiver) == cpu
            fault.end(rig)
        assert places(load) == {usual}


def test_memory_is_held_and_given_back(stack: OneComponent) -> None:
    """By a process that ends with the fault."""
    fault = MemoryFault(mib=40)
    with rig_of(stack) as rig:
        fault.begin(rig)
        held = rig.held[fault.label]
        wait_for(lambda: resident(stack.helpers[0]) >= 40, 20, "it holds nothing")
        assert held is not None
        assert fault.end(rig)["resident"] >= 40
    assert not states(stack.helpers)


def test_memory_that_the_machine_needs_is_refused(
    stack: OneComponent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the run, and once more where it has gone since."""
    available = SimpleNamespace(available=3000 * 2**20)
    monkeypatch.setattr("psutil.virtual_memory", lambda: available)
    assert MemoryFault(mib=1976).permitted() is None
    fault = MemoryFault(mib=1977)
    assert fault.permitted() == (
        "3000 MiB are available, and it must leave 1024 of them: 1976 MiB may be held"
    )
    with rig_of(stack) as rig, pytest.raises(StackError, match="not permitted any more"):
        fault.begin(rig)
    assert not stack.helpers


def test_descriptors_are_limited_and_restored(stack: OneComponent) -> None:
    """The kernel holds the running process to it."""
    fault = DescriptorsFault(component="api", spare=2)
    leader = stack.pid("api")
    usual = resource.prlimit(leader, resource.RLIMIT_NOFILE)
    with rig_of(stack) as rig:
        fault.begin(rig)
        assert resource.prlimit(leader, resource.RLIMIT_NOFILE) == (5, usual[1])
        seen = fault.end(rig)
        assert seen == {"processes": 1, "held": 1, "limit": 5, "open": 3}
    assert resource.prlimit(leader, resource.RLIMIT_NOFILE) == usual

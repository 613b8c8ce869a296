"""Worker processes: results by key, failures that stay alone, processes that stay."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest
from testbed_drift.workers import Broken, Workers

from tests.conftest import REPOSITORY
from tests.fakes.chores import chore
from tests.support.polling import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    """Two processes for the tests of this module."""
    with Workers(2) as opened:
        yield opened


def test_tasks_keep_their_process(workers: Workers) -> None:
    """Two processes share the tasks, in any run the same ones, and results are in order."""
    tasks = dict.fromkeys("abcd", "pid")
    first = workers.run(chore, tasks)
    assert list(first) == list("abcd")
    assert len(set(first.values())) == 2
    assert workers.run(chore, tasks) == first
    assert os.getpid() not in first.values()


def test_a_failed_task_leaves_the_others_alone(workers: Workers) -> None:
    """An exception is one line beside the others' results; an expected one has no type name."""
    found = workers.run(chore, {"a": "pid", "b": "bug", "c": "refuse"})
    assert isinstance(found["a"], int)
    assert found["b"] == Broken("ZeroDivisionError: division by zero")
    assert found["c"] == Broken("no, for a reason")


def test_a_task_that_ends_its_process_leaves_the_others_alone(workers: Workers) -> None:
    """What waited behind it is done by a new process, and the next run finds all in order."""
    tasks = {"a": "pid", "b": "pid", "killer": "die", "d": "pid", "e": "pid", "f": "pid"}
    found = workers.run(chore, tasks)
    assert found["killer"] == Broken("its worker process ended; is the memory enough?")
    assert all(isinstance(found[key], int) for key in tasks if key != "killer")
    assert isinstance(workers.run(chore, {"killer": "pid"})["killer"], int)


def test_two_lots_share_the_processes(workers: Workers) -> None:
    """A task that ends its process costs neither another lot nor the rest of its own."""
    before = set(workers.run(chore, dict.fromkeys("abcd", "pid")).values())
    collect = workers.start(chore, {"killer": "die", "a": "pid", "b": "pid"})
    others = workers.run(chore, dict.fromkeys("cdef", "pid"))
    assert all(isinstance(pid, int) for pid in others.values())
    found = collect()
    assert found["killer"] == Broken("its worker process ended; is the memory enough?")
    assert isinstance(found["a"], int)
    assert isinstance(found["b"], int)
    assert len(set(others.values()) | before) <= 3  # two, and one in place of the killed one


def test_a_task_that_never_returns_is_ended() -> None:
    """Its process is killed, what waited behind it is done by a new one, and the others go on."""
    tasks = {"a": "pid", "b": "pid", "hung": "hang", "c": "pid", "d": "pid"}
    with Workers(2, timeout=6.0) as workers:
        before = workers.run(chore, dict.fromkeys(tasks, "pid"))
        found = workers.run(chore, tasks)
        assert found["hung"] == Broken(
            "it took longer than 6 s (TESTBED_DRIFT_TASK_TIMEOUT), so its worker process was ended"
        )
        (alone,) = set(before.values()) - {before["b"]}
        assert before["hung"] == alone
        assert not psutil.pid_exists(int(str(alone)))
        assert found["b"] == found["c"] == before["b"]
        assert found["d"] not in {None, alone, before["b"]}
        assert workers.run(chore, {"hung": "pid"})["hung"] == found["d"]


def test_a_start_is_no_part_of_the_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of a first task begins when its process has started, long before the start's end."""
    monkeypatch.setattr("testbed_drift.workers.START_SECONDS", 1e6)
    with Workers(1, timeout=6.0) as workers:
        found = workers.run(chore, {"hung": "hang", "a": "pid"})
    assert found["hung"] == Broken(
        "it took longer than 6 s (TESTBED_DRIFT_TASK_TIMEOUT), so its worker process was ended"
    )
    assert isinstance(found["a"], int)


def test_a_task_s_own_timeout_is_its_failure() -> None:
    """An error of the same type as the wait's is what the task gave, and its process stays."""
    with Workers(1, timeout=60.0) as workers:
        found = workers.run(chore, {"a": "pid", "b": "time out", "c": "pid"})
    assert found["b"] == Broken("nobody answered")
    assert found["a"] == found["c"]


def test_a_process_killed_from_outside_costs_nothing(workers: Workers) -> None:
    """The task of a process that somebody killed between two runs is done by the next one."""
    before = workers.run(chore, {"a": "pid"})["a"]
    assert isinstance(before, int)
    os.kill(before, signal.SIGKILL)
    after = workers.run(chore, {"a": "pid"})["a"]
    assert isinstance(after, int)
    assert after != before


def test_processes_end_with_a_killed_parent(tmp_path: Path) -> None:
    """A parent that is killed leaves no process behind."""
    code = (
        "from testbed_drift.workers import Workers\n"
        "from tests.fakes.chores import chore\n"
        "import time\n"
        "print(Workers(1).run(chore, {'a': 'pid'})['a'], flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )
    assert parent.stdout is not None
    with parent.stdout:
        child = int(parent.stdout.readline())
    parent.kill()
    parent.wait(30)

    def gone() -> bool:
        return not psutil.pid_exists(child) or (
            psutil.Process(child).status() == psutil.STATUS_ZOMBIE
        )

    wait_for(gone)

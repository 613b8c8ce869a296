"""Files that are read or written while others do the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from testbed.active import ActiveStack, active_stacks, withdraw
from testbed.layout import RunLayout
from testbed.tail import JsonLinesTail
from testbed.timeline import Event, Timeline
from testbed_domain.files import write_atomic


def test_a_half_written_line_waits(tmp_path: Path) -> None:
    """A tail gives each whole line once, and the rest when it is whole."""
    path = tmp_path / "x.jsonl"
    tail = JsonLinesTail(path)
    assert tail.read() == []
    path.write_text('{"a": 1}\n{"a"')
    assert tail.read() == [{"a": 1}]
    assert tail.read() == []
    with path.open("a") as file:
        file.write(": 2}\n")
    assert tail.read() == [{"a": 2}]


def test_an_atomic_write_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    """A write that fails keeps the old content and leaves no temporary file."""
    path = tmp_path / "x.json"
    write_atomic(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomic(path, "\ud800")
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["x.json"]


def test_the_timeline_is_written_and_reported(tmp_path: Path) -> None:
    """Each event is a whole line and reaches the listener, with its own time where it has one."""
    reported: list[Event] = []
    timeline = Timeline(tmp_path / "t.jsonl", clock=lambda: 5.0, listener=reported.append)
    timeline.add("component_started", "api", pid=7)
    timeline.add("load_started", at=3.0)
    lines = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert lines[0] == {"time": 5.0, "event": "component_started", "name": "api", "pid": 7}
    assert lines[1]["time"] == 3.0
    assert [event.event for event in reported] == ["component_started", "load_started"]


def test_only_living_stacks_are_listed(tmp_path: Path) -> None:
    """A stack is listed while its runner lives; a reused process id is not taken for it."""
    layout = RunLayout(tmp_path / "runs" / "one").create()
    stack = ActiveStack.of_this_process("one", "up", {"API": "u"}, {"api": 1})
    stack.write(layout)
    assert [item.run for item in active_stacks(tmp_path / "runs")] == ["one"]

    other = RunLayout(tmp_path / "runs" / "two").create()
    ActiveStack("two", "up", stack.pid, stack.created - 100, {}, {}).write(other)
    assert [item.run for item in active_stacks(tmp_path / "runs")] == ["one"]

    withdraw(layout)
    assert list(active_stacks(tmp_path / "runs")) == []

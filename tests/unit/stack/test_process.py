"""Values of a process's life, and waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from testbed.errors import StackError
from testbed.stack.process import ProcessOutcome, read_tail, wait_until

if TYPE_CHECKING:
    from pathlib import Path


class FakeClock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Seconds since the start."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


def outcome(log: Path, **changes: object) -> ProcessOutcome:
    """A component that ended by itself with exit code 3."""
    values: dict[str, object] = {
        "name": "component",
        "pid": 7,
        "exit_code": 3,
        "signal": None,
        "expected": False,
        "ended_at": 0.0,
        "seconds": 1.25,
        "log": log,
    }
    return ProcessOutcome(**(values | changes))  # type: ignore[arg-type]


def test_outcome_is_described_in_one_line(tmp_path: Path) -> None:
    """Exit codes, signals and unexpected ends are distinguished."""
    log = tmp_path / "log"
    crash = outcome(log).describe()
    assert crash == "component (pid 7) ended with exit code 3 unexpectedly after 1.2 s"
    stopped = outcome(log, exit_code=None, signal=15, expected=True).describe()
    assert stopped == "component (pid 7) was ended by SIGTERM after 1.2 s"
    assert "signal 40" in outcome(log, exit_code=None, signal=40).describe()


def test_tail_is_the_end_of_a_long_log(tmp_path: Path) -> None:
    """Only the last lines of a big log are read, broken text included."""
    log = tmp_path / "log"
    log.write_bytes(
        b"x" * 200_000 + b"\n" + b"\n".join(b"line %d" % n for n in range(50)) + b"\xff"
    )
    lines = read_tail(log, 3).splitlines()
    assert lines[:2] == ["line 47", "line 48"]
    assert lines[2].startswith("line 49")
    assert read_tail(tmp_path / "none") == ""


def test_waiting_ends_when_the_probe_is_content() -> None:
    """The probe is asked until it returns None."""
    answers = iter(["not yet", "almost", None])
    clock = FakeClock()
    wait_until(lambda: next(answers), 10, what="it", clock=clock, sleep=clock.sleep)
    assert next(answers, "used up") == "used up"


def test_waiting_gives_up_with_the_last_reason() -> None:
    """After the deadline the error says what was missing."""
    clock = FakeClock()
    with pytest.raises(StackError, match="it: not ready after 3 s: 2 targets down"):
        wait_until(lambda: "2 targets down", 3, what="it", clock=clock, sleep=clock.sleep)


def test_waiting_ends_at_once_when_the_process_died(tmp_path: Path) -> None:
    """The end of the process is reported with the tail of its log, long before the deadline."""
    log = tmp_path / "component.log"
    log.write_text("starting\nbad flag\n", encoding="utf-8")
    clock = FakeClock()
    with pytest.raises(StackError, match=r"exit code 3(?s:.)*bad flag"):
        wait_until(
            lambda: "no answer",
            60,
            what="component",
            alive=lambda: outcome(log),
            clock=clock,
            sleep=clock.sleep,
        )
    assert clock.now == 0

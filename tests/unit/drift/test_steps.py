"""Whoever waits for a comparison is told what it is at."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest
from testbed_drift.cli import jobs, main
from testbed_drift.steps import DELAY, shown, step

from tests.support.polling import PATIENCE as DEADLINE

ROWS = "\n".join(["t,x,y", *(f"{n},{n % 7},{n % 2}" for n in range(400))])


def test_steps_are_heard_only_where_somebody_listens() -> None:
    """Each at once without delay; none after the command."""
    said: list[str] = []
    step("before")
    with shown(said.append, delay=0):
        step("one")
        step("two")
    step("after")
    assert said == ["one", "two"]


def test_only_a_long_step_is_said() -> None:
    """A step that another follows in time is never said; one that lasts is, while it lasts."""
    said: list[str] = []
    heard = threading.Event()

    def say(text: str) -> None:
        said.append(text)
        heard.set()

    with shown(say, delay=0.2):
        step("short")
        step("long")
        assert heard.wait(DEADLINE)
    assert said == ["long"]
    assert DELAY > 0


def test_comparison_of_tables_says_its_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On standard error, so that the result stays what it is; nothing to who is no terminal."""
    table = tmp_path / "a.csv"
    table.write_text(ROWS)
    monkeypatch.setattr(jobs, "shown", lambda say: shown(say, delay=0))
    command = ["run", "--reference", str(table), "--current", str(table), "--target", "y"]
    assert main(command) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(command) == 0
    shown_lines = capsys.readouterr()
    steps = [line for line in shown_lines.err.splitlines() if line.endswith("…")]
    assert steps[0] == "drift: loading libraries …"
    assert "drift: comparing 400 rows with 400 of the reference …" in steps
    assert "…" not in shown_lines.out

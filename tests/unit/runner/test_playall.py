"""Playing many scenarios: the order, the summary of each, and the table."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
from testbed.playall import PlayedScenario, command, lines, longest_first, played, summary
from testbed.sidebyside import Ended

if TYPE_CHECKING:
    from pathlib import Path


def test_the_longest_scenario_begins_first() -> None:
    """So that no long one is left for the end, when the other place stands empty."""
    assert longest_first(["normal", "error-margin", "demo"]) == ["error-margin", "demo", "normal"]


def test_a_failed_run_is_summed_up_by_its_first_broken_link(tmp_path: Path) -> None:
    """Checks stand in the order of the way of the data."""
    verdict = tmp_path / "verdict.json"
    checks = [
        {"passed": True, "stage": "load", "summary": "fine"},
        {"passed": False, "stage": "rule", "summary": "never fired"},
        {"passed": False, "stage": "route", "summary": "not notified"},
    ]
    verdict.write_text(json.dumps({"checks": checks}))
    assert summary(verdict, tmp_path / "log", 1) == ("1 of 3", "rule: never fired")


def test_a_run_that_could_not_be_evaluated_is_summed_up_by_its_last_words(tmp_path: Path) -> None:
    """As it prints one line that says what to do."""
    log = tmp_path / "log"
    log.write_text("starting\n\ntestbed: no free port\n\n")
    assert summary(tmp_path / "verdict.json", log, 2) == ("", "testbed: no free port")
    verdict = tmp_path / "verdict.json"
    verdict.write_text(json.dumps({"checks": [{"passed": False, "stage": "load", "summary": "s"}]}))
    assert summary(verdict, log, 2) == ("0 of 1", "testbed: no free port")


def test_a_run_that_could_not_run_is_not_shown_as_passed(tmp_path: Path) -> None:
    """Its exit code reaches the table, whatever kind of error ended it."""
    asked = command("no-such-scenario", tmp_path, ())
    with asked.log.open("w") as log:
        ended = subprocess.run(asked.argv, stdout=log, stderr=log, cwd=tmp_path, check=False)
    outcome = played(Ended(asked, ended.returncode, 1.0), tmp_path)
    assert outcome.cells[1] == "could not run"
    assert "no-such-scenario" in outcome.why


def test_the_table_is_aligned() -> None:
    """One line per run below its headings."""
    table = list(
        lines(
            [
                PlayedScenario("normal", 0, 61.7, "25 of 25"),
                PlayedScenario("demo", 2, 3.0, "", "no"),
            ]
        )
    )
    assert table == [
        "scenario  outcome        took  checks    why",
        "normal    passed         62 s  25 of 25",
        "demo      could not run  3 s             no",
    ]


def test_what_is_ended_early_ends_its_runs(tmp_path: Path) -> None:
    """One line says so, and no run goes on behind it."""
    argv = [sys.executable, "-m", "testbed.playall", "normal", "--out", str(tmp_path / "out")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None
        assert "1 scenarios" in process.stdout.readline()
        whole = psutil.Process(process.pid)
        deadline = time.monotonic() + 30
        while not (runs := whole.children()) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.terminate()
        assert process.wait(60) == 130
        assert "interrupted" in process.stdout.read()
    assert len(runs) == 1
    assert not runs[0].is_running()

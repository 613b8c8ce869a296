"""Playing many scenarios: the order, the summary of each, and the table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from testbed.playall import Played, lines, longest_first, summary

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
    assert summary(verdict, tmp_path / "log") == ("1 of 3", "rule: never fired")


def test_a_run_that_could_not_be_judged_is_summed_up_by_its_last_words(tmp_path: Path) -> None:
    """As it prints one line that says what to do."""
    log = tmp_path / "log"
    log.write_text("starting\n\ntestbed: no free port\n\n")
    assert summary(tmp_path / "verdict.json", log) == ("", "testbed: no free port")


def test_the_table_is_aligned() -> None:
    """One line per run below its headings."""
    table = list(lines([Played("normal", 0, 61.7, "25 of 25"), Played("demo", 2, 3.0, "", "no")]))
    assert table == [
        "scenario  outcome        took  checks    why",
        "normal    passed         62 s  25 of 25",
        "demo      could not run  3 s             no",
    ]

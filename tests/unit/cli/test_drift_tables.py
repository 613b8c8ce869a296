"""``testbed drift`` on tables: what it hands to the job."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from testbed.cli import app
from testbed_drift.__main__ import _parser
from typer.testing import CliRunner


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """The arguments with which the job would have been started, in a folder of the test."""
    found: list[list[str]] = []
    monkeypatch.setattr(os, "execve", lambda _program, words, _env: found.append(words[3:]))
    monkeypatch.setenv("TESTBED_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return found


def _job(typed: list[list[str]], line: str) -> dict[str, object]:
    """What the job makes of a command line; it must know every option."""
    done = CliRunner().invoke(app, ["drift", *line.split()], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    (words,) = typed
    return vars(_parser().parse_args(words))


def test_every_option_reaches_the_job(typed: list[list[str]], tmp_path: Path) -> None:
    """The job knows them under the same names; paths don't depend on where it runs."""
    found = _job(
        typed,
        "run --reference a.csv --current b.csv --target y --prediction p --probability 0=q0 "
        "--probability 1=q1 --positive 1 --columns x,z --time-column t --window-rows 100 "
        "--every 50 --segment x --min-rows 50 --confirm 2 --confirm-of 3 --report out "
        "--calibration c.json --textfile t.prom --otlp-endpoint http://127.0.0.1:1 --json",
    )
    wanted = {
        "reference": "a.csv",
        "current": "b.csv",
        "target": "y",
        "prediction": "p",
        "probability": ["0=q0", "1=q1"],
        "positive": "1",
        "columns": "x,z",
        "time_column": "t",
        "window_rows": "100",
        "every": "50",
        "segment": "x",
        "min_rows": "50",
        "confirm": "2",
        "confirm_of": "3",
        "report": str(tmp_path / "out"),
        "calibration": str(tmp_path / "c.json"),
        "textfile": str(tmp_path / "t.prom"),
        "otlp_endpoint": "http://127.0.0.1:1",
        "store": str(tmp_path / "home" / "references"),
        "json": True,
    }
    assert {name: found[name] for name in wanted} == wanted


def test_queries_reach_the_job(typed: list[list[str]]) -> None:
    """URLs and queries, of either side."""
    found = _job(
        typed,
        "run --reference-url sqlite:///a.db --reference-query people --current-url sqlite:///b.db "
        "--current-query people --version-column v --window 1d",
    )
    assert (found["reference_url"], found["reference_query"]) == ("sqlite:///a.db", "people")
    assert (found["current_url"], found["current_query"]) == ("sqlite:///b.db", "people")
    assert (found["version_column"], found["window"]) == ("v", "1d")


def test_the_log_can_be_walked(typed: list[list[str]]) -> None:
    """Windows of the log need no table, and no store."""
    found = _job(typed, "run --log-url sqlite:///l.db --artefact m --window 1d --every 6h")
    assert (found["window"], found["every"], found["store"]) == ("1d", "6h", None)


@pytest.mark.parametrize(
    ("line", "action"),
    [
        ("reference add shop a.csv --target y", "add"),
        ("reference list", "list"),
        ("reference show shop@2", "show"),
        ("reference remove shop", "remove"),
    ],
)
def test_references_are_managed_by_the_job(
    typed: list[list[str]], tmp_path: Path, line: str, action: str
) -> None:
    """They lie in the testbed's home unless it is said otherwise."""
    found = _job(typed, line)
    assert (found["command"], found["action"]) == ("reference", action)
    assert found["store"] == str(tmp_path / "home" / "references")


def test_a_reference_table_can_be_calibrated(typed: list[list[str]]) -> None:
    """With its columns, and without a model."""
    found = _job(typed, "calibrate --reference shop --rows 500 --target y --probability q")
    assert (found["reference"], found["rows"], found["target"]) == ("shop", 500, "y")
    assert (found["probability"], found["artefact"]) == (["q"], None)

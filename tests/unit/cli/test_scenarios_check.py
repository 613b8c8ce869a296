"""``testbed scenarios check``: what a run would refuse, without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from testbed.cli import app
from testbed.errors import UsageError
from typer.testing import CliRunner

if TYPE_CHECKING:
    from pathlib import Path

SCENARIO = """\
name: mine
title: t
description: d
phases:
  - {name: normal, duration: 6m, rate: 40}
"""


def checked(folder: Path, **more: str) -> str:
    """What is said of scenarios, each with more lines at its end."""
    files = []
    for name, text in more.items():
        files.append(folder / f"{name}.yaml")
        files[-1].write_text(f"{SCENARIO}{text}\n")
    result = CliRunner().invoke(app, ["scenarios", "check", *map(str, files)])
    if result.exception is None:
        return result.stdout
    assert isinstance(result.exception, UsageError), result.exception
    return str(result.exception)


def test_a_scenario_that_can_be_played_is_named(tmp_path: Path) -> None:
    """With its length in real time."""
    assert "mine, 1 phases, about 12 s to play" in checked(tmp_path, good="settle: 0s")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("time_scale: 1000", "at time scale 1000"),
        (
            "expected_alerts: [{alert: HighLatency, phase: normal, within: 1s}]",
            "its rule waits 5m (`for`) before it fires: give it more time",
        ),
        ("allowed_alerts: [Foo]", "it allows the alert Foo, for which there is no rule"),
        (
            "  - {name: b, duration: 1m, rate: 1, faults: [{kind: kill, component: nobody}]}",
            "hits nobody, which is not a component of the run",
        ),
        ("use_case: titanik", "unknown use case 'titanik'; choose one of: churn"),
        (
            "  - {name: b, duration: 1m, rate: 1, drift: {name: covariate_shft, severity: 1}}",
            "phase b: unknown drift 'covariate_shft'; choose one of",
        ),
        (
            "use_case: any\nexpected_columns: [mine]\nsettle: 0s\nallowed_alerts: [Foo]",
            "it allows the alert Foo",
        ),
        (
            "use_case: titanic\nexpected_columns: [Age, Glucose]",
            "is about Glucose, which the use case titanic lacks: correct it, or its use_case",
        ),
        (
            "service: {command: 'true', request: {path: '/x/{Fare}', headers: {X: '${NO_KEY}'}}}",
            "the request's path asks for {Fare}, which there isn't: there are {id}",
        ),
        (
            "service: {command: 'true', request: {body: {age: '{Fare}'}}}",
            "the request's body asks for {Fare}, and the rows have no such column",
        ),
    ],
)
def test_what_a_run_would_refuse_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    """Not in the run's first second, but here."""
    assert reason in checked(tmp_path, mine=text)


def test_a_mistake_of_one_file_does_not_hide_those_of_others(tmp_path: Path) -> None:
    """All are said, whichever kind they are of."""
    found = checked(tmp_path, a="colour: red", b="settle: 0s", c="allowed_alerts: [Foo]")
    first, second = found.splitlines()
    assert first.startswith(f"{tmp_path / 'a.yaml'}:6: unknown field: colour")
    assert "Foo" in second


def test_each_mistake_names_its_file(tmp_path: Path) -> None:
    """Of several files it would not be clear which one has no such use case."""
    said = checked(tmp_path, one="use_case: titanik", two="time_scale: 0").split("\n")
    assert [line.partition(".yaml:")[0].rpartition("/")[2] for line in said] == ["one", "two"]

"""The variables with which a Compose stack is started for a scenario."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from testbed.resources import root
from testbed.scenarioenv import FILE, main, render
from testbed.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_TRACES_SAMPLER_ARG", raising=False)


def test_the_committed_file_is_that_of_the_demo() -> None:
    """As the generator gives it."""
    assert (root() / FILE).read_text("utf-8") == render("demo", Settings())
    assert main(["--check"]) == 0


def test_a_scenarios_own_settings_are_in_its_file(capsys: pytest.CaptureFixture[str]) -> None:
    """What it needs of the API and of the drift job, beside the scaled durations."""
    assert main(["segment-drift"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "TESTBED_DRIFT_SEGMENT=Age" in lines
    assert "TESTBED_DRIFT_RELATIONS_ROWS=0" in lines
    assert "TESTBED_TIME_SCALE=30" in lines


def test_a_scenario_that_is_not_there_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line."""
    assert main([str(tmp_path / "nothing.yaml")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1

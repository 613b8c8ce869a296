"""``testbed runs``, ``scenarios --json``, and what a shell completes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from testbed.cli import app
from testbed.resources import scenario_files
from testbed.runlist import list_runs
from typer.testing import CliRunner

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.usefixtures("place")
STARTED = 1_767_268_800.0


def _run(
    folder: Path, number: int, verdict: Mapping[str, Any] | None, scenario: str = "demo"
) -> None:
    run = folder / f"2026010{number}T120000-{scenario}-seed1"
    run.mkdir(parents=True)
    started = f"2026-01-0{number}T12:00:00.5+00:00"
    identity = {"scenario": scenario, "use_case": "iris", "started": started}
    (run / "run.json").write_text(json.dumps(identity))
    if verdict is not None:
        times = {"started_at": STARTED, "ended_at": STARTED + 90}
        (run / "verdict.json").write_text(json.dumps({**times, **verdict}))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder with a run of each outcome, and a damaged one."""
    folder = tmp_path / "home" / "runs"
    _run(folder, 1, {"passed": True, "too_slow": None})
    _run(folder, 2, {"passed": False, "too_slow": None}, "normal")
    _run(folder, 3, {"passed": False, "too_slow": "the machine was too slow"})
    _run(folder, 4, None)
    damaged = folder / "20260105T120000-demo-seed1"
    damaged.mkdir()
    (damaged / "run.json").write_text('{"scenario": ')
    return folder


def test_runs_are_listed_newest_first(runs: Path) -> None:
    """With what came of each; one whose files are damaged is there, too."""
    rows = list_runs(runs, {"20260104T120000-demo-seed1"})
    assert [(row.id[:8], row.outcome, row.seconds) for row in rows] == [
        ("20260104", "running", None),
        ("20260103", "too slow", 90),
        ("20260102", "failed", 90),
        ("20260101", "passed", 90),
        ("20260105", "no verdict", None),
    ]
    assert rows[2].scenario == "normal"
    assert rows[2].started == "2026-01-02T12:00:00+00:00"


def test_runs_as_json_hold_every_path(runs: Path) -> None:
    """For programs: absolute paths, times in ISO form."""
    done = CliRunner().invoke(app, ["runs", "--json", "-n", "1"])
    found = json.loads(done.stdout)
    assert len(found) == 5
    assert {Path(each["path"]).parent for each in found} == {runs.resolve()}


def test_runs_of_another_folder(runs: Path, tmp_path: Path) -> None:
    """An empty one says so, and none at all is a mistake."""
    assert "normal" in CliRunner().invoke(app, ["runs", str(runs)]).stdout
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no run in" in CliRunner().invoke(app, ["runs", str(empty)]).stderr
    assert CliRunner().invoke(app, ["runs", str(tmp_path / "nowhere")]).exception is not None


def test_scenarios_as_json() -> None:
    """Every scenario that ships, with its seconds and alerts."""
    found = json.loads(CliRunner().invoke(app, ["scenarios", "--json"]).stdout)
    assert [each["name"] for each in found["scenarios"]] == list(scenario_files())
    [demo] = [each for each in found["scenarios"] if each["name"] == "demo"]
    assert demo["must_fire"] == ["DataDrift", "HighErrorRate"]
    assert demo["real_seconds"] == demo["production_seconds"] / demo["time_scale"]
    assert "demo" in found["alerts"]["DataDrift"]


def _completed(*words: str) -> list[str]:
    done = subprocess.run(
        (Path(sys.executable).parent / "testbed",),
        env={
            **os.environ,
            "COMP_WORDS": "\n".join(["testbed", *words]),
            "COMP_CWORD": str(len(words)),
            "_TESTBED_COMPLETE": "complete_bash",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert not done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("run", "dem"), ["demo"]),
        (("run", "demo", "--use-case", "ti"), ["titanic"]),
        (("up", "--without", "al"), ["alertmanager"]),
        (("logs", "pro"), ["prometheus"]),
        (("load", "b"), ["burst"]),
        (("report", "20260102"), ["20260102T120000-normal-seed1"]),
        (("logs", "--run", "20260101"), ["20260101T120000-demo-seed1"]),
        (("down", "2026"), []),
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("runs")
def test_shell_completes_values(words: tuple[str, ...], expected: list[str]) -> None:
    """By Typer's own mechanism, as the installed completion asks for them."""
    assert _completed(*words) == expected


def test_completion_never_prints_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where settings can't be read, there is nothing to complete."""
    (tmp_path / "testbed.toml").write_text("nonsense")
    monkeypatch.chdir(tmp_path)
    assert _completed("report", "2") == []

"""``testbed drift``: the job's own commands, which here know the home and the latest run."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from testbed.cli import app
from testbed_drift.jobs import assembly
from testbed_drift.settings import DriftSettings
from typer.testing import CliRunner


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The testbed's home, in a folder of the test, in which a table lies."""
    for name in DriftSettings.model_fields:
        monkeypatch.delenv(f"TESTBED_DRIFT_{name.upper()}", raising=False)
    for name in ("TESTBED_DRIFT_REFERENCES", "OTEL_EXPORTER_OTLP_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TESTBED_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    rows = pd.DataFrame(
        {
            "x": [number * 7 % 50 for number in range(400)],
            "y": [number % 2 for number in range(400)],
        }
    )
    rows.to_csv(tmp_path / "a.csv", index=False)
    return tmp_path / "home"


def _ended(line: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["drift", *line.split()], catch_exceptions=False)
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> list[DriftSettings]:
    """Settings with which a job would have begun."""
    found: list[DriftSettings] = []

    def claimed(given: DriftSettings) -> object:
        found.append(given)
        raise OSError("that is enough")

    monkeypatch.setattr(assembly, "claimed_output", claimed)
    return found


def test_references_lie_in_the_home(home: Path) -> None:
    """Kept, listed, shown, calibrated, compared with and removed under one name."""
    code, out, _ = _ended("reference add shop a.csv --target y")
    assert (code, out.splitlines()[0]) == (
        0,
        "stored as shop@1: 400 rows; x (number)",
    )
    assert (home / "references" / "shop").is_dir()
    assert _ended("reference list")[1].startswith("shop@1  400 rows  1 columns  not calibrated")
    assert json.loads(_ended("reference show shop@1")[1])["rows"] == 400
    code, out, _ = _ended("run --reference shop --current a.csv --json")
    assert (code, json.loads(out)["decision"]) == (0, "NO_ACTION")
    assert _ended("reference remove shop")[1] == "removed shop@1\n"
    code, _, err = _ended("run --reference shop --current a.csv")
    assert (code, "shop" in err) == (2, True)


@pytest.mark.slow  # imports Evidently
@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("option", ["--report", "--out"])
def test_reports_of_tables_lie_where_either_option_says(option: str) -> None:
    """As for a log, where they are two names of one folder."""
    code, out, _ = _ended(f"run --reference a.csv --current a.csv {option} reports")
    assert (code, "report=reports/" in out) == (0, True)
    assert list(Path("reports").glob("*.html"))


def test_the_log_and_model_of_the_latest_run_are_taken(
    home: Path, settings: list[DriftSettings]
) -> None:
    """Where neither an option nor a variable says it; reports go to the home."""
    run = home / "runs" / "one"
    run.mkdir(parents=True)
    (run / "run.json").touch()
    _ended("run --window 1d")
    (found,) = settings
    assert str(run.resolve()) in found.log_url
    assert found.artefact.is_relative_to(run.resolve())
    assert (found.output, found.window) == (home / "drift", 86_400.0)


def test_what_is_said_goes_before_the_latest_run(
    home: Path, settings: list[DriftSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an option or a variable; then no run is needed."""
    monkeypatch.setenv("TESTBED_DRIFT_ARTEFACT", "of-the-variable")
    _ended("watch --log-url sqlite:///l.db --out reports --window 15m --interval 60")
    (found,) = settings
    assert (found.log_url, found.artefact) == ("sqlite:///l.db", Path("of-the-variable"))
    assert (found.output, found.window, found.interval) == (Path("reports"), 900.0, 60.0)
    assert not home.exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("run", "there is no run whose log could be watched; give --log-url and --artefact"),
        ("watch", "there is no run whose log could be watched; give --log-url and --artefact"),
        ("calibrate", "there is no run whose log could be watched"),
        ("ui", "there is no run whose workspace could be shown"),
        ("ui --workspace nowhere", "there is no workspace nowhere"),
        ("retrain --log-url sqlite:// --artefact m", "TESTBED_DRIFT_MANAGEMENT_URLS"),
    ],
)
@pytest.mark.usefixtures("home")
def test_without_a_run_it_says_what_to_give(line: str, message: str) -> None:
    """One line, and exit code 2."""
    code, out, err = _ended(line)
    assert (code, out) == (2, "")
    assert err.startswith(f"drift: {message}")
    assert err.count("\n") == 1

"""``testbed log``: what people type, and what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from testbed.cli import app
from testbed.cli.log import parse_time
from testbed.errors import UsageError
from testbed_domain.logmaintenance import PruneRefusedError
from testbed_domain.logstore import PredictionRow, open_log
from typer.testing import CliRunner

if TYPE_CHECKING:
    from pathlib import Path

ROW = PredictionRow("a", 1000.0, None, "one", "forest", "v1", {"x": 1}, "1", 0.5, {"1": 0.5})


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a log of one prediction, long ago."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TESTBED_LOG_URL", raising=False)
    monkeypatch.setenv("TESTBED_HOME", str(tmp_path))
    with open_log(f"sqlite:///{tmp_path / 'prediction-log.db'}") as log:
        log.append([ROW])
        log.append_labels([("a", "1", 2000.0)])
    return tmp_path


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["log", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_stats_export_prune(home: Path) -> None:
    """The default log is that of serve; a dry run deletes nothing."""
    assert "forest v1" in _run("stats")
    assert "1 (100%)" in _run("stats")
    assert "1 predictions" in _run("export", str(home / "all.parquet"))
    assert "0 predictions" in _run("export", str(home / "new.parquet"), "--since", "7d")
    assert "1 predictions" in _run("export", str(home / "old.parquet"), "--until", "1971-01-01")
    dry = _run("prune", "--older-than", "1d", "--dry-run")
    assert "would delete 1 predictions; of 1, so it needs --more-than-half" in dry
    with pytest.raises(PruneRefusedError, match="check the clock"):
        _run("prune", "--older-than", "1d")
    assert "1 predictions" in _run("stats")
    assert "deleted 1" in _run("prune", "--older-than", "1d", "--more-than-half")
    assert "deleted 0" in _run("prune", "--older-than", "1d")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-02", 86_400.0),
        ("1970-01-01T00:01:00", 60.0),
        ("1970-01-01T01:00:00+01:00", 0.0),
        ("2h", 2_800.0),
    ],
)
def test_times(text: str, seconds: float) -> None:
    """A date, a time with and without offset, and an age before now."""
    assert parse_time(text, 10_000.0) == seconds


def test_what_is_no_time_is_refused() -> None:
    """The error shows how to write one."""
    with pytest.raises(UsageError, match="2026-01-31"):
        parse_time("yesterday", 0.0)


def test_only_one_log_at_a_time(home: Path) -> None:
    """A URL and a run contradict each other."""
    del home
    with pytest.raises(UsageError, match="not both"):
        _run("stats", "--log-url", "sqlite:///x.db", "--run", "y")

"""``testbed settings`` and ``testbed clean``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rich.console import ConsoleDimensions
from testbed.cli import app
from typer.testing import CliRunner, Result

from testbed import console

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "correct-horse"  # noqa: S105 - the test looks for it in the output
pytestmark = pytest.mark.usefixtures("place")


def test_settings_hide_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Effective settings can be shown to others."""
    monkeypatch.setenv("TESTBED_LOG_URL", f"postgresql://u:{PASSWORD}@db/log")
    monkeypatch.setenv("TESTBED_SMTP_PASSWORD", PASSWORD)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"key={PASSWORD}")
    monkeypatch.setattr(console.out, "size", ConsoleDimensions(200, 50))
    shown = CliRunner().invoke(app, ["settings"])
    assert shown.exit_code == 0
    assert "postgresql://u:***@db/log" in shown.output
    assert PASSWORD not in shown.output


def test_clean_removes_only_what_is_old_enough(tmp_path: Path) -> None:
    """Age decides, and a dry run removes nothing."""
    run = tmp_path / "home" / "runs" / "one"
    run.mkdir(parents=True)
    assert _clean("1h").exit_code == 0
    assert run.exists()
    assert "would remove" in _clean("0h", "--dry-run").output
    assert run.exists()
    assert _clean("0h").exit_code == 0
    assert not run.exists()


def test_clean_says_how_much_and_what_stays(tmp_path: Path) -> None:
    """Also where nothing goes: silence would leave open whether it looked."""
    runs = tmp_path / "home" / "runs"
    for name, size in (("one", 2_000_000), ("two", 500_000)):
        (runs / name).mkdir(parents=True)
        (runs / name / "data").write_bytes(bytes(size))
    said = _clean("7d", "--dry-run").stderr
    assert "0 folders, 0.0 MB, would be removed" in said
    assert "2 newer ones stay" in said
    assert "2 folders, 2.5 MB, would be removed" in _clean("0h", "--dry-run").stderr
    assert "2 folders, 2.5 MB, removed" in _clean("0h").stderr


def test_shell_shows_what_runs_ignore(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside what reaches the components."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    monkeypatch.setattr(console.out, "size", ConsoleDimensions(200, 50))
    lines = CliRunner().invoke(app, ["settings"]).output.splitlines()
    of = {line.split()[0]: line for line in lines if line.startswith("OTEL_")}
    assert "run and up ignore it" in of["OTEL_SDK_DISABLED"]
    assert "traced" in of["OTEL_TRACES_SAMPLER_ARG"]


def _clean(age: str, *options: str) -> Result:
    return CliRunner().invoke(app, ["clean", "--older-than", age, *options])

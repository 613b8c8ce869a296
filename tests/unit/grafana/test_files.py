"""Dashboards are written and checked by one command."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from testbed_grafana.__main__ import main
from testbed_grafana.files import documents, render

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_output_is_deterministic() -> None:
    """Two renderings are the same text, and it is JSON."""
    first, second = render(), render()
    assert first == second
    assert json.loads(first["ml-api-monitoring.json"])["title"] == "ML API Monitoring"


def test_documents_hold_what_the_files_hold() -> None:
    """The quick way to what a dashboard holds gives the same as its file."""
    assert documents() == {name: json.loads(text) for name, text in render().items()}


def test_write_then_check(tmp_path: Path) -> None:
    """What was written passes the check."""
    folder = tmp_path / "dashboards"
    assert main(["--folder", str(folder)]) == 0
    assert sorted(path.name for path in folder.iterdir()) == sorted(render())
    assert main(["--check", "--folder", str(folder)]) == 0


def test_check_names_a_changed_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that was edited by hand fails the check, which says what to run."""
    main(["--folder", str(tmp_path)])
    path = tmp_path / "ml-api-monitoring.json"
    path.write_text(path.read_text().replace("API Status", "Status"))
    assert main(["--check", "--folder", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert "ml-api-monitoring.json" in error
    assert "python -m testbed_grafana" in error


def test_check_finds_a_missing_file(tmp_path: Path) -> None:
    """The check writes nothing, so a missing file stays missing and fails it."""
    assert main(["--check", "--folder", str(tmp_path)]) == 1
    assert not list(tmp_path.iterdir())

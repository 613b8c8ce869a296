"""The report in a real browser: its scripts may run, and draw."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from testbed.report import write_report

from tests.browser import width_needed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.report.conftest import FinishedRun


@pytest.mark.slow
def test_a_browser_draws_the_figure_and_runs_nothing_else(
    finished: FinishedRun, tmp_path: Path, program: Callable[..., str]
) -> None:
    """The security policy lets the report's own scripts through; the figure gets its height."""
    browser = program("chromium", "google-chrome")
    report = write_report(finished.layout, finished.verdict, finished.evidence)
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000")
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    done = subprocess.run(
        [browser, *options, profile, "--dump-dom", report.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    drawn = re.search(r'<div id="figure"[^>]*style="height: (\d+)px', done.stdout)
    assert drawn is not None
    assert int(drawn[1]) > 500
    assert '<svg class="main-svg"' in done.stdout
    assert "status 200" in done.stdout
    assert "<img" not in done.stdout


@pytest.mark.slow
def test_the_page_fits_a_phone(
    finished: FinishedRun, tmp_path: Path, program: Callable[..., str]
) -> None:
    """At 420 pixels nothing stands beyond the edge: rows of tables are blocks of named lines."""
    report = write_report(finished.layout, finished.verdict, finished.evidence)
    browser = program("chromium", "google-chrome")
    assert width_needed(browser, report, tmp_path / "phone", 420) <= 420

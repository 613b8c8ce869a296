"""Which test follows which page of the documentation: none is left out in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

REPOSITORY: Final = Path(__file__).parents[2]
PAGES: Final = REPOSITORY / "docs"
COPIED: Final = {
    "how-to/bring-your-own.md": "stack/test_verdicts.py::test_a_file_drifts_when_shifted",
    "how-to/compare-months.md": "jobs/test_flow.py",
    "how-to/compare-tables.md": "jobs/test_drift_tables.py::test_the_page_shows_what_is_printed",
    "how-to/console.md": "stack/test_lifecycle.py::test_up_status_logs_down",
    "how-to/drift-from-cron.md": "jobs/test_pages.py::test_drift_from_cron",
    "how-to/drift-groups.md": "jobs/test_drift_panels.py",
    "how-to/drift-windows.md": "unit/drift/test_windowscheduler.py::test_the_windows_of_the_page",
    "how-to/email.md": "unit/runner/test_settings.py::test_the_page_on_mail_sets_a_server",
    "how-to/faults.md": "stack/test_faults.py",
    "how-to/measure-capacity.md": "stack/test_measuring.py",
    "how-to/measure-overhead.md": "stack/test_measuring.py",
    "how-to/model-quality.md": "jobs/test_retraining.py",
    "how-to/more-load.md": "stack/test_load_workers.py",
    "how-to/own-model.md": "unit/runner/test_own_model.py",
    "how-to/own-routes.md": "stack/test_own_routes.py",
    "how-to/own-service.md": "stack/test_own_service.py",
    "how-to/read-a-drift-report.md": "jobs/test_pages.py::test_read_a_drift_report",
    "how-to/read-a-verdict.md": "stack/test_tutorial.py",
    "how-to/record-and-report.md": "config/test_docs.py::test_the_python_examples_run",
    "how-to/relations.md": "unit/drift/test_relations.py",
    "how-to/retrain.md": "jobs/test_retraining.py",
    "how-to/serve-alone.md": "jobs/test_pages.py::test_serve_alone",
    "how-to/test-with-pytest.md": "unit/verdict/test_pytest_plugin.py",
    "how-to/track-with-mlflow.md": "jobs/test_tracking.py",
    "how-to/use-cases.md": "stack/test_regression.py",
    "how-to/write-rules.md": "jobs/test_pages.py::test_write_rules",
    "tutorial.md": "stack/test_tutorial.py",
}
"""Page to the test that copies its commands, programs or settings from it, or most of them."""
ELSEWHERE: Final = {
    "how-to/compose.md": "an engine and images are needed: tools/compose-test plays that stack",
}


def test_every_page_is_followed_by_a_test() -> None:
    """A new page says which test follows it, or why none does."""
    listed = [*COPIED, *ELSEWHERE]
    pages = sorted(
        str(path.relative_to(PAGES)) for path in (*PAGES.glob("how-to/*.md"), PAGES / "tutorial.md")
    )
    assert sorted(listed) == pages


@pytest.mark.parametrize("where", sorted(set(COPIED.values())))
def test_the_tests_are_there(where: str) -> None:
    """By file and name."""
    file, _, name = where.partition("::")
    path = REPOSITORY / "tests" / file
    assert path.is_file()
    assert not name or f"def {name}(" in path.read_text(encoding="utf-8")

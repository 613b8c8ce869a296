"""In which order the files of tests come, and what is done once more where it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from pathlib import Path

FOLDERS: Final = ("stack", "jobs")
"""Those that start real processes, in their order; all others are quick, and come last."""
LONGEST: Final = (
    *("scenarios", "verdicts", "selftest", "attached", "robustness", "demo", "lifecycle"),
    *("tutorial", "own_service", "pytest_plugin", "replica_runs", "wheels", "faults", "regression"),
    *("own_routes", "load_workers", "locust", "measuring"),
    *("flow", "pages", "drift_job", "tracking", "evidently_ui"),
)
"""The files that take longest, the longest first; CONTRIBUTING.md says of their tests why."""


def order(items: list[pytest.Item], tests: Path) -> None:
    """Sort the tests by their files, and mark those that start real processes.

    Where several files run at a time, no worker is left with a long one at the end. What fails of
    those tests is done once more (docs/decisions/0016): they go by real time, and a machine that
    stands still for seconds can make any of them fail. Each is named at the end (``rerun``).

    Args:
        items: that were collected; sorted in place.
        tests: the folder of all tests.
    """
    for item in items:
        if _folder(item, tests) < len(FOLDERS):
            item.add_marker(pytest.mark.stack)
            item.add_marker(pytest.mark.flaky(reruns=1))
    items.sort(key=lambda item: _place(item, tests))


def _folder(item: pytest.Item, tests: Path) -> int:
    name = item.path.relative_to(tests).parts[0] if item.path.is_relative_to(tests) else ""
    return FOLDERS.index(name) if name in FOLDERS else len(FOLDERS)


def _place(item: pytest.Item, tests: Path) -> tuple[int, int]:
    folder, name = _folder(item, tests), item.path.stem.removeprefix("test_")
    long = folder < len(FOLDERS) and name in LONGEST
    return folder, LONGEST.index(name) if long else len(LONGEST)

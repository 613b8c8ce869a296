"""The command line within the test's process."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest
from testbed.cli import main
from testbed_domain.endings import guarded

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of one's own to work in."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TESTBED_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TESTBED_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DO_NOT_TRACK", "1")


@pytest.fixture
def line_of(
    place: None,  # noqa: ARG001 - needed first
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Callable[..., str]:
    """Runs a command that can't run; its last line, before which only progress is."""

    def run(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["testbed", *words])
        assert guarded(main, "testbed") == 2
        shown = capfd.readouterr()
        assert "Traceback" not in shown.err + shown.out
        lines = shown.err.splitlines()
        assert [line for line in lines if line.startswith("testbed: ")] == lines[-1:]
        return lines[-1]

    return run

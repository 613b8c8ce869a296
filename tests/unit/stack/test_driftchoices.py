"""What a caller chooses of the drift job in a stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.stack.driftchoices import ARTEFACTS, CHOICES, chosen
from testbed_drift.settings import ENV_PREFIX, DriftSettings

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_segments_and_versions_reach_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is set passes, an empty variable and all others don't; a folder becomes absolute."""
    monkeypatch.chdir(tmp_path)
    callers = {
        "TESTBED_DRIFT_SEGMENT": "Age",
        "TESTBED_DRIFT_VERSIONS": "",
        "TESTBED_DRIFT_HTML": "never",
        "TESTBED_DRIFT_INTERVAL": "1",
        ARTEFACTS: "models",
    }
    assert chosen(callers) == {
        "TESTBED_DRIFT_SEGMENT": "Age",
        "TESTBED_DRIFT_HTML": "never",
        ARTEFACTS: str(tmp_path / "models"),
    }


def test_choices_are_settings_of_the_job() -> None:
    """A renamed setting can't be left behind."""
    fields = {f"{ENV_PREFIX}{name.upper()}" for name in DriftSettings.model_fields}
    assert {*CHOICES, ARTEFACTS} <= fields

"""``testbed drift``: the drift job's own commands, which here know the latest run and the home."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import typer
from testbed_drift.cli import app
from testbed_drift.cli.surroundings import Surroundings
from testbed_drift.settings import DriftSettingsError
from typing_extensions import override

from testbed.cli.common import management_token
from testbed.cli.live import find_run
from testbed.errors import UsageError
from testbed.layout import RunLayout
from testbed.settings import load_settings


class LatestRun(Surroundings):
    """What a command takes where nobody says it: log and model of the latest run, the home."""

    endpoint = "none"

    @override
    def settings(self, missing: Collection[str]) -> Mapping[str, object]:
        settings = load_settings()
        found: dict[str, object] = {"output": settings.home / "drift"}
        token = management_token(settings.home)
        if token.exists():
            found["management_token_file"] = token
        if settings.log_url is not None:
            found["log_url"] = settings.log_url
        needed = {"log_url", "artefact"} & set(missing) - found.keys()
        if needed:
            latest = _run_holding("run.json", "log could be watched; give --log-url and --artefact")
            found = {
                "log_url": f"sqlite:///{latest.prediction_log}",
                "artefact": latest.model,
            } | found
        return {name: value for name, value in found.items() if name in missing}

    @override
    def references(self) -> Path:
        return load_settings().references

    @override
    def workspace(self, given: Path | None) -> Path:
        found = given or _run_holding("workspace", "workspace could be shown").workspace
        if not found.is_dir():
            raise DriftSettingsError(
                f"there is no workspace {found}; set TESTBED_DRIFT_WORKSPACE for the job"
            )
        return found


def _run_holding(file: str, what: str) -> RunLayout:
    try:
        return find_run(load_settings(), None, file)
    except UsageError as error:
        raise DriftSettingsError(f"there is no run whose {what}") from error


def register(commands: typer.Typer) -> None:
    """Add the group."""
    commands.add_typer(app, name="drift", context_settings={"obj": LatestRun()})

"""What a command takes where neither an option nor a variable says it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from testbed_drift.settings import ENV_PREFIX, DriftSettings, DriftSettingsError, read_settings

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import typer

REFERENCES: Final = "TESTBED_DRIFT_REFERENCES"
ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"


class Surroundings:
    """Those of the job alone: there is nothing but its options and variables.

    Whoever mounts the commands gives them another one as the object of their context.
    """

    endpoint: str | None = None
    """OTLP endpoint; None lets the variables of OpenTelemetry say it."""

    def settings(self, missing: Collection[str]) -> Mapping[str, Any]:
        """Settings that nobody has given.

        Args:
            missing: those without an option and without a variable.
        """
        del missing
        return {}

    def references(self) -> Path:
        """Folder of the stored references."""
        return Path("references")

    def workspace(self, given: Path | None) -> Path:
        """Evidently workspace to show.

        Args:
            given: the option's, or None.

        Raises:
            DriftSettingsError: there is none.
        """
        if given is None:
            raise DriftSettingsError("the workspace is not set: give --workspace")
        return given


def surroundings(context: typer.Context) -> Surroundings:
    """The surroundings of a command."""
    found = context.find_object(Surroundings)
    return found or Surroundings()


def settings_of(context: typer.Context, given: Mapping[str, Any]) -> DriftSettings:
    """Settings from options, then variables, then the surroundings.

    Raises:
        DriftSettingsError: one is missing or can't be used.
    """
    missing = {
        name
        for name in DriftSettings.model_fields
        if name not in given and not os.environ.get(f"{ENV_PREFIX}{name.upper()}")
    }
    return read_settings(**{**surroundings(context).settings(missing), **given})


def artefact_of(context: typer.Context, given: Path | None) -> Path:
    """Folder of the model: the option's, the variable's, that of the surroundings.

    Raises:
        DriftSettingsError: nothing says it.
    """
    named = given or os.environ.get(f"{ENV_PREFIX}ARTEFACT")
    named = named or surroundings(context).settings({"artefact"}).get("artefact")
    if not named:
        raise DriftSettingsError(f"the model is not set: give --artefact, or {ENV_PREFIX}ARTEFACT")
    return Path(named)


def store_of(context: typer.Context, given: Path | None) -> Path:
    """Folder of the stored references: the option's, the variable's, that of the surroundings."""
    named = given or os.environ.get(REFERENCES)
    return Path(named) if named else surroundings(context).references()


def endpoint_of(context: typer.Context, given: str | None) -> str | None:
    """OTLP endpoint: the option's, the variable's, that of the surroundings."""
    return given or os.environ.get(ENDPOINT) or surroundings(context).endpoint

"""``retrain`` and ``ui``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from testbed_drift.cli.bundles import settings_options, taking
from testbed_drift.cli.ending import EXIT_NO_ACTION, ends, write
from testbed_drift.cli.surroundings import settings_of, surroundings
from testbed_drift.settings import ENV_PREFIX, DriftSettingsError


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(ends(retrain))
    app.command()(ends(ui))


@taking(settings=settings_options("current_window", "reference_window", "textfile"))
def retrain(context: typer.Context, *, settings: dict[str, Any]) -> int:
    """Train a challenger on the log's newest labelled rows, and promote it where it is better.

    Prints the result as JSON. It is registered at the management ports of the API.

    Examples:

      testbed drift retrain --management-urls http://127.0.0.1:9464
    """
    from testbed_drift.retraining.training import RetrainingFailedError
    from testbed_drift.retraining.training import retrain as train

    chosen = settings_of(context, settings)
    if not chosen.management:
        raise DriftSettingsError(
            f"{ENV_PREFIX}MANAGEMENT_URLS is not set: say where to register a challenger"
        )
    found = train(chosen)
    write(json.dumps(found.to_dict(), allow_nan=False))
    if found.outcome == "failed":
        raise RetrainingFailedError(f"retraining failed: {found.message}")
    return EXIT_NO_ACTION


def ui(
    context: typer.Context,
    *,
    workspace: Annotated[
        Path | None, typer.Option(help="Evidently workspace; default: that of the latest `up`.")
    ] = None,
    host: Annotated[
        str,
        typer.Option(help="Address to listen on; a client that reaches it may change and delete."),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8085,
    names: Annotated[
        str,
        typer.Option(
            help="Host names by which it may be asked, with commas between; IP addresses and "
            "localhost always may."
        ),
    ] = "",
) -> int:
    """Show runs of the drift job in Evidently's UI, until Ctrl-C.

    Examples:

      testbed drift ui

      testbed drift ui --workspace my-workspace --port 8090
    """
    folder = surroundings(context).workspace(workspace)
    from testbed_drift.storage.ui import serve

    serve(folder, host, port, names)
    return EXIT_NO_ACTION

"""``testbed drift``: the drift job alone."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from testbed.layout import RunLayout
from testbed.settings import load_settings

app = typer.Typer(
    help="Run the Evidently drift job, once or periodically. Exit codes of `run`: 0 NO_ACTION, "
    "1 ALERT or RETRAIN, 2 could not run.",
    no_args_is_help=True,
)
LogOption = Annotated[
    str | None, typer.Option("--log-url", help="Prediction log; default: the latest run's.")
]
ArtefactOption = Annotated[
    Path | None, typer.Option("--artefact", help="Model artefact; default: the latest run's.")
]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="Folder of the reports; default: the run's.")
]
EndpointOption = Annotated[
    str, typer.Option("--otlp-endpoint", help="Base URL of an OTLP/HTTP receiver, or none.")
]


def _exec(
    arguments: list[str],
    log_url: str | None,
    artefact: Path | None,
    folder: Path | None,
    endpoint: str,
    extra: dict[str, str],
) -> None:
    """Become the job: signals reach it, and its exit code is ours."""
    from testbed.cli.live import find_run  # noqa: PLC0415 - avoids a cycle at import

    settings = load_settings()
    log_url = log_url or settings.log_url
    layout: RunLayout | None = None
    if log_url is None or artefact is None or folder is None:
        layout = find_run(settings, None)
    environment = dict(os.environ) | extra
    environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
    if layout is not None:
        environment["TESTBED_DRIFT_LOG_URL"] = f"sqlite:///{layout.prediction_log}"
        environment["TESTBED_DRIFT_ARTEFACT"] = str(layout.model)
        environment["TESTBED_DRIFT_OUTPUT"] = str(layout.drift)
    if log_url is not None:
        environment["TESTBED_DRIFT_LOG_URL"] = log_url
    if artefact is not None:
        environment["TESTBED_DRIFT_ARTEFACT"] = str(artefact.resolve())
    if folder is not None:
        environment["TESTBED_DRIFT_OUTPUT"] = str(folder.resolve())
    command = [sys.executable, "-m", "testbed_drift", *arguments]
    sys.stdout.flush()
    os.execve(sys.executable, command, environment)  # noqa: S606 - this interpreter, our own module


@app.command()
def run(
    *,
    log_url: LogOption = None,
    artefact: ArtefactOption = None,
    folder: OutOption = None,
    otlp_endpoint: EndpointOption = "none",
    reference_window: Annotated[
        str | None,
        typer.Option(help="START/END of a reference in the log; default: the training reference."),
    ] = None,
    current_window: Annotated[
        str | None, typer.Option(help="START/END of the current window; default: the newest rows.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare two windows once and print the decision.

    Examples:

      testbed drift run

      testbed drift run --reference-window 2024-01-01/2024-01-31 --current-window \
2024-02-01/2024-02-29
    """
    arguments = ["run"]
    if reference_window:
        arguments += ["--reference-window", reference_window]
    if current_window:
        arguments += ["--current-window", current_window]
    if as_json:
        arguments.append("--json")
    _exec(arguments, log_url, artefact, folder, otlp_endpoint, {})


@app.command()
def watch(
    *,
    log_url: LogOption = None,
    artefact: ArtefactOption = None,
    folder: OutOption = None,
    otlp_endpoint: EndpointOption = "none",
    interval: Annotated[float, typer.Option(min=1, help="Seconds between runs.")] = 300.0,
    window: Annotated[float, typer.Option(min=1, help="Seconds of the current window.")] = 900.0,
) -> None:
    """Compare the newest window with the reference again and again, until Ctrl-C.

    Examples:

      testbed drift watch --interval 60 --otlp-endpoint http://127.0.0.1:4318
    """
    extra = {"TESTBED_DRIFT_INTERVAL": str(interval), "TESTBED_DRIFT_WINDOW": str(window)}
    _exec(["watch"], log_url, artefact, folder, otlp_endpoint, extra)

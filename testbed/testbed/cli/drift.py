"""``testbed drift``: the drift job alone."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from testbed.cli.common import (
    DecimalOption,
    EncodingOption,
    KindsOption,
    SepOption,
    management_token,
)
from testbed.cli.driftjob import become
from testbed.cli.drifttables import (
    ColumnsOption,
    CurrentOption,
    CurrentQueryOption,
    CurrentUrlOption,
    HeldTaskOption,
    PositiveOption,
    PredictionOption,
    ProbabilityOption,
    ReferenceOption,
    ReferenceQueryOption,
    ReferenceUrlOption,
    StoreOption,
    TargetOption,
    references,
    store_words,
    words,
)
from testbed.cli.live import find_run
from testbed.errors import UsageError
from testbed.layout import RunLayout
from testbed.settings import Settings, load_settings

app = typer.Typer(
    help="Run the Evidently drift job, once or periodically. Exit codes of `run`: 0 NO_ACTION, "
    "1 ALERT or RETRAIN, 2 could not run.",
    no_args_is_help=True,
)
app.add_typer(references, name="reference")
LogOption = Annotated[
    str | None, typer.Option("--log-url", help="Prediction log; default: the latest run's.")
]
ArtefactOption = Annotated[
    Path | None, typer.Option("--artefact", help="Model artefact; default: the latest run's.")
]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="Folder of the reports; default: .testbed/drift.")
]
EndpointOption = Annotated[
    str | None,
    typer.Option("--otlp-endpoint", help="Base URL of an OTLP/HTTP receiver; default: none."),
]


@dataclass(frozen=True, slots=True)
class Job:
    """What the two commands share; what is None comes from the environment, then a default."""

    log_url: str | None
    artefact: Path | None
    folder: Path | None
    endpoint: str | None

    def environment(self) -> dict[str, str]:
        """Settings of the job.

        Raises:
            UsageError: there is neither an option nor a run that says what to look at.
        """
        settings = load_settings()
        given = {
            "TESTBED_DRIFT_LOG_URL": self.log_url,
            "TESTBED_DRIFT_ARTEFACT": self.artefact and str(self.artefact.resolve()),
            "TESTBED_DRIFT_OUTPUT": self.folder and str(self.folder.resolve()),
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.endpoint,
        }
        environment = dict(os.environ) | {name: value for name, value in given.items() if value}
        environment.setdefault("OTEL_EXPORTER_OTLP_ENDPOINT", "none")
        environment.setdefault("TESTBED_DRIFT_OUTPUT", str((settings.home / "drift").resolve()))
        token = management_token(settings.home)
        if token.exists():
            environment.setdefault("TESTBED_DRIFT_MANAGEMENT_TOKEN_FILE", str(token))
        if settings.log_url is not None:
            environment.setdefault("TESTBED_DRIFT_LOG_URL", settings.log_url)
        if not {"TESTBED_DRIFT_LOG_URL", "TESTBED_DRIFT_ARTEFACT"} <= environment.keys():
            latest = _latest_run(settings)
            environment.setdefault("TESTBED_DRIFT_LOG_URL", f"sqlite:///{latest.prediction_log}")
            environment.setdefault("TESTBED_DRIFT_ARTEFACT", str(latest.model))
        return environment

    def become(self, arguments: list[str], extra: dict[str, str] | None = None) -> None:
        """Become the job: signals reach it, and its exit code is ours."""
        become(arguments, self.environment() | (extra or {}))


def _latest_run(settings: Settings) -> RunLayout:
    try:
        return find_run(settings, None)
    except UsageError as error:
        raise UsageError(
            "there is no run whose log could be watched; give --log-url and --artefact"
        ) from error


@app.command()
def run(
    *,
    reference: ReferenceOption = None,
    current: CurrentOption = None,
    reference_url: ReferenceUrlOption = None,
    reference_query: ReferenceQueryOption = None,
    current_url: CurrentUrlOption = None,
    current_query: CurrentQueryOption = None,
    target: TargetOption = None,
    prediction: PredictionOption = None,
    task: HeldTaskOption = None,
    probability: ProbabilityOption = None,
    positive: PositiveOption = None,
    columns: ColumnsOption = None,
    sep: SepOption = None,
    decimal: DecimalOption = None,
    encoding: EncodingOption = None,
    kinds: KindsOption = None,
    window_rows: Annotated[
        int | None, typer.Option(min=1, help="Rows of a window; of the log with --every.")
    ] = None,
    window: Annotated[
        str | None,
        typer.Option(help="Length of a window: 900, 15m, 6h, 1d, 2w. Of the log: the last one."),
    ] = None,
    every: Annotated[
        str | None,
        typer.Option(
            help="Evaluate every window: rows, or time, from one to the next. Tables: they touch."
        ),
    ] = None,
    time_column: Annotated[
        str | None, typer.Option(help="Column of the rows' times: dates, or Unix times.")
    ] = None,
    segment: Annotated[
        str | None, typer.Option(help="Column whose groups are distinguished.")
    ] = None,
    version_column: Annotated[
        str | None, typer.Option(help="Column of model versions, each with its own results.")
    ] = None,
    min_rows: Annotated[
        int | None, typer.Option(min=1, help="Fewest rows that are evaluated; default: 200.")
    ] = None,
    confirm: Annotated[
        int | None,
        typer.Option(min=1, help="Windows that must ask for action, of the latest --confirm-of."),
    ] = None,
    confirm_of: Annotated[
        int | None, typer.Option(min=1, help="How many of the latest windows count; default: 1.")
    ] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="Thresholds of `testbed drift calibrate`.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Folder of HTML and JSON reports; of tables default: none.")
    ] = None,
    textfile: Annotated[
        Path | None,
        typer.Option(help="File, NAME.prom, of metrics for node_exporter's textfile collector."),
    ] = None,
    store: StoreOption = None,
    log_url: LogOption = None,
    artefact: ArtefactOption = None,
    folder: OutOption = None,
    otlp_endpoint: EndpointOption = None,
    reference_window: Annotated[
        str | None,
        typer.Option(help="START/END of a reference in the log; default: the training reference."),
    ] = None,
    current_window: Annotated[
        str | None,
        typer.Option(help="START/END of the current window; default: the last 15 minutes."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per window.")
    ] = False,
) -> None:
    """Compare two tables, or two windows of the prediction log, and print the decision.

    Tables are files (Parquet, CSV, JSON lines, Feather, ORC, Excel …) or SQL queries.

    Examples:

      testbed drift run

      testbed drift run --reference-window 2024-01-01/2024-01-31 --current-window \
2024-02-01/2024-02-29

      testbed drift run --reference a.parquet --current b.parquet --target y --prediction p --json

      testbed drift run --reference january --current b.csv --time-column t --window 1d --every 1d

      testbed drift run --reference a.csv --current-url postgresql://me@db/shop --current-query \
orders

      testbed drift run --reference january --current b.csv --textfile /var/lib/node_exporter/b.prom
    """
    given = words(
        reference_window=reference_window,
        current_window=current_window,
        window_rows=window_rows,
        window=window,
        every=every,
        segment=segment,
        min_rows=min_rows,
        confirm=confirm,
        confirm_of=confirm_of,
        calibration=calibration and calibration.resolve(),
        report=report and report.resolve(),
        textfile=textfile and textfile.resolve(),
    )
    sides = words(
        reference=reference,
        reference_url=reference_url,
        reference_query=reference_query,
        current=current,
        current_url=current_url,
        current_query=current_query,
    )
    roles = words(
        target=target,
        prediction=prediction,
        task=task,
        probability=probability,
        positive=positive,
        columns=columns,
        sep=sep,
        decimal=decimal,
        encoding=encoding,
        **{"as": kinds},
        time_column=time_column,
        version_column=version_column,
    )
    arguments = ["run", *sides, *roles, *given, *(["--json"] if as_json else [])]
    if sides:
        become([*arguments, *words(otlp_endpoint=otlp_endpoint), *store_words(store)])
    else:
        Job(log_url, artefact, folder, otlp_endpoint).become(arguments)


@app.command()
def calibrate(
    *,
    artefact: ArtefactOption = None,
    reference: ReferenceOption = None,
    reference_url: ReferenceUrlOption = None,
    reference_query: ReferenceQueryOption = None,
    target: TargetOption = None,
    prediction: PredictionOption = None,
    task: HeldTaskOption = None,
    probability: ProbabilityOption = None,
    positive: PositiveOption = None,
    columns: ColumnsOption = None,
    sep: SepOption = None,
    decimal: DecimalOption = None,
    encoding: EncodingOption = None,
    kinds: KindsOption = None,
    output: Annotated[
        Path | None,
        typer.Option(help="File of the thresholds; default: beside the artefact or reference."),
    ] = None,
    rows: Annotated[int, typer.Option(min=50, help="Rows of a window.")] = 1000,
    budget: Annotated[
        float, typer.Option(min=1e-5, max=0.5, help="False positives per window.")
    ] = 0.001,
    shift: Annotated[
        float, typer.Option(min=0.01, help="Shift that matters, in standard deviations.")
    ] = 0.5,
    draws: Annotated[int, typer.Option(min=10, help="Windows drawn without drift.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws.")] = 1,
    store: StoreOption = None,
) -> None:
    """Find thresholds that keep a budget of false positives, and how many rows a window needs.

    They are stored in the artefact, or beside the kept reference, and `run` and `watch` obey them
    from then on.

    Examples:

      testbed drift calibrate --artefact my-model

      testbed drift calibrate --artefact my-model --rows 500 --shift 0.25

      testbed drift calibrate --reference january --rows 500
    """
    given = {"rows": rows, "budget": budget, "shift": shift, "draws": draws, "seed": seed}
    arguments = ["calibrate", *(f"--{name}={value}" for name, value in given.items())]
    arguments += words(output=output and output.resolve())
    table = words(reference=reference, reference_url=reference_url, reference_query=reference_query)
    if table:
        roles = words(
            target=target,
            prediction=prediction,
            task=task,
            probability=probability,
            positive=positive,
            columns=columns,
            sep=sep,
            decimal=decimal,
            encoding=encoding,
            **{"as": kinds},
        )
        become([*arguments, *table, *roles, *store_words(store)])
        return
    environment = dict(os.environ)
    if artefact is not None:
        environment["TESTBED_DRIFT_ARTEFACT"] = str(artefact.resolve())
    elif "TESTBED_DRIFT_ARTEFACT" not in environment:
        environment["TESTBED_DRIFT_ARTEFACT"] = str(_latest_run(load_settings()).model)
    become(arguments, environment)


@app.command()
def retrain(
    *,
    management_urls: Annotated[
        str, typer.Option(help="Management port of each replica of the API, with commas between.")
    ],
    log_url: LogOption = None,
    artefact: ArtefactOption = None,
    folder: OutOption = None,
) -> None:
    """Train a challenger on the log's newest labelled rows, and promote it where it is better.

    Prints the result as JSON. TESTBED_DRIFT_RETRAIN_* say which rows.

    Examples:

      testbed drift retrain --management-urls http://127.0.0.1:9464
    """
    extra = {"TESTBED_DRIFT_MANAGEMENT_URLS": management_urls}
    Job(log_url, artefact, folder, None).become(["retrain"], extra)


@app.command()
def ui(
    *,
    workspace: Annotated[
        Path | None, typer.Option(help="Evidently workspace; default: that of the latest `up`.")
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on loopback.")] = 8085,
) -> None:
    """Show runs of the drift job in Evidently's UI, until Ctrl-C.

    Examples:

      testbed drift ui

      testbed drift ui --workspace my-workspace --port 8090
    """
    folder = workspace or find_run(load_settings(), None, "workspace").workspace
    if not folder.is_dir():
        raise UsageError(f"there is no workspace {folder}; set TESTBED_DRIFT_WORKSPACE for the job")
    become(["ui", "--workspace", str(folder.resolve()), "--port", str(port)])


@app.command()
def watch(
    *,
    log_url: LogOption = None,
    artefact: ArtefactOption = None,
    folder: OutOption = None,
    otlp_endpoint: EndpointOption = None,
    interval: Annotated[
        float | None, typer.Option(min=1, help="Seconds between runs; default: 300.")
    ] = None,
    window: Annotated[
        float | None, typer.Option(min=1, help="Seconds of the current window; default: 900.")
    ] = None,
) -> None:
    """Compare the newest window with the reference again and again, until Ctrl-C.

    Examples:

      testbed drift watch --interval 60 --otlp-endpoint http://127.0.0.1:4318
    """
    given = {"TESTBED_DRIFT_INTERVAL": interval, "TESTBED_DRIFT_WINDOW": window}
    extra = {name: str(value) for name, value in given.items() if value is not None}
    Job(log_url, artefact, folder, otlp_endpoint).become(["watch"], extra)

"""``run`` and ``watch``."""

from __future__ import annotations

import json
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from testbed_domain.errors import DomainError
from testbed_otel.redaction import log_to_stderr

from testbed_drift.cli.bundles import settings_options, table_options, taking
from testbed_drift.cli.ending import (
    EXIT_COULD_NOT_RUN,
    EXIT_NO_ACTION,
    action_code,
    announce,
    ends,
    exit_code,
    finish,
    warn,
    write,
)
from testbed_drift.cli.surroundings import endpoint_of, settings_of, store_of
from testbed_drift.settings import ENV_PREFIX, DriftSettings, DriftSettingsError
from testbed_drift.steps import shown, step
from testbed_drift.stopping import SIGNALS, StopSignal
from testbed_drift.tables.options import TableOptions

if TYPE_CHECKING:
    from testbed_drift.evaluation.results import RunResult
    from testbed_drift.rows.cutting import Cutting

EndpointOption = Annotated[
    str | None,
    typer.Option(
        "--otlp-endpoint", help="Base URL of an OTLP/HTTP receiver; 'none' publishes nothing."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(ends(run))
    app.command()(ends(watch))


@taking(
    tables=table_options(),
    settings=settings_options("interval", "metrics_host", "metrics_port"),
)
def run(
    context: typer.Context,
    *,
    every: Annotated[
        str | None,
        typer.Option(
            help="Evaluate every window: rows, or time, from one to the next. Tables: they touch."
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Folder of HTML and JSON reports; of tables default: none.")
    ] = None,
    otlp_endpoint: EndpointOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per window.")
    ] = False,
    tables: TableOptions,
    settings: dict[str, Any],
) -> int:
    """Compare two tables, or two windows of the prediction log, and print the decision.

    Tables are files (Parquet, CSV, JSON lines, Feather, ORC, Excel …) or SQL queries. Windows are
    so many rows, or as long as 900, 15m, 6h, 1d or 2w.

    A column drifted when a significance test and an effect size both say so. ALERT: from
    --alert-columns or --alert-share on, or when target or predictions drifted, columns drifted
    together, labels show concept drift, or values can't be read. RETRAIN: from --retrain-share on,
    or from --alert-share on with a drifted target or concept drift. Exit code: 0 NO_ACTION, 1 ALERT
    or RETRAIN, 2 could not run.

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
    began = time.time()
    log_to_stderr()
    with shown(_say_step):
        step("loading libraries")
        if tables.of_tables:
            from testbed_drift.cli.tables import TableRequest, run_tables

            options = replace(tables, store=store_of(context, tables.store))
            folder = report or settings.get("output")  # two names of it, as for a log
            request = TableRequest(options, settings, every, folder, otlp_endpoint, began)
            return run_tables(request, as_json=as_json)
        return _run_log(context, tables, settings, every, report, otlp_endpoint, as_json=as_json)


def _say_step(text: str) -> None:
    """To a terminal only: cron sends a mail of whatever a job says there."""
    if sys.stderr.isatty():
        warn(f"{text} …")


def _run_log(
    context: typer.Context,
    tables: TableOptions,
    settings: dict[str, Any],
    every: str | None,
    report: Path | None,
    otlp_endpoint: str | None,
    *,
    as_json: bool,
) -> int:
    """Compare windows of the prediction log."""
    began = time.time()
    endpoint = endpoint_of(context, otlp_endpoint)
    try:
        tables.refuse_for_log()
        cutting = _cutting(settings, every)
        if report:
            settings["output"] = report
        found = settings_of(context, settings)
        if cutting:
            return _walk(found, endpoint, cutting, as_json=as_json)
        return _run(found, endpoint, as_json=as_json)
    except DomainError as error:
        if as_json:  # an error before there is a result is an object, too
            from testbed_drift.evaluation.failures import failed_run

            write(json.dumps(failed_run("unknown", began, time.time(), error).record()))
        raise


def _cutting(settings: dict[str, Any], every: str | None) -> Cutting | None:
    """Windows of the log to evaluate one by one, where ``--every`` is given.

    Takes what it needs out of the settings: the length is that of each, not of the last one.
    """
    if every is None:
        return None
    from testbed_drift.rows.cutting import WindowOptions

    rows, window = settings.pop("window_rows", None), settings.pop("window", None)
    return WindowOptions(rows, window, every).cutting()


def _run(settings: DriftSettings, endpoint: str | None, *, as_json: bool) -> int:
    from testbed_drift.jobs import assembly
    from testbed_drift.publishing.textfile import Textfile

    textfile = Textfile.of(settings.textfile)
    with assembly.claimed_output(settings), assembly.worker_pool(settings) as workers:
        telemetry = assembly.telemetry_of(endpoint)
        job = assembly.watched(settings, telemetry, StopSignal().wait, workers, once=True)
        silent = (lambda _result: None) if as_json else announce
        multi_version_job = assembly.multi_version_job(job, settings, telemetry, silent, workers)
        result = multi_version_job.run_once() if multi_version_job else job.run_once()
        others = multi_version_job.others if multi_version_job else {}
        announce(result, as_json=as_json, others=others)
        finish(telemetry, textfile, [result, *others.values()])
    if result.finding is None or result.unstored:
        return EXIT_COULD_NOT_RUN
    return action_code([result, *others.values()])


def _walk(settings: DriftSettings, endpoint: str | None, cutting: Cutting, *, as_json: bool) -> int:
    from testbed_drift.jobs import assembly
    from testbed_drift.jobs.replay import walk_log
    from testbed_drift.publishing.textfile import Textfile
    from testbed_drift.publishing.windowgroups import together

    results: list[RunResult] = []
    textfile = Textfile.of(settings.textfile)
    with assembly.claimed_output(settings):
        telemetry = assembly.telemetry_of(endpoint)
        job, log = assembly.walked(settings, telemetry, StopSignal().wait)
        groups = assembly.groups(job, telemetry)
        for group, result in walk_log(job, log, cutting, groups.take):
            results.append(result)
            announce(result, as_json=as_json, group=group)
        if settings.segment:
            job.publisher.publish(together(results))
        finish(telemetry, textfile, results)
    return exit_code(results)


@taking(settings=settings_options("current_window", "textfile"))
def watch(
    context: typer.Context,
    *,
    otlp_endpoint: EndpointOption = None,
    settings: dict[str, Any],
) -> int:
    """Compare the newest window with the reference again and again, until Ctrl-C.

    Examples:

      testbed drift watch --interval 1m --window 15m --otlp-endpoint http://127.0.0.1:4318
    """
    log_to_stderr()
    found = settings_of(context, settings)
    if found.current_window:
        raise DriftSettingsError("a current window is fixed: use it with run, not with watch")
    if found.textfile:
        raise DriftSettingsError(
            f"a textfile is of runs that end: watch has {ENV_PREFIX}METRICS_PORT"
        )
    for number in SIGNALS:  # while the imports last there is nothing to finish
        signal.signal(number, lambda _number, _frame: sys.exit(EXIT_NO_ACTION))
    from testbed_drift.jobs import assembly
    from testbed_drift.jobs.preparation import full, import_reports, preparing
    from testbed_drift.jobs.watching import watch as watch_job
    from testbed_drift.publishing.metricspage import serving
    from testbed_drift.storage.renewal import Renewal, requested, start_again

    kept = {found.workspace.name} if found.workspace else set()
    renewal = Renewal(found.output, frozenset(kept))
    with assembly.claimed_output(found), assembly.worker_pool(found) as workers:
        telemetry = assembly.telemetry_of(endpoint_of(context, otlp_endpoint))
        stop = StopSignal()
        job = assembly.watched(found, telemetry, stop.wait, workers)
        multi_version_job = assembly.multi_version_job(job, found, telemetry, announce, workers)
        import_reports(found)
        stop.install()
        with serving(telemetry.registry, found.metrics_host, found.metrics_port):
            chores = stop.interrupting(preparing(job))
            ready = (lambda: full(job)) if found.window_every else None
            watch_job(
                multi_version_job or job,
                found.interval,
                time.time,
                renewal.interrupting(stop.wait),
                announce,
                chores,
                ready,
            )
        finish(telemetry)
        again = requested(found.output) and not stop.wait(0.0)
        if again:
            renewal.put_aside(time.time())
    if again:
        start_again(time.time())
    return EXIT_NO_ACTION

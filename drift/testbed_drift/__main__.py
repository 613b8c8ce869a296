"""``python -m testbed_drift``: exit codes, signals and the wiring of the parts."""

from __future__ import annotations

if __name__ == "__main__":
    # Before all else, so that an interrupt or a full disk while modules load is one line, too.
    import sys
    from importlib import import_module

    from testbed_domain.endings import run as run_guarded

    run_guarded(
        lambda: import_module("testbed_drift.__main__").main(),
        "drift",
        # A job that goes on until it is stopped has done its work, whenever that comes.
        interrupted=0 if sys.argv[1:2] == ["watch"] else 130,
    )

import argparse
import json
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from testbed_domain.endings import guarded
from testbed_domain.errors import DomainError
from testbed_otel.masking import mask
from testbed_otel.redaction import log_to_stderr

from testbed_drift.settings import ENV_PREFIX, DriftSettings, DriftSettingsError, read_settings
from testbed_drift.stopping import SIGNALS, StopSignal
from testbed_drift.tables.command import calibrate_table, exit_code, manage_references, run_tables
from testbed_drift.tables.options import (
    TableOptions,
    add_calibrate_options,
    add_reference_command,
    add_run_options,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from testbed_otel.sdk import Telemetry

    from testbed_drift.evaluation.results import RunResult
    from testbed_drift.publishing.textfile import Textfile
    from testbed_drift.rows.cutting import Cutting
    from testbed_drift.scoring.calibration import Calibration

EXIT_NO_ACTION: Final = 0
EXIT_ACTION: Final = 1
EXIT_COULD_NOT_RUN: Final = 2
EXIT_INTERRUPTED: Final = 130

CALIBRATE_OPTIONS: Final = (
    ("rows", int, "Rows of a window (default 1000)."),
    ("budget", float, "False positives per window (default 0.001)."),
    ("shift", float, "Standard deviations that matter (default 0.5)."),
    ("draws", int, "Windows drawn without drift (default 10000)."),
    ("seed", int, "Seed of the draws (default 1)."),
)
EXAMPLES: Final = """\
examples:
  python -m testbed_drift run --log-url sqlite:////tmp/log.db --artefact model --output reports
  python -m testbed_drift run --reference-window 2024-01-01/2024-01-31 \\
      --current-window 2024-02-01/2024-02-29
  python -m testbed_drift run --reference a.parquet --current b.parquet --target y --prediction p
  python -m testbed_drift watch --interval 60 --window 300
  python -m testbed_drift calibrate --artefact model --rows 500
  python -m testbed_drift reference add january a.parquet --target y --prediction p

exit codes of run: 0 NO_ACTION, 1 ALERT or RETRAIN, 2 could not run (too few rows included)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    began = time.time()
    arguments = vars(_parser().parse_args(argv))
    command, as_json = arguments.pop("command"), arguments.pop("json", False)
    if command == "reference":
        return _guarded(lambda: manage_references(arguments))
    if command == "ui":
        return _guarded(lambda: _ui(**arguments))
    if command == "retrain":
        return _guarded(lambda: _retrain(read_settings(**arguments)))
    tables = TableOptions({} if command == "watch" else arguments)
    if command == "calibrate":
        return _guarded(lambda: _calibrate(arguments, tables))
    log_to_stderr()
    if tables.of_tables:
        return _guarded(lambda: run_tables(tables, arguments, as_json=as_json, began=began))
    endpoint = arguments.pop("otlp_endpoint")

    def play() -> int:
        if command == "watch":
            return _watch(read_settings(**arguments), endpoint)
        cutting = tables.of_log(arguments)
        settings = read_settings(**arguments)
        if cutting:
            return _walk(settings, endpoint, cutting, as_json=as_json)
        return _run(settings, endpoint, as_json=as_json)

    return _guarded(lambda: _reported(play, began) if as_json else play())


def _reported(work: Callable[[], int], began: float) -> int:
    """Do it; an error that ends it before there is a result is an object on standard output."""
    try:
        return work()
    except DomainError as error:
        from testbed_drift.evaluation.failures import failed_run  # noqa: PLC0415 - as in _run

        failed = failed_run("unknown", began, time.time(), error)
        print(json.dumps(failed.record()), flush=True)  # noqa: T201 - a command line's output
        raise


def _guarded(work: Callable[[], int]) -> int:
    def expected() -> int:
        try:
            return work()
        except DomainError as error:
            print(f"drift: {mask(error)}", file=sys.stderr)  # noqa: T201 - a command line speaks so
        return EXIT_COULD_NOT_RUN

    return guarded(expected, "drift", EXIT_INTERRUPTED)


def _run(settings: DriftSettings, endpoint: str | None, *, as_json: bool) -> int:
    # Imported here, as all that takes seconds: --help and a wrong setting should not have to wait,
    # and a signal should already be obeyed.
    from testbed_drift.jobs import assembly  # noqa: PLC0415
    from testbed_drift.publishing.textfile import Textfile  # noqa: PLC0415 - the same

    textfile = Textfile.of(settings.textfile)
    with assembly.claimed_output(settings), assembly.worker_pool(settings) as workers:
        telemetry = assembly.telemetry_of(endpoint)
        job = assembly.watched(settings, telemetry, StopSignal().wait, workers, once=True)
        announce = (lambda _result: None) if as_json else _announce
        fleet = assembly.fleet(job, settings, telemetry, announce, workers)
        result = fleet.run_once() if fleet else job.run_once()
        others = fleet.others if fleet else {}
        _announce(result, as_json=as_json, others=others)
        _finish(telemetry, textfile, [result, *others.values()])
    if result.finding is None:
        return EXIT_COULD_NOT_RUN
    found = [one.finding for one in (result, *others.values()) if one.finding]
    quiet = all(finding.decision.action == "NO_ACTION" for finding in found)
    return EXIT_NO_ACTION if quiet else EXIT_ACTION


def _walk(settings: DriftSettings, endpoint: str | None, cutting: Cutting, *, as_json: bool) -> int:
    from testbed_drift.jobs import assembly  # noqa: PLC0415 - as in _run
    from testbed_drift.jobs.replay import walk_log  # noqa: PLC0415 - the same
    from testbed_drift.publishing.textfile import Textfile  # noqa: PLC0415 - the same
    from testbed_drift.publishing.windowgroups import together  # noqa: PLC0415 - the same

    results: list[RunResult] = []
    textfile = Textfile.of(settings.textfile)
    with assembly.claimed_output(settings):
        telemetry = assembly.telemetry_of(endpoint)
        job = assembly.replay(settings, telemetry, StopSignal().wait)
        groups = assembly.groups(job, telemetry)
        for group, result in walk_log(job, cutting, groups.take):
            results.append(result)
            _announce(result, as_json=as_json, group=group)
        if settings.segment:
            job.publisher.publish(together(results))
        _finish(telemetry, textfile, results)
    return exit_code(results)


def _watch(settings: DriftSettings, endpoint: str | None) -> int:
    if settings.current_window:
        raise DriftSettingsError("a current window is fixed: use it with run, not with watch")
    if settings.textfile:
        raise DriftSettingsError(
            f"a textfile is of runs that end: watch has {ENV_PREFIX}METRICS_PORT"
        )
    for number in SIGNALS:  # while the imports last there is nothing to finish
        signal.signal(number, lambda _number, _frame: sys.exit(EXIT_NO_ACTION))
    from testbed_drift.jobs import assembly  # noqa: PLC0415 - after the signals, as in _run
    from testbed_drift.jobs.job import watch  # noqa: PLC0415 - the same
    from testbed_drift.jobs.preparation import full, import_reports, preparing  # noqa: PLC0415 - the same
    from testbed_drift.publishing.metricspage import serving  # noqa: PLC0415 - the same

    with assembly.claimed_output(settings), assembly.worker_pool(settings) as workers:
        telemetry = assembly.telemetry_of(endpoint)
        stop = StopSignal()
        job = assembly.watched(settings, telemetry, stop.wait, workers)
        fleet = assembly.fleet(job, settings, telemetry, _announce, workers)
        import_reports(settings)
        stop.install()
        with serving(telemetry.registry, settings.metrics_host, settings.metrics_port):
            chores = stop.interrupting(preparing(job))
            ready = (lambda: full(job)) if settings.window_every else None
            watch(fleet or job, settings.interval, time.time, stop.wait, _announce, chores, ready)
        _finish(telemetry)
    return EXIT_NO_ACTION


def _calibrate(arguments: dict[str, Any], tables: TableOptions) -> int:
    from testbed_domain.artefact import load_artefact  # noqa: PLC0415 - as in _run

    from testbed_drift.rows.frames import kinds_of, reference_frame  # noqa: PLC0415 - the same
    from testbed_drift.scoring.calibration import FILE, Plan, calibrate  # noqa: PLC0415 - the same
    from testbed_drift.scoring.scores import DriftRule  # noqa: PLC0415 - the same

    given, output = arguments.pop("artefact"), arguments.pop("output")
    if tables.of_tables:
        found, path = calibrate_table(tables, Plan(**arguments), output)
        return _calibrated(found, path)
    where = given or os.environ.get(f"{ENV_PREFIX}ARTEFACT")
    if not where:
        raise DriftSettingsError("say which model: --artefact, or TESTBED_DRIFT_ARTEFACT")
    artefact, plan = load_artefact(Path(where)), Plan(**arguments)
    kinds = kinds_of(artefact.schema)
    frame = reference_frame(artefact, kinds)
    found = calibrate(frame, kinds, DriftRule(), plan, artefact.version)
    found = replace(found, created=time.time())
    path = Path(output) if output else artefact.path / FILE
    found.save(path)
    return _calibrated(found, path)


def _calibrated(found: Calibration, path: Path) -> int:
    from testbed_drift.scoring.calibration import summary  # noqa: PLC0415 - as in _run

    print(f"{summary(found)}\nWritten to {path}", flush=True)  # noqa: T201 - a command line's output
    return EXIT_NO_ACTION


def _retrain(settings: DriftSettings) -> int:
    from testbed_drift.retraining.training import (  # noqa: PLC0415 - as in _run
        RetrainingFailedError,
        retrain,
    )

    if not settings.management:
        raise DriftSettingsError(f"{ENV_PREFIX}MANAGEMENT_URLS: say where to register a challenger")
    found = retrain(settings)
    print(json.dumps(found.to_dict(), allow_nan=False), flush=True)  # noqa: T201 - for who asked
    if found.outcome == "failed":
        raise RetrainingFailedError(f"retraining failed: {found.message}")
    return EXIT_NO_ACTION


def _ui(workspace: str, host: str, port: int, names: str) -> int:
    from testbed_drift.storage.ui import serve  # noqa: PLC0415 - as in _run

    serve(Path(workspace), host, port, names)
    return EXIT_NO_ACTION


def _announce(
    result: RunResult,
    *,
    as_json: bool = False,
    group: str | None = None,
    others: Mapping[str, RunResult] | None = None,
) -> None:
    """Results go to standard output, everything else to standard error."""
    mark = f"{group}: " if group else ""
    if as_json:
        record = result.record() | ({"group": group} if group else {})
        if others:
            record["versions"] = {version: one.record() for version, one in others.items()}
        print(json.dumps(record, allow_nan=False))  # noqa: T201 - a command line's output
    elif result.finding:
        print(f"{mark}{result.message}", flush=True)  # noqa: T201 - a command line's output
    else:
        line = f"drift: {mark}{result.outcome}: {result.message}"
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - a command line's output
    if result.retraining:
        line = f"drift: retraining: {result.retraining.outcome}: {result.retraining.message}"
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - a command line's output


def _finish(
    telemetry: Telemetry, textfile: Textfile | None = None, results: Sequence[RunResult] = ()
) -> None:
    from testbed_drift.publishing.ending import ending  # noqa: PLC0415 - as in _run

    for failure in ending(telemetry, textfile, evaluated=any(one.finding for one in results)):
        print(f"drift: {mask(failure)}", file=sys.stderr)  # noqa: T201 - a command line's output


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m testbed_drift",
        description="Compares what a model is asked now with what it was trained on. Every option "
        "can also be set as TESTBED_DRIFT_<OPTION>; telemetry by the OTEL_* variables.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="run|watch|calibrate|reference|retrain|ui"
    )
    run = commands.add_parser("run", help="compare once and print the decision")
    run.add_argument("--json", action="store_true", help="print one JSON object instead of a line")
    _add_settings(run, without=("interval", "metrics_host", "metrics_port"))
    add_run_options(run)
    watch = commands.add_parser("watch", help="compare at an interval until stopped")
    _add_settings(watch, without=("current_window", "textfile"))
    retrain = commands.add_parser(
        "retrain", help="train on the log's newest labelled rows; promote what is better"
    )
    _add_settings(
        retrain, without=("current_window", "reference_window", "textfile"), telemetry=False
    )
    ui = commands.add_parser("ui", help="show a workspace in Evidently's UI until stopped")
    ui.add_argument("--workspace", metavar="PATH", required=True, help="Folder of the runs.")
    ui.add_argument("--host", metavar="HOST", default="127.0.0.1", help="Address (127.0.0.1).")
    ui.add_argument("--port", metavar="PORT", type=int, default=8085, help="Port (8085).")
    ui.add_argument(
        "--names",
        metavar="NAMES",
        default="",
        help="Host names by which it may be asked, with commas between; IP addresses and localhost "
        "always may.",
    )
    calibrate = commands.add_parser(
        "calibrate", help="find thresholds that keep a budget of false positives"
    )
    for option, kind, text in CALIBRATE_OPTIONS:
        calibrate.add_argument(
            f"--{option}", type=kind, default=argparse.SUPPRESS, metavar="VALUE", help=text
        )
    for option, text in (("artefact", "Model artefact."), ("output", "File; default: in it.")):
        calibrate.add_argument(f"--{option}", metavar="PATH", help=text)
    add_calibrate_options(calibrate)
    add_reference_command(commands)
    return parser


def _add_settings(
    parser: argparse.ArgumentParser, *, without: tuple[str, ...], telemetry: bool = True
) -> None:
    for name, field in DriftSettings.model_fields.items():
        if name not in without:
            default = "required" if field.is_required() else f"default {field.default}"
            option = f"--{name.replace('_', '-')}"
            parser.add_argument(option, metavar="VALUE", help=f"{field.description} ({default})")
    if telemetry:
        parser.add_argument(
            "--otlp-endpoint", metavar="URL", help="OTLP/HTTP endpoint; 'none' publishes nothing."
        )

"""``python -m testbed_drift``: exit codes, signals and the wiring of the parts."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from testbed_domain.errors import DomainError

from testbed_drift.settings import (
    ENV_PREFIX,
    DriftSettings,
    DriftSettingsError,
    read_settings,
)
from testbed_drift.stopping import SIGNALS, StopSignal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from testbed_domain.artefact import Artefact
    from testbed_otel.sdk import Telemetry

    from testbed_drift.archive import Archive
    from testbed_drift.calibration import Calibration
    from testbed_drift.fleet import Fleet
    from testbed_drift.job import DriftJob, Watched
    from testbed_drift.publishing import Publisher
    from testbed_drift.relations import Analyst
    from testbed_drift.reports import ReportStore
    from testbed_drift.results import RunResult
    from testbed_drift.scores import ColumnKind, Rule
    from testbed_drift.segmentdrift import SegmentScorer

EXIT_NO_ACTION: Final = 0
EXIT_ACTION: Final = 1
EXIT_COULD_NOT_RUN: Final = 2
EXIT_INTERRUPTED: Final = 130

CALIBRATE_OPTIONS: Final = (
    ("rows", int, "Rows of a window (default 1000)."),
    ("budget", float, "False alarms per window (default 0.001)."),
    ("shift", float, "Standard deviations that matter (default 0.5)."),
    ("draws", int, "Windows drawn without drift (default 10000)."),
    ("seed", int, "Seed of the draws (default 1)."),
)
EXAMPLES: Final = """\
examples:
  python -m testbed_drift run --log-url sqlite:////tmp/log.db --artefact model --output reports
  python -m testbed_drift run --reference-window 2024-01-01/2024-01-31 \\
      --current-window 2024-02-01/2024-02-29
  python -m testbed_drift watch --interval 60 --window 300
  python -m testbed_drift calibrate --artefact model --rows 500

exit codes of run: 0 NO_ACTION, 1 ALERT or RETRAIN, 2 could not run (too few rows included)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    arguments = vars(_parser().parse_args(argv))
    command, as_json = arguments.pop("command"), arguments.pop("json", False)
    if command == "calibrate":
        return _guarded(lambda: _calibrate(arguments))
    if command == "ui":
        return _guarded(lambda: _ui(arguments["workspace"], arguments["host"], arguments["port"]))
    if command == "retrain":
        return _guarded(lambda: _retrain(read_settings(**arguments)))
    endpoint = arguments.pop("otlp_endpoint")
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")

    def play() -> int:
        settings = read_settings(**arguments)
        if command == "watch":
            return _watch(settings, endpoint)
        return _run(settings, endpoint, as_json=as_json)

    return _guarded(play)


def _guarded(work: Callable[[], int]) -> int:
    try:
        return work()
    except DomainError as error:
        print(f"drift: {error}", file=sys.stderr)  # noqa: T201 - a command line speaks so
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception:  # noqa: BLE001 - Python would leave with 1, which means drift
        traceback.print_exc()
    return EXIT_COULD_NOT_RUN


def _run(settings: DriftSettings, endpoint: str | None, *, as_json: bool) -> int:
    with _claimed(settings):
        telemetry = _telemetry(endpoint)
        job = _build(settings, telemetry, StopSignal().wait, once=True)
        fleet = _fleet(job, settings, telemetry, quiet=as_json)
        result = fleet.run_once() if fleet else job.run_once()
        others = fleet.others if fleet else {}
        _announce(result, as_json=as_json, others=others)
        _finish(telemetry)
    if result.finding is None:
        return EXIT_COULD_NOT_RUN
    found = [one.finding for one in (result, *others.values()) if one.finding]
    quiet = all(finding.decision.action == "NO_ACTION" for finding in found)
    return EXIT_NO_ACTION if quiet else EXIT_ACTION


def _watch(settings: DriftSettings, endpoint: str | None) -> int:
    if settings.current_window:
        raise DriftSettingsError("a current window is fixed: use it with run, not with watch")
    for number in SIGNALS:  # while the imports last there is nothing to finish
        signal.signal(number, lambda _number, _frame: sys.exit(EXIT_NO_ACTION))
    with _claimed(settings):
        telemetry = _telemetry(endpoint)
        stop = StopSignal()
        job = _build(settings, telemetry, stop.wait)
        fleet = _fleet(job, settings, telemetry)
        from testbed_drift.job import watch  # noqa: PLC0415 - after the signals, as in _build
        from testbed_drift.metricspage import serving  # noqa: PLC0415 - the same

        stop.install()
        with serving(telemetry.registry, settings.metrics_host, settings.metrics_port):
            watch(fleet or job, settings.interval, time.time, stop.wait, _announce)
        _finish(telemetry)
    return EXIT_NO_ACTION


def _claimed(settings: DriftSettings) -> AbstractContextManager[None]:
    from testbed_domain.artefact import load_artefact  # noqa: PLC0415 - as in _build

    from testbed_drift.claim import claimed  # noqa: PLC0415 - the same

    load_artefact(settings.artefact)  # without a model there is nothing to make a directory for
    return claimed(settings.output, settings.lock_wait)


def _calibrate(arguments: dict[str, Any]) -> int:
    from testbed_domain.artefact import load_artefact  # noqa: PLC0415 - as in _build

    from testbed_drift.calibration import FILE, Plan, calibrate, summary  # noqa: PLC0415 - the same
    from testbed_drift.frames import kinds_of, reference_frame  # noqa: PLC0415 - the same
    from testbed_drift.scores import Rule  # noqa: PLC0415 - the same

    where = arguments.pop("artefact") or os.environ.get(f"{ENV_PREFIX}ARTEFACT")
    if not where:
        raise DriftSettingsError("say which model: --artefact, or TESTBED_DRIFT_ARTEFACT")
    output = arguments.pop("output")
    artefact, plan = load_artefact(Path(where)), Plan(**arguments)
    kinds = kinds_of(artefact.schema)
    frame = reference_frame(artefact, kinds)
    found = calibrate(frame, kinds, Rule(), plan, artefact.version)
    found = replace(found, created=time.time())
    path = Path(output) if output else artefact.path / FILE
    found.save(path)
    print(f"{summary(found)}\nWritten to {path}", flush=True)  # noqa: T201 - a command line's output
    return EXIT_NO_ACTION


def _retrain(settings: DriftSettings) -> int:
    from testbed_drift.retraining import retrain  # noqa: PLC0415 - as in _build

    if not settings.management:
        raise DriftSettingsError(f"{ENV_PREFIX}MANAGEMENT_URLS: say where to register a challenger")
    found = retrain(settings)
    print(json.dumps(found.to_dict(), allow_nan=False), flush=True)  # noqa: T201 - for who asked
    return EXIT_NO_ACTION


def _ui(workspace: str, host: str, port: int) -> int:
    from testbed_drift.ui import serve  # noqa: PLC0415 - as in _build

    serve(Path(workspace), host, port)
    return EXIT_NO_ACTION


def _telemetry(endpoint: str | None) -> Telemetry:
    from testbed_otel.names import SERVICE_DRIFT  # noqa: PLC0415 - as in _build
    from testbed_otel.sdk import (  # noqa: PLC0415 - as in _build
        TelemetrySettings,
        TelemetrySettingsError,
        setup,
    )
    from testbed_otel.settings import watch_sdk  # noqa: PLC0415 - the same

    watch_sdk()
    try:
        return setup(SERVICE_DRIFT, TelemetrySettings.from_env(endpoint=endpoint))
    except TelemetrySettingsError as error:
        raise DriftSettingsError(str(error)) from error


def _build(
    settings: DriftSettings,
    telemetry: Telemetry,
    wait: Callable[[float], bool],
    *,
    once: bool = False,
) -> Watched:
    """The job, of whichever model is the champion where the API can be asked."""
    from testbed_drift.management import Management  # noqa: PLC0415 - as in _assemble
    from testbed_drift.succession import Following, find  # noqa: PLC0415 - the same

    management = Management(settings.management)
    root = settings.artefact

    def known() -> list[Path]:
        return [root, *settings.model_store.glob("*-*")]

    def of(path: Path) -> DriftSettings:
        changes = {"artefact": path} | ({} if path == root else {"calibration": None})
        return settings.model_copy(update=changes)

    champion = management.champion()
    job = _assemble(of((champion and find(champion, known())) or root), telemetry, wait, once=once)
    if not settings.management:
        return job
    publisher = job.publisher
    return Following(
        job,
        management.champion,
        known,
        lambda path: _assemble(of(path), telemetry, wait, publisher, once=once),
    )


def _assemble(
    settings: DriftSettings,
    telemetry: Telemetry,
    wait: Callable[[float], bool],
    publisher: Publisher | None = None,
    *,
    once: bool = False,
) -> DriftJob:
    # Imported here: pandas and Evidently take seconds, in which --help and a wrong setting should
    # not have to wait and a signal should already be obeyed.
    from testbed_domain.artefact import load_artefact  # noqa: PLC0415
    from testbed_domain.logstore import open_log  # noqa: PLC0415
    from testbed_otel import names  # noqa: PLC0415

    from testbed_drift.assessment import Assessor  # noqa: PLC0415
    from testbed_drift.detection import Detector  # noqa: PLC0415
    from testbed_drift.frames import kinds_of  # noqa: PLC0415
    from testbed_drift.hook import Hook  # noqa: PLC0415
    from testbed_drift.job import DriftJob  # noqa: PLC0415
    from testbed_drift.memory import Memory  # noqa: PLC0415
    from testbed_drift.publishing import Publisher, remembered  # noqa: PLC0415
    from testbed_drift.reading import WindowLog  # noqa: PLC0415
    from testbed_drift.reports import ReportStore  # noqa: PLC0415
    from testbed_drift.scores import Rule  # noqa: PLC0415
    from testbed_drift.turns import Turns  # noqa: PLC0415
    from testbed_drift.windows import WindowReader  # noqa: PLC0415

    artefact = load_artefact(settings.artefact)
    kinds = kinds_of(artefact.schema)
    calibration = _calibration(settings)
    least, purpose, rule = settings.min_rows, "", Rule()
    if calibration:
        calibration.verify_version(artefact.version)
        least, purpose = max(least, calibration.least_rows), calibration.purpose
        rule = Rule(alphas=calibration.alphas)
        if least > settings.max_rows:
            raise DriftSettingsError(
                f"the calibration needs {least} rows a window, TESTBED_DRIFT_MAX_ROWS are "
                f"{settings.max_rows}: allow more, or calibrate for fewer"
            )
        if "alert_share" not in settings.model_fields_set:
            share = calibration.alert_share
            retrain = max(share, settings.retrain_share)
            settings = settings.model_copy(update={"alert_share": share, "retrain_share": retrain})
    reports = ReportStore(settings.output)
    reports.recover()
    fixed = {names.DRIFT_ROWS_NEEDED: float(least)}
    if calibration and calibration.created:
        fixed[names.CALIBRATION_TIME] = calibration.created
    hook = Hook.of(settings, reports, time.time, wait)
    if publisher:
        publisher.follow(artefact.version, fixed)
    else:
        publisher = Publisher(
            telemetry.meter("testbed_drift"),
            settings.alert_share,
            artefact.version,
            kinds,
            reports,
            fixed,
        )
        if hook and (last := hook.last()):
            publisher.retrained(last, before=True)
    return DriftJob(
        settings=settings,
        reader=WindowReader(artefact.version, kinds, least, settings.max_rows, purpose),
        open_log=lambda: WindowLog(open_log(settings.log_url, create=False), settings.sample_rows),
        detector=Detector(kinds, rule, settings.sample_rows),
        reports=reports,
        publisher=publisher,
        clock=time.time,
        calibration=calibration,
        assessor=Assessor(artefact.schema, kinds, settings.segment, settings.segments),
        once=once,
        memory=Memory.from_dict(remembered(reports.read_state(), artefact.version)),
        hook=hook,
        archive=_archive(settings, artefact.name, reports),
        segments=_segments(settings, kinds, rule),
        analyst=_analyst(settings, artefact, kinds),
        turns=Turns.of(settings, artefact.version),
    )


def _fleet(
    job: Watched, settings: DriftSettings, telemetry: Telemetry, *, quiet: bool = False
) -> Fleet | None:
    """The jobs of further versions beside the one that is set up; None where none is wanted."""
    from testbed_domain.logstore import open_log  # noqa: PLC0415 - as in _build

    from testbed_drift.fleet import Fleet  # noqa: PLC0415 - the same
    from testbed_drift.versionpublishing import VersionPublishers  # noqa: PLC0415 - the same
    from testbed_drift.workers import Workers  # noqa: PLC0415 - the same

    if settings.versions == 1:
        return None
    return Fleet(
        job,
        settings,
        lambda: open_log(settings.log_url, create=False),
        VersionPublishers(telemetry.meter, settings.output),
        time.time,
        (lambda _result: None) if quiet else _announce,
        Workers(settings.workers) if settings.workers > 1 else None,
    )


def _segments(
    settings: DriftSettings, kinds: Mapping[str, ColumnKind], rule: Rule
) -> SegmentScorer | None:
    from testbed_drift.segmentdrift import SegmentScorer  # noqa: PLC0415 - as in _build
    from testbed_drift.workers import Workers  # noqa: PLC0415 - the same

    if settings.segment is None:
        return None
    workers = Workers(settings.workers) if settings.workers > 1 else None
    return SegmentScorer(
        settings.segment, kinds, rule, settings.segment_rows, settings.segments, workers
    )


def _archive(settings: DriftSettings, name: str, reports: ReportStore) -> Archive:
    from testbed_drift.archive import Archive  # noqa: PLC0415 - as in _assemble
    from testbed_drift.retention import Retention  # noqa: PLC0415 - the same

    history = None
    if settings.workspace:
        from testbed_drift.history import History  # noqa: PLC0415 - takes seconds, and only if wanted

        try:
            history = History(settings.workspace, name, settings.alert_share)
        except OSError as error:
            raise DriftSettingsError(f"{ENV_PREFIX}WORKSPACE: {error}") from error
    retention = Retention(settings.keep_runs, settings.keep_days)
    return Archive(settings.output, reports, retention, history)


def _analyst(
    settings: DriftSettings, artefact: Artefact, kinds: Mapping[str, ColumnKind]
) -> Analyst | None:
    from testbed_drift.models import ServedModel  # noqa: PLC0415 - as in _assemble
    from testbed_drift.relations import Analyst  # noqa: PLC0415 - the same

    if not settings.relations_rows:
        return None
    return Analyst(kinds, lambda: ServedModel(artefact), settings.relations_rows)


def _calibration(settings: DriftSettings) -> Calibration | None:
    from testbed_drift.calibration import FILE, Calibration  # noqa: PLC0415 - as in _build

    if settings.reference_window:
        if settings.calibration:
            raise DriftSettingsError("a calibration is of the training reference, not of a window")
        return None
    path = settings.calibration or settings.artefact / FILE
    if settings.calibration is None and not path.exists():
        return None
    return Calibration.load(path)


def _announce(
    result: RunResult, *, as_json: bool = False, others: Mapping[str, RunResult] | None = None
) -> None:
    """Results go to standard output, everything else to standard error."""
    if as_json:
        record = result.record()
        if others:
            record["versions"] = {version: one.record() for version, one in others.items()}
        print(json.dumps(record, allow_nan=False))  # noqa: T201 - a command line's output
    elif result.finding:
        print(result.message, flush=True)  # noqa: T201 - a command line's output
    else:
        line = f"drift: {result.outcome}: {result.message}"
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - a command line's output
    if result.retraining:
        line = f"drift: retraining: {result.retraining.outcome}: {result.retraining.message}"
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - a command line's output


def _finish(telemetry: Telemetry) -> None:
    if not telemetry.shutdown():
        print("drift: the last metrics did not reach the OTLP endpoint", file=sys.stderr)  # noqa: T201 - a command line's output


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m testbed_drift",
        description="Compares what a model is asked now with what it was trained on. Every option "
        "can also be set as TESTBED_DRIFT_<OPTION>; telemetry by the OTEL_* variables.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="run|watch|calibrate|retrain|ui"
    )
    run = commands.add_parser("run", help="compare once and print the decision")
    run.add_argument("--json", action="store_true", help="print one JSON object instead of a line")
    _add_settings(run, without=("interval", "metrics_host", "metrics_port"))
    watch = commands.add_parser("watch", help="compare at an interval until stopped")
    _add_settings(watch, without=("current_window",))
    retrain = commands.add_parser(
        "retrain", help="train on the log's newest labelled rows; promote what is better"
    )
    _add_settings(retrain, without=("current_window", "reference_window"), telemetry=False)
    ui = commands.add_parser("ui", help="show a workspace in Evidently's UI until stopped")
    ui.add_argument("--workspace", metavar="PATH", required=True, help="Folder of the runs.")
    ui.add_argument("--host", metavar="HOST", default="127.0.0.1", help="Address (127.0.0.1).")
    ui.add_argument("--port", metavar="PORT", type=int, default=8085, help="Port (8085).")
    calibrate = commands.add_parser(
        "calibrate", help="find thresholds that keep a budget of false alarms"
    )
    for option, kind, text in CALIBRATE_OPTIONS:
        calibrate.add_argument(
            f"--{option}", type=kind, default=argparse.SUPPRESS, metavar="VALUE", help=text
        )
    for option, text in (("artefact", "Model artefact."), ("output", "File; default: in it.")):
        calibrate.add_argument(f"--{option}", metavar="PATH", help=text)
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


if __name__ == "__main__":
    sys.exit(main())

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
    from collections.abc import Callable, Sequence

    from testbed_otel.sdk import Telemetry

    from testbed_drift.calibration import Calibration
    from testbed_drift.job import DriftJob
    from testbed_drift.results import RunResult
    from testbed_drift.tracking import Tracker

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
    telemetry = _telemetry(endpoint)
    result = _build(settings, telemetry).run_once()
    _announce(result, as_json=as_json)
    _finish(telemetry)
    if result.finding is None:
        return EXIT_COULD_NOT_RUN
    quiet = result.finding.decision.action == "NO_ACTION"
    return EXIT_NO_ACTION if quiet else EXIT_ACTION


def _watch(settings: DriftSettings, endpoint: str | None) -> int:
    if settings.current_window:
        raise DriftSettingsError("a current window is fixed: use it with run, not with watch")
    for number in SIGNALS:  # while the imports last there is nothing to finish
        signal.signal(number, lambda _number, _frame: sys.exit(EXIT_NO_ACTION))
    telemetry = _telemetry(endpoint)
    job = _build(settings, telemetry)
    from testbed_drift.job import watch  # noqa: PLC0415 - after the signals, as in _build
    from testbed_drift.metricspage import serving  # noqa: PLC0415 - the same

    stop = StopSignal()
    stop.install()
    with serving(telemetry.registry, settings.metrics_host, settings.metrics_port):
        watch(job, settings.interval, time.time, stop.wait, _announce)
    _finish(telemetry)
    return EXIT_NO_ACTION


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
    path = Path(output) if output else artefact.path / FILE
    found.save(path)
    print(f"{summary(found)}\nWritten to {path}", flush=True)  # noqa: T201 - a command line's output
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


def _build(settings: DriftSettings, telemetry: Telemetry) -> DriftJob:
    # Imported here: pandas and Evidently take seconds, in which --help and a wrong setting should
    # not have to wait and a signal should already be obeyed.
    from testbed_domain.artefact import load_artefact  # noqa: PLC0415
    from testbed_domain.logstore import open_log  # noqa: PLC0415

    from testbed_drift.assessment import Assessor  # noqa: PLC0415
    from testbed_drift.detection import Detector  # noqa: PLC0415
    from testbed_drift.frames import kinds_of  # noqa: PLC0415
    from testbed_drift.job import DriftJob  # noqa: PLC0415
    from testbed_drift.publishing import Publisher  # noqa: PLC0415
    from testbed_drift.reports import ReportStore  # noqa: PLC0415
    from testbed_drift.scores import Rule  # noqa: PLC0415
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
    return DriftJob(
        settings=settings,
        reader=WindowReader(artefact.version, kinds, least, settings.max_rows, purpose),
        open_log=lambda: open_log(settings.log_url, create=False),
        detector=Detector(kinds, rule, settings.sample_rows),
        reports=reports,
        publisher=Publisher(
            telemetry.meter("testbed_drift"), settings.alert_share, artefact.version, kinds, reports
        ),
        clock=time.time,
        calibration=calibration,
        assessor=Assessor(artefact.schema, kinds, settings.segment),
        tracker=build_tracker(settings, telemetry),
    )


def build_tracker(settings: DriftSettings, telemetry: Telemetry) -> Tracker:
    """Logs runs and challengers to the server of ``MLFLOW_TRACKING_URI``, where that is set."""
    from testbed_drift.tracking import Tracker  # noqa: PLC0415 - as in _build
    from testbed_drift.trackingclient import URI, connect  # noqa: PLC0415 - the same

    chosen = connect if os.environ.get(URI) else None
    return Tracker(chosen, settings, telemetry.meter("testbed_drift"), time.time)


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


def _announce(result: RunResult, *, as_json: bool = False) -> None:
    """Results go to standard output, everything else to standard error."""
    if as_json:
        print(json.dumps(result.record(), allow_nan=False))  # noqa: T201 - a command line's output
    elif result.finding:
        print(result.message, flush=True)  # noqa: T201 - a command line's output
    else:
        line = f"drift: {result.outcome}: {result.message}"
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
    commands = parser.add_subparsers(dest="command", required=True, metavar="run|watch|calibrate")
    run = commands.add_parser("run", help="compare once and print the decision")
    run.add_argument("--json", action="store_true", help="print one JSON object instead of a line")
    _add_settings(run, without=("interval", "metrics_host", "metrics_port"))
    watch = commands.add_parser("watch", help="compare at an interval until stopped")
    _add_settings(watch, without=("current_window",))
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


def _add_settings(parser: argparse.ArgumentParser, *, without: tuple[str, ...]) -> None:
    for name, field in DriftSettings.model_fields.items():
        if name not in without:
            default = "required" if field.is_required() else f"default {field.default}"
            option = f"--{name.replace('_', '-')}"
            parser.add_argument(option, metavar="VALUE", help=f"{field.description} ({default})")
    parser.add_argument(
        "--otlp-endpoint", metavar="URL", help="OTLP/HTTP endpoint; 'none' publishes nothing."
    )


if __name__ == "__main__":
    sys.exit(main())

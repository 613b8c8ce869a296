"""``python -m testbed_drift.flow``: compares months, over Dask, and prints a line for each pair."""

from __future__ import annotations

if __name__ == "__main__":
    # Before all else, so that an interrupt or a full disk while modules load is one line, too.
    from importlib import import_module

    from testbed_domain.endings import run as run_guarded

    run_guarded(
        lambda: import_module("testbed_drift.flow.__main__").main(), "drift", interrupted=130
    )

import argparse
import contextlib
import importlib.util
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from testbed_otel.redaction import log_to_stderr

from testbed_drift.__main__ import (
    EXIT_ACTION,
    EXIT_COULD_NOT_RUN,
    EXIT_NO_ACTION,
    _announce,
    _finish,
    _guarded,
)
from testbed_drift.flow.months import Month, pairs
from testbed_drift.flow.server import API_URL, orchestration
from testbed_drift.settings import ENV_PREFIX, DriftSettings, DriftSettingsError, read_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from testbed_drift.evaluation.results import RunResult
    from testbed_drift.flow.comparison import MonthComparison
    from testbed_drift.flow.play import PlayedFlow

EXIT_TERMINATED: Final = 143
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
EXAMPLES: Final = """\
examples:
  python -m testbed_drift.flow --log-url sqlite:////tmp/log.db --artefact model
  python -m testbed_drift.flow --log-url postgresql+psycopg://db/log --artefact a --artefact b \\
      --month 2024-02 --months 6 --scheduler tcp://scheduler:8786

exit codes: 0 all NO_ACTION, 1 ALERT or RETRAIN somewhere, 2 a comparison could not run
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    arguments = vars(_parser().parse_args(argv))
    log_to_stderr()
    # Not by default, but as an exception, so that server and workers are ended.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(EXIT_TERMINATED))
    return _guarded(lambda: _flow(arguments))


def _flow(arguments: dict[str, Any]) -> int:
    if importlib.util.find_spec("prefect_dask") is None:
        raise DriftSettingsError(
            "Prefect and Dask are not there: use tools/flow, or pip install 'testbed-drift[flow]'"
        )
    work = _work(arguments)
    scheduler, workers = arguments["scheduler"], arguments["workers"]
    if not any(one.settings.segment for one in work):
        workers = min(workers, len(work))
    if scheduler and not os.environ.get(API_URL) and _host(scheduler) not in LOOPBACK:
        raise DriftSettingsError(
            f"workers of {scheduler} can't reach a Prefect server of this process: set {API_URL} "
            "to one that they reach"
        )
    started = time.monotonic()
    with _claimed(work):
        with orchestration():
            from testbed_drift.flow.play import play  # noqa: PLC0415 - reads what was set just now

            played = play(work, workers, scheduler)
        for one in played:
            _announce(one.result, as_json=arguments["json"])
        _publish(work, played, arguments["otlp_endpoint"])
    _summarise(played, time.monotonic() - started)
    return _exit_code([one.result for one in played])


def _work(arguments: dict[str, Any]) -> tuple[MonthComparison, ...]:
    from testbed_domain.artefact import load_artefact  # noqa: PLC0415 - not for --help

    from testbed_drift.flow.comparison import comparisons  # noqa: PLC0415 - the same

    paths = arguments["artefact"] or [os.environ.get(f"{ENV_PREFIX}ARTEFACT")]
    settings = read_settings(
        artefact=paths[0], **{name: arguments[name] for name in ("log_url", "output")}
    )
    last = arguments["month"]
    chosen = Month.parse(last) if last else Month.before(time.time())
    against = Month.parse(arguments["against"]) if arguments["against"] else None
    months = pairs(chosen, arguments["months"], against)
    artefacts = [load_artefact(Path(path).resolve()) for path in paths]
    settings = settings.model_copy(update={"output": settings.output.resolve()})
    return comparisons(settings, artefacts, months)


@contextlib.contextmanager
def _claimed(work: Sequence[MonthComparison]) -> Iterator[None]:
    """The folders of the reports, for this flow alone; its workers write there unasked."""
    from testbed_drift.jobs.assembly import claimed_output  # noqa: PLC0415 - not for --help

    with contextlib.ExitStack() as stack:
        # Always in the same order, so that no two flows wait for each other.
        for _, settings in sorted({one.settings.output: one.settings for one in work}.items()):
            stack.enter_context(claimed_output(settings))
        yield


def _publish(
    work: Sequence[MonthComparison], played: Sequence[PlayedFlow], endpoint: str | None
) -> None:
    """Publish, record and log as the job would have: per model, in the order of the months."""
    from testbed_domain.artefact import load_artefact  # noqa: PLC0415 - not for --help

    from testbed_drift.jobs.assembly import build_tracker, telemetry_of  # noqa: PLC0415 - the same
    from testbed_drift.publishing.gauges import (  # noqa: PLC0415 - the same
        Publisher,
        remembered,
    )
    from testbed_drift.rows.frames import kinds_of  # noqa: PLC0415 - the same
    from testbed_drift.storage.memory import Memory  # noqa: PLC0415 - the same
    from testbed_drift.storage.reports import ReportStore  # noqa: PLC0415 - the same

    models: dict[str, tuple[DriftSettings, list[RunResult]]] = {}
    for one, done in zip(work, played, strict=True):
        models.setdefault(one.model_version, (one.settings, []))[1].append(done.result)
    for version, (settings, results) in models.items():
        # Series of two models would meet in one meter.
        telemetry = telemetry_of(endpoint)
        meter, store = telemetry.meter("testbed_drift"), ReportStore(settings.output)
        kinds = kinds_of(load_artefact(settings.artefact).schema)
        publisher = Publisher(meter, settings.alert_share, version, kinds, store)
        tracker = build_tracker(settings, telemetry)
        # That of a job whose folder it is; months don't change how far it has come.
        memory = Memory.from_dict(remembered(store.read_state(), version))
        for result in results:
            publisher.publish(result, memory)
            store.append_run(result.record())
            tracker.log_run(result)
        _finish(telemetry)


def _summarise(played: Sequence[PlayedFlow], seconds: float) -> None:
    workers = len({worker for one in played for worker in one.workers})
    line = f"flow: {len(played)} comparisons by {workers} workers in {seconds:.1f} s"
    print(line, file=sys.stderr)  # noqa: T201 - a command line's output


def _exit_code(results: Sequence[RunResult]) -> int:
    if any(result.finding is None for result in results):
        return EXIT_COULD_NOT_RUN
    quiet = all(
        result.finding and result.finding.decision.action == "NO_ACTION" for result in results
    )
    return EXIT_NO_ACTION if quiet else EXIT_ACTION


def _host(address: str) -> str | None:
    return urlsplit(address if "//" in address else f"tcp://{address}").hostname


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m testbed_drift.flow",
        description="Compares months of the prediction log, as a Prefect flow over Dask. "
        "Everything else is set as TESTBED_DRIFT_<OPTION>, telemetry by the OTEL_* variables; a "
        f"Prefect server of your own by {API_URL}.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--log-url", metavar="URL", help="Prediction log.")
    add(
        "--artefact", metavar="DIR", action="append", help="Artefact directory; may be given often."
    )
    add("--output", metavar="DIR", help="Directory of the reports (default reports).")
    add("--month", metavar="YYYY-MM", help="Month to evaluate (default: the last whole one).")
    add("--against", metavar="YYYY-MM", help="Month to compare with (default: the one before).")
    add(
        "--months",
        metavar="N",
        type=_positive,
        default=1,
        help="Months to evaluate, up to --month.",
    )
    add(
        "--workers",
        metavar="N",
        type=_positive,
        default=os.cpu_count() or 1,
        help="Worker processes on this machine (default: one per core).",
    )
    add("--scheduler", metavar="ADDRESS", help="Dask scheduler whose workers do it instead.")
    add("--json", action="store_true", help="print one JSON object per comparison")
    add("--otlp-endpoint", metavar="URL", help="OTLP/HTTP endpoint; 'none' publishes nothing.")
    return parser

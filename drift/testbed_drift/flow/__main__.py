"""``python -m testbed_drift.flow``: compares months, over Dask, and prints a line for each pair."""

from __future__ import annotations

if __name__ == "__main__":
    # Before all else, so that an interrupt or a full disk while modules load is one line, too.
    from importlib import import_module

    from testbed_domain.endings import run as run_guarded

    run_guarded(
        lambda: import_module("testbed_drift.flow.__main__").main(), "drift", interrupted=130
    )

import contextlib
import importlib.util
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

import typer
from testbed_otel.redaction import log_to_stderr

from testbed_drift.cli.ending import (
    EXIT_COULD_NOT_RUN,
    action_code,
    announce,
    ends,
    exit_code_of,
    finish,
    write,
)
from testbed_drift.cli.jobs import EndpointOption
from testbed_drift.flow.months import Month, pairs
from testbed_drift.flow.server import API_URL, orchestration
from testbed_drift.settings import ENV_PREFIX, DriftSettings, DriftSettingsError, read_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from testbed_drift.evaluation.results import RunFinding, RunResult
    from testbed_drift.flow.comparison import MonthComparison
    from testbed_drift.flow.play import PlayedFlow

EXIT_TERMINATED: Final = 143
REPORT_DIR: Final = "REPORT_DIR"
"""Variable that names the folder in other systems' flows of months."""
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")

app = typer.Typer(
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    Args:
        argv: the words behind the program's name; None takes those of this process.
    """
    return exit_code_of(app, "python -m testbed_drift.flow", argv)


@dataclass(frozen=True, slots=True)
class WantedMonths:
    """What is compared.

    Attributes:
        log_url: prediction log, or None.
        artefacts: folders of the models.
        output: folder of the reports, or None.
        month: the last one, or None.
        against: compared with, or None.
        months: how many.
    """

    log_url: str | None
    artefacts: Sequence[Path]
    output: Path | None
    month: str | None
    against: str | None
    months: int


@app.command(
    epilog="Exit codes: 0 all NO_ACTION, 1 ALERT or RETRAIN somewhere, 2 a comparison could not "
    "run. Everything else is set as TESTBED_DRIFT_<OPTION>, telemetry by the OTEL_* variables, a "
    "Prefect server of your own by PREFECT_API_URL."
)
@ends
def compare(
    *,
    log_url: Annotated[str | None, typer.Option(help="Prediction log.")] = None,
    artefact: Annotated[
        list[Path] | None, typer.Option(help="Artefact directory; may be given often.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help=f"Directory of the reports; default: {ENV_PREFIX}OUTPUT, else {REPORT_DIR}, else "
            "reports."
        ),
    ] = None,
    evidently_line: Annotated[
        bool,
        typer.Option(
            "--evidently-line",
            help="Print the line `[Evidently] report_html=… -> DECISION …` of each comparison.",
        ),
    ] = False,
    month: Annotated[
        str | None,
        typer.Option(metavar="YYYY-MM", help="Month to evaluate; default: the last whole one."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="YYYY-MM", help="Month to compare with; default: the one before."),
    ] = None,
    months: Annotated[int, typer.Option(min=1, help="Months to evaluate, up to --month.")] = 1,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Worker processes on this machine; default: one per core."),
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Dask scheduler whose workers do it instead.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per comparison.")
    ] = False,
    otlp_endpoint: EndpointOption = None,
) -> int:
    """Compare months of the prediction log, as a Prefect flow over Dask.

    Examples:

      python -m testbed_drift.flow --log-url sqlite:////tmp/log.db --artefact model

      python -m testbed_drift.flow --log-url postgresql+psycopg://db/log --artefact a \
--artefact b --month 2024-02 --months 6 --scheduler tcp://scheduler:8786
    """
    log_to_stderr()
    # Not by default, but as an exception, so that server and workers are ended.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(EXIT_TERMINATED))
    if importlib.util.find_spec("prefect_dask") is None:
        raise DriftSettingsError(
            "Prefect and Dask are not there: use tools/flow, or pip install 'testbed-drift[flow]'"
        )
    work = _work(WantedMonths(log_url, artefact or (), output, month, against, months))
    processes = workers or os.cpu_count() or 1
    if not any(one.settings.segment for one in work):
        processes = min(processes, len(work))
    if scheduler and not os.environ.get(API_URL) and _host(scheduler) not in LOOPBACK:
        raise DriftSettingsError(
            f"workers of {scheduler} can't reach a Prefect server of this process: set {API_URL} "
            "to one that they reach"
        )
    started = time.monotonic()
    with _claimed(work):
        with orchestration():
            from testbed_drift.flow.play import play  # noqa: PLC0415 - reads what was set just now

            played = play(work, processes, scheduler)
        for one in played:
            found = one.result.finding
            if evidently_line and found and not as_json:
                write(_evidently(found))
            else:
                announce(one.result, as_json=as_json)
        _publish(work, played, otlp_endpoint)
    _summarise(played, time.monotonic() - started)
    results = [one.result for one in played]
    if any(result.finding is None for result in results):
        return EXIT_COULD_NOT_RUN
    return action_code(results)


def _work(wanted: WantedMonths) -> tuple[MonthComparison, ...]:
    from testbed_domain.artefact import load_artefact  # noqa: PLC0415 - not for --help

    from testbed_drift.flow.comparison import comparisons  # noqa: PLC0415 - the same

    first = next(iter(wanted.artefacts), None)
    output = wanted.output
    if output is None and not os.environ.get(f"{ENV_PREFIX}OUTPUT"):
        output = Path(named) if (named := os.environ.get(REPORT_DIR)) else None
    settings = read_settings(artefact=first, log_url=wanted.log_url, output=output)
    chosen = Month.parse(wanted.month) if wanted.month else Month.before(time.time())
    against = Month.parse(wanted.against) if wanted.against else None
    months = pairs(chosen, wanted.months, against)
    artefacts = [load_artefact(path.resolve()) for path in wanted.artefacts or [settings.artefact]]
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
        publisher = Publisher(meter, version, kinds, store)
        tracker = build_tracker(telemetry)
        # That of a job whose folder it is; months don't change how far it has come.
        memory = Memory.from_dict(remembered(store.read_state(), version))
        for result in results:
            publisher.publish(result, memory)
            store.append_run(result.record())
            tracker.log_run(result)
        finish(telemetry)


def _evidently(found: RunFinding) -> str:
    from testbed_drift.evaluation.decision import evidently_line  # noqa: PLC0415 - not for --help

    html, json = (str(path) if path else None for path in (found.html, found.json))
    return evidently_line(html, json, found.scores, found.decision)


def _summarise(played: Sequence[PlayedFlow], seconds: float) -> None:
    workers = len({worker for one in played for worker in one.workers})
    line = f"flow: {len(played)} comparisons by {workers} workers in {seconds:.1f} s"
    print(line, file=sys.stderr)  # noqa: T201 - a command line's output


def _host(address: str) -> str | None:
    return urlsplit(address if "//" in address else f"tcp://{address}").hostname

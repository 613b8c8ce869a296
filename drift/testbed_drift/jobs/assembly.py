"""The drift job put together from its settings.

It imports what takes seconds, so the command line imports it only for a command that runs the job.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Final, cast

from testbed_domain.artefact import load_artefact
from testbed_domain.endings import reason
from testbed_domain.logstore import open_log
from testbed_otel.names import SERVICE_DRIFT
from testbed_otel.sdk import TelemetrySettings, TelemetrySettingsError, setup
from testbed_otel.settings import enable_sdk_self_metrics

from testbed_drift.jobs.builder import JobBuilder
from testbed_drift.jobs.championtracker import ChampionTracker, find
from testbed_drift.jobs.job import DriftJob
from testbed_drift.jobs.multiversion import MultiVersionJob
from testbed_drift.jobs.versionpublishing import VersionPublishers
from testbed_drift.publishing.gauges import Publisher, of_model, remembered
from testbed_drift.publishing.windowgroups import GroupGauges
from testbed_drift.retraining.hook import Hook
from testbed_drift.retraining.management import Management
from testbed_drift.settings import ENV_PREFIX, DriftSettings, DriftSettingsError
from testbed_drift.storage.archive import Archive
from testbed_drift.storage.claim import claimed
from testbed_drift.storage.memory import Memory
from testbed_drift.storage.reports import ReportStore
from testbed_drift.storage.retention import Retention
from testbed_drift.storage.tracking import Tracker
from testbed_drift.storage.trackingclient import URI, connect
from testbed_drift.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from testbed_otel.sdk import Telemetry

    from testbed_drift.evaluation.results import RunResult
    from testbed_drift.evaluation.segmentdrift import SegmentWorkers
    from testbed_drift.jobs.job import DriftJob
    from testbed_drift.jobs.watching import Watched
    from testbed_drift.jobs.windowsource import LogWindows

METER: Final = "testbed_drift"


def telemetry_of(endpoint: str | None, attributes: Mapping[str, str] | None = None) -> Telemetry:
    """The job's telemetry.

    Args:
        endpoint: where it goes, see :meth:`TelemetrySettings.from_env`.
        attributes: further ones of its resource.

    Raises:
        DriftSettingsError: a variable of OpenTelemetry can't be used.
    """
    enable_sdk_self_metrics()
    try:
        return setup(SERVICE_DRIFT, TelemetrySettings.from_env(endpoint=endpoint), attributes)
    except TelemetrySettingsError as error:
        raise DriftSettingsError(str(error)) from error


@contextlib.contextmanager
def claimed_output(settings: DriftSettings) -> Iterator[ReportStore]:
    """The output directory, for this process alone, and whole again after a killed one.

    Raises:
        DomainError: another job has it, or the model can't be used.
    """
    load_artefact(settings.artefact)  # without a model there is nothing to make a directory for
    with claimed(settings.output, settings.lock_wait):
        reports = ReportStore(settings.output)
        reports.recover()
        yield reports


def worker_pool(settings: DriftSettings) -> AbstractContextManager[Workers | None]:
    """The processes of a job, for its segments and its other versions; None for none."""
    if settings.workers == 1:
        return contextlib.nullcontext()
    return Workers(settings.workers, settings.task_timeout)


def watched(
    settings: DriftSettings,
    telemetry: Telemetry,
    wait: Callable[[float], bool],
    workers: SegmentWorkers | None = None,
    *,
    once: bool = False,
) -> Watched:
    """The job, of whichever model is the champion where the API can be asked."""
    management = Management(settings.management, settings.management_token_file)
    root = settings.artefact

    def known() -> list[Path]:
        return [root, *settings.model_store.glob("*-*")]

    def of(path: Path) -> DriftSettings:
        changes = {"artefact": path} | ({} if path == root else {"calibration": None})
        return settings.model_copy(update=changes)

    champion = management.champion()
    first = of((champion and find(champion, known())) or root)
    job = assemble(first, telemetry, wait, workers=workers, once=once)
    if not settings.management:
        return job
    publisher = cast("Publisher", job.publisher)  # as assemble() has made it
    return ChampionTracker(
        job,
        management.champion,
        known,
        lambda path: assemble(of(path), telemetry, wait, publisher, workers=workers, once=once),
    )


def walked(
    settings: DriftSettings, telemetry: Telemetry, wait: Callable[[float], bool]
) -> tuple[DriftJob, LogWindows]:
    """The job for windows that the log holds already, and the log; it leaves nothing behind."""
    builder = JobBuilder.of_artefact(settings)
    columns = () if settings.segment else tuple(builder.kinds)
    publisher = Publisher(telemetry.meter(METER), builder.version, columns)
    job = assemble(settings, telemetry, wait, publisher, once=True)
    return job, builder.log(whole=True)


def groups(job: DriftJob, telemetry: Telemetry) -> GroupGauges:
    """Gauges of the groups of a job's model."""
    meter = telemetry.meter(f"{METER}.segments")  # two instruments of one name would be one
    return GroupGauges(meter, job.version, job.settings.alert_share)


def assemble(
    settings: DriftSettings,
    telemetry: Telemetry,
    wait: Callable[[float], bool],
    publisher: Publisher | None = None,
    *,
    workers: SegmentWorkers | None = None,
    once: bool = False,
) -> DriftJob:
    """The job of one model.

    Args:
        settings: of the job.
        telemetry: takes what is published.
        wait: waits so many seconds; True when the process must stop.
        publisher: publishes for this model from now on; None makes one.
        workers: score segments; None does it in this process.
        once: whether it is a single run.

    Raises:
        DomainError: the model or its calibration can't be used.
    """
    builder = JobBuilder.of_artefact(settings)
    settings, version = builder.settings, builder.version
    reports = ReportStore(settings.output)
    fixed = of_model(builder.limits.minimum, builder.calibration)
    hook = Hook.of(settings, reports, time.time, wait)
    if publisher:
        publisher.follow(version, fixed)
    else:
        meter = telemetry.meter(METER)
        publisher = Publisher(meter, version, builder.kinds, reports, fixed)
        if hook and (last := hook.last()):
            publisher.retrained(last, before=True)
    return builder.build(
        builder.log(),
        reports,
        publisher,
        once=once,
        memory=Memory.from_dict(remembered(reports.read_state(), version)),
        hook=hook,
        archive=_archive(settings, builder.name, reports),
        segments=builder.segments(workers),
        analyst=builder.analyst(),
        tracker=build_tracker(telemetry),
    )


def build_tracker(telemetry: Telemetry) -> Tracker:
    """Logs runs and challengers to the server of ``MLFLOW_TRACKING_URI``, where that is set."""
    chosen = connect if os.environ.get(URI) else None
    return Tracker(chosen, telemetry.meter(METER), time.time)


def multi_version_job(
    job: Watched,
    settings: DriftSettings,
    telemetry: Telemetry,
    announce: Callable[[RunResult], None],
    workers: Workers | None,
) -> MultiVersionJob | None:
    """The jobs of further versions beside the one that is set up; None where none is wanted."""
    if settings.versions == 1:
        return None
    return MultiVersionJob(
        job,
        settings,
        lambda: open_log(settings.log_url, create=False),
        VersionPublishers(telemetry.meter, settings.output),
        time.time,
        announce,
        workers,
    )


def _archive(settings: DriftSettings, name: str, reports: ReportStore) -> Archive:
    history = None
    if settings.workspace:
        from testbed_drift.storage.history import History  # noqa: PLC0415 - takes seconds, and only if wanted

        try:
            history = History(settings.workspace, name)
        except OSError as error:
            raise DriftSettingsError(
                f"{ENV_PREFIX}WORKSPACE: {settings.workspace}: {reason(error)}"
            ) from error
    retention = Retention(settings.keep_runs, settings.keep_days)
    return Archive(settings.output, reports, retention, history)

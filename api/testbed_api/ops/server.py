"""The process: both applications in one event loop, from start to drained end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import time
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

import uvicorn
import uvloop
from prometheus_client import ProcessCollector
from testbed_domain.artefact import load_artefact
from testbed_domain.logengine import create_log_engine
from testbed_domain.logstore import open_log
from testbed_otel.names import REASON, SERVICE_API
from testbed_otel.otlplogs import otlp_logs
from testbed_otel.sdk import Telemetry, TelemetrySettings, setup
from testbed_otel.settings import logs_wanted
from testbed_otel.standard import unsupported

from testbed_api.errors import ApiError, SettingsError
from testbed_api.http.app import create_app, create_management_app
from testbed_api.http.connections import ConnectionLimits, connection_class
from testbed_api.http.draining import DrainingServer
from testbed_api.http.keys import KeyRing, read_keys
from testbed_api.http.management import artefact_folders, guarded
from testbed_api.http.modelroutes import versions_router
from testbed_api.log.faulty import FaultyLog
from testbed_api.log.kpis import Costs, CountingLog, DecisionCounter
from testbed_api.log.retention import Clock, prune_regularly
from testbed_api.log.spool import Spool
from testbed_api.log.spooling import SpoolingLog
from testbed_api.log.writer import LogWriter, NoLog
from testbed_api.ops.accesslogs import AccessLogs, access_file, access_log
from testbed_api.ops.ending import SLACK_SECONDS, LastResort, within
from testbed_api.ops.sockets import bind, inherited, url
from testbed_api.ops.targets import write_target
from testbed_api.serving.faults import FaultSwitch
from testbed_api.serving.runtimes import runtime_maker
from testbed_api.serving.service import Service
from testbed_api.serving.versionsfile import VersionRoles, starting_roles
from testbed_api.settings import ApiSettings
from testbed_api.telemetry.accuracy import AbsoluteErrors, Accuracy
from testbed_api.telemetry.instruments import Instruments
from testbed_api.telemetry.logs import configure

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Sequence

    from testbed_domain.artefact import Artefact
    from testbed_domain.callerguard import Application

    from testbed_api.log.sink import LogSink
    from testbed_api.log.writer import Writer
    from testbed_api.serving.runtime import ModelRuntime

logger = logging.getLogger(__name__)

INSTANCE_LENGTH: Final = 64
BACKLOG: Final = 2048
# Longer than clients usually keep an idle connection, so that not the server closes it first.
KEEP_ALIVE_SECONDS: Final = 75
# Cheap where they stand: the server adds them to the bytes of every answer.
SECURITY_HEADERS: Final = [
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Content-Security-Policy", "frame-ancestors 'none'"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
]
# How long a replica waits for the log before it takes requests all the same.
LOG_OPEN_SECONDS: Final = 5.0
READY_INTERVAL: Final = 0.01
# Log, spool, temporary files of streams, the model's, the other port.
OTHER_FILES: Final = 160
# For open requests of operators at the very end.
MANAGEMENT_SECONDS: Final = 1
# How long one write may wait for another writer's lock: where rows have no other place, and where
# they have the spool.
LOG_TIMEOUT: Final = 30.0
SPOOL_TIMEOUT: Final = 2.0


def run(settings: ApiSettings) -> None:
    """Serve until SIGTERM or SIGINT; then finish open requests, the log and the telemetry.

    Raises:
        DomainError: the artefact, the log's URL or an address can't be used.
        TelemetrySettingsError: an ``OTEL_*`` variable can't be used.
    """
    artefact = load_artefact(settings.artefact)
    if settings.log_url is not None:
        create_log_engine(settings.log_url, create=True).dispose()  # checks the URL
    keys = None if settings.keys_file is None else read_keys(settings.keys_file, time.monotonic)
    public = (
        bind(settings.host, settings.port)
        if settings.socket is None
        else inherited(settings.socket)
    )
    management = bind(settings.management_host, settings.management_port)
    sending = TelemetrySettings.from_env(service_version=_version())
    telemetry = setup(SERVICE_API, sending)
    if len(telemetry.instance_id) > INSTANCE_LENGTH:
        raise SettingsError(
            f"service.instance.id has more than {INSTANCE_LENGTH} characters: "
            "shorten it in OTEL_RESOURCE_ATTRIBUTES"
        )
    if settings.targets_folder is not None:
        host = settings.management_names.partition(",")[0].strip() or settings.management_host
        port = int(management.getsockname()[1])
        write_target(settings.targets_folder, host, port, telemetry.instance_id)
    ProcessCollector(registry=telemetry.registry)
    remote = otlp_logs(telemetry, sending) if logs_wanted(os.environ) else None
    configure(json=settings.log_format == "json", also=remote.handler if remote else None)
    if unread := unsupported(os.environ):
        logger.warning("not supported, so ignored: %s", ", ".join(unread))
    try:
        with (
            access_file(settings) as file,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            logs = AccessLogs(file, remote)
            runner.run(_serve(settings, artefact, telemetry, logs, (public, management), keys))
    finally:
        if remote is not None:
            remote.shutdown()
        if not telemetry.shutdown():
            logger.warning("the last metrics could not be pushed")
    logger.info("stopped")


async def _serve(
    settings: ApiSettings,
    artefact: Artefact,
    telemetry: Telemetry,
    logs: AccessLogs,
    sockets: tuple[socket.socket, socket.socket],
    keys: KeyRing | None,
) -> None:
    public_socket, management_socket = sockets
    instruments = Instruments.create(telemetry)
    instruments.replica_starts.add(1, {REASON: settings.start})
    control = FaultSwitch(settings.fault_seed, telemetry.clock)
    roles, file = starting_roles(settings, artefact)
    costs = Costs(telemetry.meter("testbed_api"), roles.champion)
    require = control.require_log if settings.faults_enabled else None
    regression = roles.champion.schema.regression
    quality = AbsoluteErrors(instruments) if regression else Accuracy(instruments)
    writer = _writer(settings, roles.artefacts, instruments, require, costs, quality)
    make_runtime = runtime_maker(settings)
    service = Service(
        roles.champion,
        make_runtime(roles.champion),
        writer,
        control,
        instruments,
        telemetry.instance_id,
        telemetry.clock.time,
        serving=settings.serving,
    )
    _give_roles(service, roles, make_runtime)
    if file is not None:
        service.versions.store = file.store
        service.notices.put("versions", "; ".join(file.problems) or None, log=False)
    stack = contextlib.ExitStack()
    access = stack.enter_context(access_log(logs, instruments.access_lines))
    app = create_app(settings, service, telemetry, keys, access)
    public = _server(app, settings, settings.linger_seconds, settings.shutdown_seconds)
    folders = artefact_folders(settings, *roles.artefacts)
    management_app = create_management_app(
        settings,
        service,
        telemetry,
        control if settings.faults_enabled else None,
        versions_router(service, make_runtime, partial(_register, settings), folders),
    )
    management = _server(
        guarded(management_app, settings), settings, linger=0, shutdown=MANAGEMENT_SECONDS
    )
    overdue = LastResort(settings.shutdown_seconds + SLACK_SECONDS)
    with stack, _signals(public, service, overdue):
        logger.info("management on %s", url(management_socket))
        watching = asyncio.create_task(management.serve([management_socket]))
        loading = asyncio.create_task(_load(service))
        pruning = _pruning(settings, service, telemetry.clock.time)
        saying = None
        if settings.socket is None:
            saying = asyncio.create_task(_say_when_ready(service, public, url(public_socket)))
        else:  # of several the supervisor says it
            await _until_ready(service, public)
        if not public.should_exit:
            await public.serve([public_socket])
        # Operators can look until the very end.
        await within(_finished(loading), "the loading of the model")
        for task in filter(None, (pruning, saying)):
            task.cancel()
        await within(service.versions.close(), "a prediction")
        if isinstance(writer, LogWriter):
            await writer.close()
        management.should_exit = True
        await watching


def _give_roles(
    service: Service, roles: VersionRoles, make_runtime: Callable[[Artefact], ModelRuntime]
) -> None:
    """What stands beside the champion."""
    if roles.previous is not None:
        service.versions.remember(service.model(roles.previous, make_runtime(roles.previous)))
    if roles.challenger is not None:
        model = service.model(roles.challenger, make_runtime(roles.challenger))
        try:
            service.versions.put(model, split=roles.split, shadow=roles.shadow)
        except ApiError as error:
            raise SettingsError(f"TESTBED_API_CHALLENGER: {error.detail}") from None


def _register(settings: ApiSettings, artefact: Artefact) -> None:
    """Put the reference rows of a version that came later into the log."""
    if settings.log_url is not None:
        with open_log(settings.log_url) as log:
            log.register_reference(artefact)


async def _finished(task: asyncio.Task[None]) -> None:
    await task


async def _load(service: Service) -> None:
    await service.load()
    # What is there by now stays: the collector needn't look at it again and again.
    gc.collect()
    gc.freeze()


def _writer(
    settings: ApiSettings,
    artefacts: Sequence[Artefact],
    instruments: Instruments,
    require: Callable[[], None] | None,
    *counters: DecisionCounter,
) -> Writer:
    """Write into the log of the settings.

    Args:
        settings: of the API.
        artefacts: whose reference rows stand in the log.
        instruments: count rows.
        require: raises while a fault makes the log fail; None where faults can't be set.
        counters: count decisions.
    """
    log_url = settings.log_url
    if log_url is None:
        return NoLog()

    def opened(timeout: float = LOG_TIMEOUT) -> LogSink:
        if require is not None:
            require()
        log = open_log(log_url, timeout=timeout)
        for artefact in artefacts:
            log.register_reference(artefact)
        counting = CountingLog(log, log.decisions, *counters)
        return counting if require is None else FaultyLog(counting, require)

    if settings.log_failure == "refuse":
        return LogWriter(opened, instruments)
    spooling = SpoolingLog(
        lambda: opened(SPOOL_TIMEOUT),
        Spool(settings.log_spool, settings.log_spool_limit),
        instruments,
    )
    return LogWriter(spooling.open, instruments, lambda: spooling.warning)


async def _until_ready(service: Service, public: DrainingServer) -> None:
    """Leave connections to the other replicas until this one can serve them.

    Where the prediction log alone is not there, only for a while: then clients must be notified.
    """
    end = time.monotonic() + LOG_OPEN_SECONDS
    while service.problems and not public.should_exit:
        if service.problem is None and time.monotonic() > end:
            return
        await asyncio.sleep(READY_INTERVAL)


async def _say_when_ready(service: Service, public: DrainingServer, address: str) -> None:
    """Say where predictions are answered, once they are: not before the model and the log."""
    while True:
        if public.started and not service.problems:
            logger.info("ready: predictions on %s", address)
            return
        await asyncio.sleep(READY_INTERVAL)


def _pruning(
    settings: ApiSettings, service: Service, wall: Callable[[], float]
) -> asyncio.Task[None] | None:
    if settings.log_url is None or settings.log_retention_days is None:
        return None
    pruning = prune_regularly(
        settings.log_url, settings.log_retention_days, clock=Clock(wall), notices=service.notices
    )
    return asyncio.create_task(pruning)


def _server(
    app: Application, settings: ApiSettings, linger: float, shutdown: int
) -> DrainingServer:
    connections = connection_class(
        ConnectionLimits(
            head_seconds=settings.head_seconds,
            body_seconds=settings.body_seconds,
            write_seconds=settings.write_seconds,
            linger_seconds=linger,
            connections=_affordable(settings.connections_limit),
        )
    )
    config = uvicorn.Config(
        app,
        http=connections,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        headers=SECURITY_HEADERS,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=shutdown,
    )
    return DrainingServer(config, connections)


def _affordable(connections: int) -> int:
    """As many connections as the process may open files for, beside its others."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY or files - OTHER_FILES >= connections:
        return connections
    maximum = max(1, files - OTHER_FILES)
    logger.warning("%d connections at most: this process may open %d files", maximum, files)
    return maximum


@contextlib.contextmanager
def _signals(server: DrainingServer, service: Service, overdue: LastResort) -> Iterator[None]:
    """The first signal drains, a second one doesn't wait for open requests."""

    def stop() -> None:
        overdue.start()
        server.force_exit = service.draining
        service.draining = server.should_exit = True

    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop)
    try:
        yield
    finally:
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(name)


def _version() -> str:
    return version("testbed-api")

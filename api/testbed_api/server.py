"""The process: both applications in one event loop, from start to drained end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
from importlib.metadata import version
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

import uvicorn
import uvloop
from prometheus_client import ProcessCollector
from testbed_domain.artefact import load_artefact
from testbed_domain.logengine import create_log_engine
from testbed_domain.logstore import PredictionLog, open_log
from testbed_otel.names import SERVICE_API
from testbed_otel.otlplogs import OtlpLogs, otlp_logs, wanted
from testbed_otel.sdk import Telemetry, TelemetrySettings, setup

from testbed_api.app import create_app, create_management_app
from testbed_api.faults import FaultControl
from testbed_api.instruments import Instruments
from testbed_api.logs import AccessLog, LineWriter, Sink, configure, fields, opened
from testbed_api.logwriter import LogWriter, NoLog
from testbed_api.runtime import OnnxRuntime
from testbed_api.service import Service
from testbed_api.settings import PREFIX, ApiSettings, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI
    from testbed_domain.artefact import Artefact
    from testbed_otel.cells import SumFamily

logger = logging.getLogger(__name__)

INSTANCE_LENGTH: Final = 64
BACKLOG: Final = 2048
# Longer than clients usually keep an idle connection, so that not the server closes it first.
KEEP_ALIVE_SECONDS: Final = 75


def run(settings: ApiSettings) -> None:
    """Serve until SIGTERM or SIGINT; then finish open requests, the log and the telemetry.

    Raises:
        DomainError: the artefact, the log's URL or an address can't be used.
        TelemetrySettingsError: an ``OTEL_*`` variable can't be used.
    """
    artefact = load_artefact(settings.artefact)
    if settings.log_url is not None:
        create_log_engine(settings.log_url, create=True).dispose()  # checks the URL
    public = bind(settings.host, settings.port)
    management = bind(settings.management_host, settings.management_port)
    sending = TelemetrySettings.from_env(service_version=_version())
    telemetry = setup(SERVICE_API, sending)
    if len(telemetry.instance_id) > INSTANCE_LENGTH:
        raise SettingsError(
            f"service.instance.id has more than {INSTANCE_LENGTH} characters: "
            "shorten it in OTEL_RESOURCE_ATTRIBUTES"
        )
    ProcessCollector(registry=telemetry.registry)
    remote = otlp_logs(telemetry, sending) if wanted(os.environ) else None
    configure(json=settings.log_format == "json", also=remote.handler if remote else None)
    try:
        with (
            _access_file(settings) as file,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            logs = _Logs(file, remote)
            runner.run(_serve(settings, artefact, telemetry, logs, public, management))
    finally:
        if remote is not None:
            remote.shutdown()
        if not telemetry.shutdown():
            logger.warning("the last metrics could not be pushed")
    logger.info("stopped")


class _Logs(NamedTuple):
    """Where the access log goes; None where it doesn't."""

    file: BinaryIO | None
    remote: OtlpLogs | None


@contextlib.contextmanager
def _access_file(settings: ApiSettings) -> Iterator[BinaryIO | None]:
    try:
        with opened(settings.access_log) as file:
            yield file
    except OSError as error:
        raise SettingsError(f"{PREFIX}ACCESS_LOG: {error.strerror}") from None


@contextlib.contextmanager
def _access_log(logs: _Logs, lines: SumFamily) -> Iterator[AccessLog | None]:
    """The access log, whose last lines are written at the end; None where it goes nowhere."""
    sinks: list[Sink] = []
    remote = logs.remote
    if remote is not None:
        sinks.append(lambda served: remote.access(fields(served)))
    with contextlib.ExitStack() as stack:
        if logs.file is not None:
            writer = LineWriter(logs.file, lines)
            stack.callback(writer.close)
            sinks.append(writer)
        yield AccessLog(sinks) if sinks else None


async def _serve(
    settings: ApiSettings,
    artefact: Artefact,
    telemetry: Telemetry,
    logs: _Logs,
    public_socket: socket.socket,
    management_socket: socket.socket,
) -> None:
    instruments = Instruments.create(telemetry)
    control = FaultControl(settings.fault_seed)
    writer = _writer(settings, artefact, instruments)
    service = Service(
        artefact, OnnxRuntime(artefact), writer, control, instruments, telemetry.instance_id
    )
    stack = contextlib.ExitStack()
    access = stack.enter_context(_access_log(logs, instruments.access_lines))
    public = _server(create_app(settings, service, telemetry, access), settings)
    management = _server(
        create_management_app(
            settings, service, telemetry, control if settings.faults_enabled else None
        ),
        settings,
    )
    with stack, _signals(public, service):
        logger.info("predictions on %s", _url(public_socket))
        logger.info("management on %s", _url(management_socket))
        watching = asyncio.create_task(management.serve([management_socket]))
        loading = asyncio.create_task(_load(service))
        await public.serve([public_socket])
        # Operators can look until the very end.
        await loading
        if isinstance(writer, LogWriter):
            await writer.close()
        management.should_exit = True
        await watching


async def _load(service: Service) -> None:
    await service.load()
    # What is there by now stays: the collector needn't look at it again and again.
    gc.collect()
    gc.freeze()


def _writer(
    settings: ApiSettings, artefact: Artefact, instruments: Instruments
) -> LogWriter | NoLog:
    url = settings.log_url
    if url is None:
        return NoLog()

    def opened() -> PredictionLog:
        log = open_log(url)
        log.register_reference(artefact)
        return log

    return LogWriter(opened, instruments)


class _Server(uvicorn.Server):
    """A server that leaves signals alone: two of them share this process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _server(app: FastAPI, settings: ApiSettings) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level=logging.WARNING,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=settings.shutdown_seconds,
        )
    )


@contextlib.contextmanager
def _signals(server: _Server, service: Service) -> Iterator[None]:
    """The first signal drains, a second one doesn't wait for open requests."""

    def stop() -> None:
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


def bind(host: str, port: int) -> socket.socket:
    """A TCP socket bound to ``host`` and ``port``; 0 takes a free port.

    Raises:
        SettingsError: the address can't be used.
    """
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, address = found[0]
        # With its protocol named: asyncio sets TCP_NODELAY only then.
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        raise SettingsError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    return bound


def _url(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _version() -> str:
    return version("testbed-api")

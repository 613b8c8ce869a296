"""Several replicas behind one port: one process each, and this supervisor over them.

The supervisor binds the public socket and leaves it open to every replica, so connections that come
while a replica restarts wait in the kernel's queue, and none is lost. Each replica has a management
port and a ``service.instance.id`` of its own. SIGTERM drains all, SIGHUP restarts one after
another, a crash is reported and mended after a pause that grows.
"""

from __future__ import annotations

import ctypes
import http.client
import logging
import os
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from testbed_api.errors import PREFIX, SettingsError
from testbed_api.ops.journal import Journal
from testbed_api.ops.sockets import bind, reachable, url

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    from testbed_api.ops.journal import ReplicaEvent
    from testbed_api.settings import ApiSettings

logger = logging.getLogger(__name__)

TICK: Final = 0.1
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
# A replica that lived so long begins again with the first pause.
HEALTHY_SECONDS: Final = 60.0
# Beyond the drain: closing the log, the last push of metrics.
STOP_SLACK: Final = 15.0
PROBE_TIMEOUT: Final = 2.0
BACKLOG: Final = 2048
CANNOT_RUN: Final = 2
HIGHEST_PORT: Final = 65_535
PR_SET_PDEATHSIG: Final = 1
# Past any proxy of the environment: the replicas are on this machine.
_DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))
ATTRIBUTES: Final = "OTEL_RESOURCE_ATTRIBUTES"
INSTANCE_KEY: Final = "service.instance.id"
SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD})


def pause(failures: int) -> float:
    """Seconds before a replica is started again after so many crashes in a row (1, 2, …)."""
    return float(min(FIRST_PAUSE * 2 ** min(failures - 1, 16), LONGEST_PAUSE))


def identity(attributes: str, number: int) -> str:
    """``OTEL_RESOURCE_ATTRIBUTES`` with an instance id that no other start has.

    Args:
        attributes: the caller's own; an instance id among them becomes the beginning of this one.
        number: of the replica.
    """
    pairs = [pair for pair in attributes.split(",") if pair.strip()]
    given = [pair for pair in pairs if pair.partition("=")[0].strip() == INSTANCE_KEY]
    retained = [pair for pair in pairs if pair not in given]
    start = given[0].partition("=")[2].strip() if given else "api"
    return ",".join([*retained, f"{INSTANCE_KEY}={start}-{number}-{uuid.uuid4().hex[:8]}"])


@dataclass(slots=True)
class Replica:
    """One process, now or soon.

    Attributes:
        number: from 0.
        management_port: its own.
        management_host: where that port is, as the settings have it.
        process: None while it is down.
        started: when it was started, on the monotonic clock.
        stopping: when it was asked to stop; None while nobody did.
        ready: whether it has been ready since its start.
        failures: crashes in a row.
        due: when to start it again; None while it runs.
        attributes: ``OTEL_RESOURCE_ATTRIBUTES`` of its latest start.
        reason: why it was started, or will be.
    """

    number: int
    management_port: int
    management_host: str = "127.0.0.1"
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    stopping: float | None = None
    ready: bool = False
    failures: int = 0
    due: float | None = 0.0
    attributes: str = ""
    reason: Literal["first", "crash", "restart"] = "first"

    @property
    def instance(self) -> str:
        """``service.instance.id`` of its latest start."""
        return self.attributes.rpartition("=")[2]

    def stop(self, now: float) -> None:
        """Ask it to drain and end."""
        if self.process is not None and self.stopping is None:
            self.stopping = now
            self.process.send_signal(signal.SIGTERM)

    def probe(self) -> bool:
        """Ask its readiness."""
        address = f"{reachable(self.management_host, self.management_port)}/health/ready"
        try:
            with _DIRECT.open(address, timeout=PROBE_TIMEOUT):
                return True
        except (OSError, http.client.HTTPException):
            return False


def supervise(settings: ApiSettings) -> int:
    """Run the replicas until SIGTERM or SIGINT.

    Returns:
        Exit code: 0 after all have ended well, 1 where one had to be killed, 2 where none could
        start.

    Raises:
        SettingsError: an address can't be used.
    """
    ports = _management_ports(settings)
    public = bind(settings.host, settings.port)
    public.listen(BACKLOG)
    public.set_inheritable(True)
    # From here on signals wait until they are asked for.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    logger.info("starting %d replicas", settings.replicas)
    supervisor = ReplicaSupervisor(
        [Replica(number, port, settings.management_host) for number, port in enumerate(ports)],
        lambda replica: _spawn(settings, public, replica),
        url(public),
        settings.shutdown_seconds + settings.linger_seconds + STOP_SLACK,
        Journal(settings.replicas_file),
    )
    return supervisor.run()


def _management_ports(settings: ApiSettings) -> list[int]:
    first, count = settings.management_port, settings.replicas
    if first == 0:
        sockets = [bind(settings.management_host, 0) for _ in range(count)]
        ports = [int(bound.getsockname()[1]) for bound in sockets]
        for bound in sockets:
            bound.close()
        return ports
    ports = list(range(first, first + count))
    if ports[-1] > HIGHEST_PORT or settings.port in ports:
        raise SettingsError(
            f"{PREFIX}MANAGEMENT_PORT: {count} replicas need the ports {first} to {ports[-1]}, "
            "all valid and none of them the public one"
        )
    return ports


def _spawn(
    settings: ApiSettings, public: socket.socket, replica: Replica
) -> subprocess.Popen[bytes]:
    replica.attributes = identity(os.environ.get(ATTRIBUTES, ""), replica.number)
    environment = _environment(settings, os.environ, public.fileno(), replica)
    supervisor = os.getpid()
    libc = ctypes.CDLL(None)

    def before_exec() -> None:
        # Ends with the supervisor, however that ends; and hears its signals again.
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        if os.getppid() != supervisor:
            os._exit(1)

    return subprocess.Popen(
        [sys.executable, "-m", "testbed_api"],
        env=environment,
        pass_fds=[public.fileno()],
        start_new_session=True,  # Ctrl-C on the terminal is for the supervisor alone
        preexec_fn=before_exec,  # noqa: PLW1509 - safe: this process has one thread
    )


def _environment(
    settings: ApiSettings, environ: Mapping[str, str], descriptor: int, replica: Replica
) -> dict[str, str]:
    # One replica's metrics on the shared port would be a random one's.
    hidden = {f"{PREFIX}PUBLIC_METRICS": "false"}
    return (
        hidden
        | dict(environ)
        | {
            f"{PREFIX}REPLICAS": str(settings.replicas),
            f"{PREFIX}SOCKET": str(descriptor),
            f"{PREFIX}MANAGEMENT_PORT": str(replica.management_port),
            f"{PREFIX}START": replica.reason,
            ATTRIBUTES: replica.attributes,
        }
    )


class ReplicaSupervisor:
    """Keeps replicas running.

    Args:
        replicas: none of them started yet.
        spawn: starts the process of one.
        address: URL at which they answer.
        grace: seconds in which a replica that was asked to stop must end.
        journal: is notified of what becomes of each.
        clock: seconds of a clock that never goes back.
    """

    def __init__(
        self,
        replicas: list[Replica],
        spawn: Callable[[Replica], subprocess.Popen[bytes]],
        address: str,
        grace: float,
        journal: Journal,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._replicas = replicas
        self._spawn = spawn
        self._address = address
        self._grace = grace
        self._journal = journal
        self._clock = clock
        self._ending = False
        self._proven = False  # whether one was ever ready: the settings can be used
        self._code = 0
        # Replicas still to be restarted; the one at hand is no longer among them.
        self._rolling: list[Replica] = []
        self._at_hand: Replica | None = None

    def run(self) -> int:
        """Until all have ended; returns the exit code."""
        while True:
            self.step()
            if self._ending and all(replica.process is None for replica in self._replicas):
                return self._code
            caught = signal.sigtimedwait(SIGNALS, TICK)
            if caught is not None:
                self.obey(signal.Signals(caught.si_signo))

    def obey(self, number: signal.Signals) -> None:
        """Take a signal."""
        if number in {signal.SIGTERM, signal.SIGINT}:
            self._end()
        elif number == signal.SIGHUP and not self._ending:
            logger.info("rolling restart of %d replicas", len(self._replicas))
            self._rolling = list(self._replicas)

    def step(self) -> None:
        """See who ended, start who is due, and go on with a rolling restart."""
        now = self._clock()
        for replica in self._replicas:
            self._reap(replica, now)
            self._kill_late(replica, now)
            if not self._ending and replica.due is not None and replica.due <= now:
                self._start(replica, now)
            if replica.process is not None and not replica.ready and replica.stopping is None:
                self._look(replica)
        self._roll(now)

    def _end(self) -> None:
        if self._ending:
            return
        self._ending = True
        self._rolling, self._at_hand = [], None
        for replica in self._replicas:
            replica.stop(self._clock())

    def _start(self, replica: Replica, now: float) -> None:
        replica.process = self._spawn(replica)
        replica.started, replica.due = now, None
        replica.stopping, replica.ready = None, False
        pid = replica.process.pid
        self._record("started", replica, pid=pid, port=replica.management_port, why=replica.reason)

    def _look(self, replica: Replica) -> None:
        if replica.probe():
            first = not self._proven
            replica.ready = self._proven = True
            if first:
                logger.info("ready: predictions on %s", self._address)
            logger.info(
                "replica %d is ready (pid %d, management port %d)",
                replica.number,
                replica.process.pid if replica.process else 0,
                replica.management_port,
            )
            self._record("ready", replica)

    def _reap(self, replica: Replica, now: float) -> None:
        if replica.process is None or (code := replica.process.poll()) is None:
            return
        replica.process, replica.ready = None, False
        if replica.stopping is not None:
            replica.failures, replica.due = 0, now
            replica.reason = "restart"
            self._record("stopped", replica)
            return
        if code == CANNOT_RUN and not self._proven:
            # It has said why; to try again would not help.
            self._code = CANNOT_RUN
            self._end()
            return
        lived = now - replica.started
        replica.failures = 1 if lived > HEALTHY_SECONDS else replica.failures + 1
        replica.due = now + pause(replica.failures)
        replica.reason = "crash"
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        self._record("crashed", replica, how=how)
        logger.error(
            "replica %d crashed (%s) after %.1f s; it starts again in %.1f s",
            replica.number,
            how,
            lived,
            pause(replica.failures),
        )

    def _record(self, event: ReplicaEvent, replica: Replica, **details: object) -> None:
        try:
            self._journal.add(event, replica.number, replica.instance, **details)
        except OSError as error:  # a full disk is no reason to leave the replicas alone
            logger.error("cannot write the journal of replicas: %s", error)  # noqa: TRY400 - expected: one line

    def _kill_late(self, replica: Replica, now: float) -> None:
        if (
            replica.process is not None
            and replica.stopping is not None
            and now - replica.stopping > self._grace
        ):
            logger.error("replica %d did not end in %g s: killed", replica.number, self._grace)
            self._code = self._code or 1
            replica.process.kill()
            replica.process.wait()

    def _roll(self, now: float) -> None:
        if self._at_hand is not None:
            if not self._at_hand.ready or self._at_hand.stopping is not None:
                return
            self._at_hand = None
            if not self._rolling:
                logger.info("rolling restart is over")
        # Never while another one is down: the others must carry the load.
        if self._rolling and all(replica.ready for replica in self._replicas):
            self._at_hand = self._rolling.pop(0)
            self._at_hand.stop(now)

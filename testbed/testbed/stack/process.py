"""Processes of the stack: request, instance, outcome, and the runner's side of the supervisor."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from testbed.errors import StackError
from testbed.stack import supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TAIL_LINES: Final = 20
TAIL_BYTES: Final = 64 * 1024
#: How long the supervisor process may take to answer a start.
START_LIMIT: Final = 30.0
#: What a stop may take beyond the grace of the process.
STOP_SLACK: Final = 10.0
#: While all are stopped: the next one's turn comes when this one has ended, or after this time.
TURN: Final = 1.0


def read_tail(log: Path, lines: int = TAIL_LINES) -> str:
    """Return the last ``lines`` lines of a log; empty where there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


@dataclass(frozen=True, slots=True)
class ProcessRequest:
    """A process to start.

    Attributes:
        name: unique among the running processes of a supervisor.
        argv: program and arguments; the program is found on the ``PATH`` of ``env``.
        log: file to which both outputs are appended.
        env: the complete environment.
        cwd: working directory.
        grace: seconds given after ``stop_signal``, and again after SIGTERM, before SIGKILL.
        stop_signal: the first signal of a stop.
        job: whether it ends by itself; its end with exit code 0 is then expected.
    """

    name: str
    argv: tuple[str, ...]
    log: Path
    env: Mapping[str, str]
    cwd: Path
    grace: float = 5.0
    stop_signal: signal.Signals = signal.SIGINT
    job: bool = False


@dataclass(frozen=True, slots=True)
class ProcessOutcome:
    """How a process ended.

    Attributes:
        name: name of its request.
        pid: its process id.
        exit_code: None when a signal ended it.
        signal: None when it ended by itself.
        expected: whether it was asked to stop, or was a job that succeeded.
        ended_at: Unix time.
        seconds: how long it lived.
        log: its log.
    """

    name: str
    pid: int
    exit_code: int | None
    signal: int | None
    expected: bool
    ended_at: float
    seconds: float
    log: Path

    def tail(self, lines: int = TAIL_LINES) -> str:
        """Return the last lines of its log."""
        return read_tail(self.log, lines)

    def describe(self) -> str:
        """Return one line for people."""
        if self.signal is not None:
            how = f"was ended by {_signal_name(self.signal)}"
        else:
            how = f"ended with exit code {self.exit_code}"
        unasked = "" if self.expected else " unexpectedly"
        return f"{self.name} (pid {self.pid}) {how}{unasked} after {self.seconds:.1f} s"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals have no names
        return f"signal {number}"


@dataclass(slots=True)
class ProcessInstance:
    """A process that was started; the supervisor sets ``outcome`` when it has ended."""

    request: ProcessRequest
    pid: int
    started_at: float
    outcome: ProcessOutcome | None = None

    @property
    def name(self) -> str:
        """Name of its request."""
        return self.request.name

    @property
    def running(self) -> bool:
        """Whether it has not ended yet, as far as the supervisor knows."""
        return self.outcome is None

    def tail(self, lines: int = TAIL_LINES) -> str:
        """Return the last lines of its log."""
        return read_tail(self.request.log, lines)


class Supervisor:
    """Starts and stops processes so that none outlives this one, not even after SIGKILL.

    A context manager, whose processes several threads may start and stop. Ends of processes are
    noticed at once by a reader thread; :meth:`poll` hands them out.
    """

    def __init__(self) -> None:
        self._instances: dict[str, ProcessInstance] = {}
        self._crashes: deque[ProcessOutcome] = deque()
        self._failures: dict[str, str] = {}
        self._starting: ProcessRequest | None = None
        self._lost = False
        self._changed = threading.Condition()
        self._starts = threading.Lock()
        self._sends = threading.Lock()
        self._server = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(supervisor.__file__)), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C on the terminal is for the runner alone
        )
        self._reader = threading.Thread(target=self._read, name="supervisor", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Process id of the supervisor process."""
        return self._server.pid

    def start(self, request: ProcessRequest) -> ProcessInstance:
        """Start a process; a name may be used again once its process has ended.

        Raises:
            StackError: the program can't be executed, the log can't be written, or a process of
                that name still runs.
        """
        with self._starts:  # the answer says nothing of which start it is to
            return self._start(request)

    def _start(self, request: ProcessRequest) -> ProcessInstance:
        name = request.name
        before = self._instances.get(name)
        if before is not None and before.running:
            raise StackError(f"{name} already runs (pid {before.pid})")
        request.log.parent.mkdir(parents=True, exist_ok=True)
        with self._changed:
            self._starting = request
        self._send(
            op="start",
            name=name,
            argv=request.argv,
            log=str(request.log),
            env=dict(request.env),
            cwd=str(request.cwd),
            grace=request.grace,
            stop_signal=request.stop_signal,
        )
        self._wait(lambda: self._starting is None, START_LIMIT)
        if name in self._failures:
            reason = self._failures.pop(name)
            raise StackError(f"cannot start {name} ({request.argv[0]} in {request.cwd}): {reason}")
        instance = self._instances.get(name)
        if instance is None or instance is before:
            raise StackError(f"cannot start {name}: its supervisor does not answer")
        return instance

    def stop(self, name: str, *, kill: bool = False) -> ProcessOutcome:
        """Stop a process with its whole group: INT, TERM, KILL; or KILL at once.

        Returns:
            Its outcome; that of its earlier end when it had ended already.

        Raises:
            KeyError: no process of that name was started.
            StackError: it does not end.
        """
        instance = self._instances[name]
        self._begin_stop(instance, kill=kill)
        outcome = self.wait(name, 2 * instance.request.grace + STOP_SLACK)
        if outcome is None:
            raise StackError(f"{name} (pid {instance.pid}) does not end, not even by SIGKILL")
        return outcome

    def wait(self, name: str, seconds: float) -> ProcessOutcome | None:
        """Wait for the end of a process; None when it still runs after ``seconds``."""
        instance = self._instances[name]
        self._wait(lambda: instance.outcome is not None, seconds)
        return instance.outcome

    def poll(self) -> list[ProcessOutcome]:
        """Unexpected ends since the last call; never blocks."""
        with self._changed:
            crashes = list(self._crashes)
            self._crashes.clear()
        return crashes

    def instances(self) -> dict[str, ProcessInstance]:
        """Return the last process of every name, in the order of their starts."""
        return dict(self._instances)

    def close(self) -> None:
        """Stop everything, the last started first, and end the supervisor process.

        May be called again.
        """
        try:
            running = [item for item in reversed(self.instances().values()) if item.running]
            for instance in running:
                self._begin_stop(instance)
                self.wait(instance.name, TURN)
            for instance in running:
                self.wait(instance.name, 2 * instance.request.grace)
        finally:
            self._hang_up()

    def _hang_up(self) -> None:
        """Close the pipe, at which the supervisor process kills what is left and ends."""
        stdin, stdout = self._server.stdin, self._server.stdout
        if stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                stdin.close()
        self._server.wait()
        self._reader.join()
        if stdout is not None:
            stdout.close()

    def _begin_stop(self, instance: ProcessInstance, *, kill: bool = False) -> None:
        if instance.running:
            self._send(op="stop", name=instance.name, kill=kill)

    def _send(self, **command: object) -> None:
        """Send a command; to a supervisor process that has ended only a start is an error."""
        stdin = self._server.stdin
        try:
            if stdin is not None and not stdin.closed:
                with self._sends:
                    stdin.write(json.dumps(command).encode() + b"\n")
                    stdin.flush()
                return
        except BrokenPipeError:
            pass
        if command["op"] == "start":
            raise StackError("the process supervisor has ended; start the run again")

    def _wait(self, done: Callable[[], bool], seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._lost or done(), seconds)

    def _read(self) -> None:
        """Take events until the supervisor process ends; runs in the reader thread."""
        stdout = self._server.stdout
        for line in stdout if stdout is not None else ():
            event = json.loads(line)
            with self._changed:
                getattr(self, f"_on_{event['event']}")(event)
                self._changed.notify_all()
        with self._changed:
            self._lost = True
            running = [item for item in self._instances.values() if item.running]
            for instance in running:  # the kernel killed them together with the supervisor process
                now = time.time()
                lost = {"exit_code": None, "signal": signal.SIGKILL, "stopped": False, "time": now}
                self._end(instance, lost | {"seconds": now - instance.started_at})
            self._changed.notify_all()
        supervisor.kill_sessions({instance.pid for instance in running})

    def _on_started(self, event: dict[str, Any]) -> None:
        request, self._starting = self._starting, None
        if request is not None:
            self._instances.pop(request.name, None)  # keeps the order of starts
            instance = ProcessInstance(request, event["pid"], event["time"])
            self._instances[request.name] = instance

    def _on_failed(self, event: dict[str, Any]) -> None:
        self._starting = None
        self._failures[event["name"]] = event["error"]

    def _on_exited(self, event: dict[str, Any]) -> None:
        self._end(self._instances[event["name"]], event)

    def _end(self, instance: ProcessInstance, event: dict[str, Any]) -> None:
        request = instance.request
        outcome = ProcessOutcome(
            name=request.name,
            pid=instance.pid,
            exit_code=event["exit_code"],
            signal=event["signal"],
            expected=event["stopped"] or (request.job and event["exit_code"] == 0),
            ended_at=event["time"],
            seconds=event["seconds"],
            log=request.log,
        )
        instance.outcome = outcome
        if not outcome.expected:
            self._crashes.append(outcome)


class NotReadyError(StackError):
    """What was waited for was not ready in time.

    Attributes:
        what: was waited for.
        reason: why it was not ready.
    """

    def __init__(self, what: str, seconds: float, reason: str) -> None:
        super().__init__(f"{what}: not ready after {seconds:g} s: {reason}")
        self.what, self.reason = what, reason


def wait_until(
    probe: Callable[[], str | None],
    deadline_seconds: float,
    *,
    what: str,
    alive: Callable[[], ProcessOutcome | None] = lambda: None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    interval: float = 0.1,
) -> None:
    """Wait until something is ready.

    Args:
        probe: returns None when ready, else why not yet.
        deadline_seconds: how long to try.
        what: what is waited for, for the error.
        alive: returns the outcome of a process whose end makes waiting useless, else None.
        clock: seconds of a clock that never goes back.
        sleep: pauses between two probes.
        interval: seconds between two probes.

    Raises:
        NotReadyError: not ready in time.
        StackError: the process ended; says why, with the tail of its log.
    """
    end = clock() + deadline_seconds
    while True:
        reason = probe()
        if reason is None:
            return
        outcome = alive()
        if outcome is not None:
            raise StackError(f"{what}: {outcome.describe()}; {_quote(outcome)}")
        if clock() >= end:
            raise NotReadyError(what, deadline_seconds, reason)
        sleep(interval)


def _quote(outcome: ProcessOutcome) -> str:
    tail = outcome.tail()
    return f"the end of {outcome.log}:\n{tail}" if tail else f"{outcome.log} is empty"

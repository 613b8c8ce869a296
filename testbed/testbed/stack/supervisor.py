"""The supervisor: a small process between runner and components that outlives no runner.

It runs as a file, isolated and with the standard library only (``python -I -S``), so it starts in
some 50 ms. It is a child subreaper: whatever a component leaves behind becomes its child.
Every component gets SIGKILL from the kernel when this process dies, and it stops everything when
the runner's end of its standard input closes, however the runner ended.

Commands come as JSON lines on standard input, events go as JSON lines to standard output:

    {"op": "start", "name", "argv", "log", "env", "cwd", "grace", "stop_signal"}
    {"op": "stop", "name", "kill"}
    {"event": "started", "name", "pid", "time"} or {"event": "failed", "name", "error"}
    {"event": "exited", "name", "pid", "exit_code", "signal", "stopped", "time", "seconds"}
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import selectors
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

PR_SET_PDEATHSIG: Final = 1
PR_SET_CHILD_SUBREAPER: Final = 36
#: How long components may take to end by themselves once the runner is gone.
ORPHANED_GRACE: Final = 1.0
#: After this even a process that can't be killed (uninterruptible I/O) is given up.
SWEEP_LIMIT: Final = 10.0
#: How often a process that was just killed is looked for again.
SWEEP_INTERVAL: Final = 0.02
EXEC_FAILED: Final = 127

libc = ctypes.CDLL(None, use_errno=True)


class ProcessEntry(NamedTuple):
    """One line of the process table; ``born`` distinguishes a reused id from the process meant."""

    pid: int
    parent: int
    group: int
    session: int
    born: int


def process_table() -> dict[int, ProcessEntry]:
    """All processes that are no zombies."""
    table: dict[int, ProcessEntry] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            stat = (folder / "stat").read_bytes()
        except OSError:  # ended meanwhile
            continue
        # The name of the program stands in parentheses and may hold anything, so count from there.
        fields = stat[stat.rindex(b")") + 2 :].split()
        if fields[0] not in {b"Z", b"X"}:
            parent, group, session, born = (int(fields[i]) for i in (1, 2, 3, 19))
            table[int(folder.name)] = ProcessEntry(int(folder.name), parent, group, session, born)
    return table


def descendants(root: int, table: dict[int, ProcessEntry]) -> list[ProcessEntry]:
    """Processes below ``root``, which itself is left out."""
    children: dict[int, list[ProcessEntry]] = {}
    for entry in table.values():
        children.setdefault(entry.parent, []).append(entry)
    found: list[ProcessEntry] = []
    queue = [root]
    while queue:
        below = children.get(queue.pop(), [])
        found.extend(below)
        queue.extend(entry.pid for entry in below)
    return found


def send(pid: int, number: int, *, group: bool = False) -> None:
    """Signal a process or its group, which may be gone already."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        (os.killpg if group else os.kill)(pid, number)


def kill_sessions(leaders: set[int]) -> None:
    """Kill what is left of the sessions of these processes."""
    for entry in process_table().values():
        if entry.session in leaders:
            send(entry.pid, signal.SIGKILL)


@dataclass(slots=True)
class ChildProcess:
    """A component that was started.

    Attributes:
        stages: signals still to send, each with the seconds that it gives.
        due: when the next stage begins; None while nobody wants it to stop.
        family: what was below it when its stop began.
    """

    name: str
    pid: int
    started: float
    grace: float
    stop_signal: int
    stages: list[tuple[int, float]] = field(default_factory=list)
    due: float | None = None
    family: list[ProcessEntry] = field(default_factory=list)

    def begin_stop(self, now: float, *, kill: bool, grace: float | None = None) -> None:
        """Plan the signals; a kill overtakes a stop that is under way."""
        if self.due is not None and not kill:
            return
        wait = self.grace if grace is None else grace
        gentle = [] if kill else [(self.stop_signal, wait), (signal.SIGTERM, wait)]
        self.stages = [*gentle, (signal.SIGKILL, 3600.0)]
        self.family = descendants(self.pid, process_table())
        self.due = now

    def escalate(self, now: float) -> None:
        """Send the next signal when its time has come."""
        while self.due is not None and self.due <= now and self.stages:
            number, wait = self.stages.pop(0)
            send(self.pid, number, group=True)
            send(self.pid, signal.SIGCONT, group=True)  # one that a fault froze hears nothing else
            self.due = now + wait

    def reap(self) -> None:
        """Kill what the ended component left behind: its session and what was below it."""
        table = process_table()
        for before in self.family:
            now = table.get(before.pid)
            if now is not None and now.born == before.born:
                send(now.pid, signal.SIGKILL)
        kill_sessions({self.pid})


def spawn(command: dict[str, Any]) -> int:
    """Start the command of a component in a session of its own, tied to the life of this process.

    Returns:
        The process id.

    Raises:
        OSError: the log can't be opened, or the program can't be executed.
    """
    log = os.open(command["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        line = " ".join(" ".join(command["argv"]).split())
        os.write(log, f"=== {stamp} start: {line}\n".encode())
        supervisor = os.getpid()
        failure, report = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()  # safe: this process has one thread
        if pid == 0:
            _exec(command, log, report, supervisor)
    finally:
        os.close(log)
    os.close(report)
    with open(failure, "rb") as pipe:  # noqa: PTH123 - a descriptor, no path
        errno = pipe.read()
    if errno:
        os.waitpid(pid, 0)
        raise OSError(int(errno), os.strerror(int(errno)))
    return pid


def _exec(command: dict[str, Any], log: int, report: int, supervisor: int) -> NoReturn:
    """Turn the forked child into the component; what goes wrong is reported through the pipe."""
    try:
        os.setsid()
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) or os.getppid() != supervisor:
            os._exit(EXEC_FAILED)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.chdir(command["cwd"])
        os.execvpe(command["argv"][0], command["argv"], command["env"])  # noqa: S606 - no shell is wanted
    except OSError as error:
        os.write(report, str(error.errno).encode())
    finally:
        os._exit(EXEC_FAILED)


class Server:
    """The loop: commands in, events out, signals when they are due."""

    def __init__(self) -> None:
        self.children: dict[int, ChildProcess] = {}
        self.ending = False
        self.pending = b""

    def emit(self, **event: object) -> None:
        """Send one event; a runner that is gone hears nothing."""
        try:
            os.write(1, json.dumps(event).encode() + b"\n")
        except OSError:
            self.end()

    def feed(self) -> None:
        """Take commands; the end of the input is the end of the runner."""
        data = os.read(0, 65536)
        if not data:
            self.end()
        *lines, self.pending = (self.pending + data).split(b"\n")
        for line in lines:
            self.obey(json.loads(line))

    def obey(self, command: dict[str, Any]) -> None:
        """Carry out one command."""
        if command["op"] == "start":
            self.start(command)
        else:
            for child in self.children.values():
                if child.name == command["name"]:
                    child.begin_stop(time.monotonic(), kill=command["kill"])

    def start(self, command: dict[str, Any]) -> None:
        """Start a component and say so."""
        name = command["name"]
        try:
            pid = spawn(command)
        except OSError as error:
            self.emit(event="failed", name=name, error=error.strerror or str(error))
            return
        child = ChildProcess(name, pid, time.monotonic(), command["grace"], command["stop_signal"])
        self.children[pid] = child
        self.emit(event="started", name=name, pid=pid, time=time.time())

    def end(self) -> None:
        """Begin to stop everything, all at once and with little timeout."""
        if not self.ending:
            self.ending = True
            for child in self.children.values():
                child.begin_stop(time.monotonic(), kill=False, grace=ORPHANED_GRACE)

    def reap(self) -> None:
        """Collect ended processes: components are reported, adopted ones just vanish."""
        for pid, status in _ended():
            child = self.children.pop(pid, None)
            if child is None:
                continue
            child.reap()
            code = os.waitstatus_to_exitcode(status)
            self.emit(
                event="exited",
                name=child.name,
                pid=pid,
                exit_code=code if code >= 0 else None,
                signal=-code if code < 0 else None,
                stopped=child.due is not None,
                time=time.time(),
                seconds=time.monotonic() - child.started,
            )

    def timeout(self) -> float | None:
        """Seconds until the next signal is due."""
        dues = [child.due for child in self.children.values() if child.due is not None]
        return max(0.0, min(dues) - time.monotonic()) if dues else None

    def run(self, wakeup: int, runner: int | None) -> None:
        """Serve until the runner is gone and everything that it started is too."""
        selector = selectors.DefaultSelector()
        selector.register(wakeup, selectors.EVENT_READ)
        for source in (0, runner):
            if source is not None:
                selector.register(source, selectors.EVENT_READ)
        while not (self.ending and not self.children):
            for key, _ in selector.select(self.timeout()):
                if key.fd == wakeup:
                    if bytes([signal.SIGTERM]) in os.read(wakeup, 4096):
                        self.end()
                elif self.ending:
                    selector.unregister(key.fd)  # stays readable for ever
                elif key.fd == 0:
                    self.feed()
                else:
                    self.end()
            for child in list(self.children.values()):
                child.escalate(time.monotonic())
            self.reap()


def _ended() -> Iterator[tuple[int, int]]:
    """Process id and status of every child that has ended by now."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, status


def sweep() -> None:
    """Kill all that is still below this process, adopted grandchildren included, till none is."""
    deadline = time.monotonic() + SWEEP_LIMIT
    while time.monotonic() < deadline:
        for _ in _ended():
            pass
        rest = descendants(os.getpid(), process_table())
        if not rest:
            return
        for entry in rest:
            send(entry.pid, signal.SIGKILL)
        time.sleep(SWEEP_INTERVAL)


def main() -> None:
    """Become the subreaper and serve."""
    runner_pid = int(sys.argv[1])
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        sys.exit("cannot become a child subreaper")
    readable, writable = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(writable)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    runner = None
    # A fork of the runner may hold the pipe open after it; its own end shows here all the same.
    with contextlib.suppress(OSError, AttributeError):
        runner = os.pidfd_open(runner_pid)
    server = Server()
    try:
        server.run(readable, runner)
    finally:
        sweep()


if __name__ == "__main__":
    main()

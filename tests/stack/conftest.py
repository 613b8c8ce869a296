"""Real processes: the compiled tools, and the command line as a user calls it."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from testbed.stack import build
from testbed_domain.artefact import Artefact

from tests.support.ports import free_port

# The files that take longest, the longest first, in minutes: 9 to 2.
LONGEST = ("scenarios", "flow", "lifecycle", "use_cases", "demo", "replica_runs", "robustness")
MARK = "MARK_OF_TEST"  # not TESTBED_*: parts get none of these


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything below this folder starts real processes, and comes before what is quick.

    Where two files run at a time, neither worker is then left with a long one at the end.
    """
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.stack)
    items.sort(key=lambda item: _place(item.path.stem, stack=here in item.path.parents))


def _place(module: str, *, stack: bool) -> int:
    name = module.removeprefix("test_")
    return LONGEST.index(name) if stack and name in LONGEST else len(LONGEST) + (not stack)


@pytest.fixture(scope="session")
def tools() -> None:
    """The compiled tools; `make test` compiles them."""
    absent = [row.name for row in build.status() if not row.present]
    if absent:
        reason = f"not compiled: {', '.join(absent)}; run: testbed stack install"
        if os.environ.get("CI"):
            pytest.fail(f"required in CI: {reason}")
        pytest.skip(reason)


def missing(reason: str) -> None:
    """Skip on a user's machine; in CI nothing may be missing."""
    if os.environ.get("CI"):
        pytest.fail(f"required in CI: {reason}")
    pytest.skip(reason)


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until a condition holds, at most so long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds} s: {what}"
        time.sleep(0.05)


@dataclass(frozen=True)
class Result:
    """What a command printed, its exit code and the folder of its run."""

    code: int
    output: str
    out: Path

    @property
    def verdict(self) -> dict[str, Any]:
        """The verdict file."""
        loaded: dict[str, Any] = json.loads((self.out / "verdict.json").read_text())
        return loaded


class CommandLine:
    """Runs ``testbed`` in a folder of its own; every process it leaves is found by its mark."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = f"{os.getpid()}-{time.monotonic_ns()}"
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TESTBED_", "OTEL_"))
        } | {MARK: self.mark, "COLUMNS": "160"}

    def command(self, arguments: Sequence[str]) -> list[str]:
        """The full command line."""
        return [str(Path(sys.executable).parent / "testbed"), *arguments]

    def run(self, *arguments: str, timeout: float = 300) -> Result:
        """Run to the end; what it started must be gone then."""
        done = subprocess.run(
            self.command(arguments),
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
        )
        out = Path(arguments[arguments.index("--out") + 1]) if "--out" in arguments else Path()
        return Result(done.returncode, done.stdout, self.folder / out)

    @contextlib.contextmanager
    def start(self, *arguments: str, background: bool = False) -> Iterator[subprocess.Popen[str]]:
        """Start in the background, output into ``output.txt``; ended at the latest here.

        ``background`` ignores SIGINT from the start, as shells do for what scripts put behind.
        """
        ignore = (lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)) if background else None
        with (self.folder / "output.txt").open("w") as output:
            process = subprocess.Popen(
                self.command(arguments),
                cwd=self.folder,
                env=self.environment,
                text=True,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=ignore,  # noqa: PLW1509 - the tests have no threads here
            )
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(40)
                    process.kill()
                process.wait()

    @property
    def output(self) -> str:
        """What a started command printed so far."""
        return (self.folder / "output.txt").read_text()

    def left(self) -> list[str]:
        """Command lines of the processes that carry this mark."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get(MARK) == self.mark:
                    found.append(" ".join(process.cmdline())[:200])
        return found


@pytest.fixture
def command_line(tmp_path: Path, tools: None) -> Iterator[CommandLine]:  # noqa: ARG001 - needed first
    """The command line in an empty folder; nothing may be left when the test is over."""
    line = CommandLine(tmp_path)
    yield line
    wait_for(lambda: not line.left(), 15, f"processes are left: {line.left()}")
    halves = [path.name for path in tmp_path.rglob(".*.*") if path.is_file()]
    assert not [name for name in halves if "tmp" in name], "a half-written file is left"


@dataclass
class PostgresServer:
    """A real PostgreSQL server of the test's own, as Debian packages it."""

    binaries: Path
    folder: Path
    port: int
    user: str | None
    environment: dict[str, str]

    @property
    def url(self) -> str:
        """URL of the database ``postgres``, as a user writes it."""
        return f"postgresql://tester:secret-of-the-test@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        log = str(self.folder / "server.log")
        self._control("-w", "-l", log, "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it; ``immediate`` is a crash."""
        self._control("-w", "-m", mode, "stop")

    def execute(self, statement: str) -> None:
        """Run one statement as the superuser."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.encode())

    def prepare(self) -> None:
        """Make the database's files."""
        secret = self.folder / "password"
        secret.write_text("secret-of-the-test\n")
        if self.user is not None:
            for path in (self.folder, secret):
                shutil.chown(path, self.user)
        # A test needs no durability against power loss of the machine that it runs on.
        self._run(
            "initdb", "-D", str(self.folder / "data"), "-U", "tester", "--no-sync",
            "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--no-locale",
        )  # fmt: skip

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self.binaries / program), *arguments],
            user=self.user,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
            timeout=60,
        )


@pytest.fixture
def postgresql() -> Iterator[PostgresServer]:
    """A running server without a log; PostgreSQL refuses to run as root, so root steps down."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    binaries = found[-1].parent if found else None
    on_path = shutil.which("initdb")
    if binaries is None and on_path is not None:
        binaries = Path(on_path).resolve().parent
    if binaries is None:
        missing("PostgreSQL server: initdb is not there; run: apt install postgresql")
        return
    user = None
    if os.geteuid() == 0:
        user = next((e.pw_name for e in pwd.getpwall() if e.pw_name == "postgres"), "nobody")
    # Not below pytest's folder, which no other user may enter.
    folder = Path(tempfile.mkdtemp(prefix="testbed-pg-"))
    server = PostgresServer(
        binaries, folder, free_port(), user, {"PATH": os.defpath, "LC_ALL": "C"}
    )
    try:
        server.prepare()
        server.start()
        yield server
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):  # it may be stopped already
            server.stop("immediate")
        shutil.rmtree(folder)


@pytest.fixture
def candidate(tmp_path: Path) -> Artefact:
    """Another small forest of the same use case."""
    from testbed_domain.training import TrainingOptions, train  # noqa: PLC0415 - slow to import
    from testbed_domain.use_cases import get_use_case  # noqa: PLC0415 - goes with the above

    options = TrainingOptions(10, 4, train_rows=600, test_rows=200, reference_rows=100)
    return train(get_use_case("diabetes"), None, 2, tmp_path / "candidate", options)

"""A real PostgreSQL server of a test's own."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from tests.support.needs import missing
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator


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
            timeout=300,
        )


@contextlib.contextmanager
def postgres_server() -> Iterator[PostgresServer]:
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

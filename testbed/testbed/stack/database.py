"""A PostgreSQL server of the run's own, for the prediction log: a component that faults can hit.

A scenario wants one by ``settings: {log: {database: postgresql}}``. Its files are made as the
stack begins, whose end removes them, by the programs of the machine (``initdb``, ``postgres``).
PostgreSQL refuses to run as root, so root steps down, and its files lie where that user may enter.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from testbed.componentnames import DATABASE
from testbed.errors import StackError
from testbed.stack.ports import HOST
from testbed.stack.process import ProcessRequest

if TYPE_CHECKING:
    from testbed.stack.context import StackContext

ADDRESS: Final = f"{DATABASE}:5432"
USER: Final = "testbed"
DEBIAN: Final = Path("/usr/lib/postgresql")
TIMEOUT: Final = 120.0


def binaries() -> Path | None:
    """Where PostgreSQL's server programs are, the newest first; None where there are none."""
    packaged = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if packaged:
        return packaged[-1].parent
    found = shutil.which("initdb")
    return None if found is None else Path(found).resolve().parent


def why_not() -> str | None:
    """Why this machine permits no server of the run's own; None where it does."""
    if binaries() is None:
        return "PostgreSQL's server is not there (initdb): install it, as by apt install postgresql"
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        return "PostgreSQL refuses to run as root, and there is no setpriv to step down by"
    return None


@dataclass(frozen=True, slots=True)
class OwnDatabase:
    """The server; :meth:`remove` its files at the end.

    Attributes:
        programs: folder of PostgreSQL's.
        folder: of its files.
        password: of its user.
        account: the system's, as which it runs; None: the caller's own.
    """

    programs: Path
    folder: Path
    password: str
    account: str | None

    @classmethod
    def choose(cls, data: Path) -> OwnDatabase:
        """Say where it will be; nothing is made yet.

        Args:
            data: folder of the run's data; root's lie elsewhere.

        Raises:
            StackError: this machine permits none; says why.
        """
        programs, account = binaries(), _account()
        if programs is None or (reason := why_not()):
            raise StackError(str(why_not() if programs is None else reason))
        own = secrets.token_hex(8)
        elsewhere = Path(tempfile.gettempdir(), f"testbed-database-{own}")
        folder = data / DATABASE if account is None else elsewhere
        return cls(programs, folder, secrets.token_hex(16), account)

    def make(self) -> None:
        """Make its files.

        Raises:
            StackError: they can't be made; says why.
        """
        try:
            self._initialise()
        except (OSError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", None) or error
            raise StackError(f"the database's files can't be made: {said}".strip()) from None

    def _initialise(self) -> None:
        """Make a cluster whose durability is the operating system's."""
        self.folder.mkdir(0o700, parents=True)
        secret = self.folder / "password"
        secret.touch(0o600)
        secret.write_text(f"{self.password}\n", encoding="ascii")
        if self.account is not None:
            for path in (self.folder, secret):
                shutil.chown(path, self.account)
        owner = ("-U", USER, f"--pwfile={secret}", "-A", "scram-sha-256")
        options = ("--no-sync", "--no-locale", "-E", "UTF8")
        subprocess.run(
            self.as_account("initdb", "-D", str(self.data), *owner, *options),
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=TIMEOUT,
        )

    @property
    def data(self) -> Path:
        """Folder of the cluster."""
        return self.folder / "cluster"

    @property
    def environment(self) -> dict[str, str]:
        """Of its programs."""
        return {"PATH": os.defpath, "LC_ALL": "C"}

    def url(self, address: str) -> str:
        """SQLAlchemy URL of the log, given host and port."""
        return f"postgresql://{USER}:{self.password}@{address}/postgres"

    def as_account(self, program: str, *arguments: str) -> tuple[str, ...]:
        """The command line of one of its programs."""
        step: tuple[str, ...] = ()
        if self.account is not None:
            group = str(pwd.getpwnam(self.account).pw_gid)
            step = ("setpriv", f"--reuid={self.account}", f"--regid={group}", "--clear-groups")
        return (*step, str(self.programs / program), *arguments)

    def remove(self) -> None:
        """Remove its files; those of the run's folder stay with it."""
        if self.account is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def name(self) -> str:
        """See :class:`testbed.stack.components.Component`."""
        return DATABASE

    def request(self, context: StackContext) -> ProcessRequest:
        """See :class:`testbed.stack.components.Component`."""
        settings = {"listen_addresses": HOST, "unix_socket_directories": "", "fsync": "off"}
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        port = context.port(ADDRESS)
        return ProcessRequest(
            name=self.name,
            argv=self.as_account("postgres", "-D", str(self.data), "-p", port, *options),
            log=context.layout.logs / f"{self.name}.log",
            env=self.environment,
            cwd=self.folder,
        )

    def not_ready(self, context: StackContext) -> str | None:
        """Whether it takes connections, as its own program says."""
        port = context.port(ADDRESS)
        done = subprocess.run(
            (str(self.programs / "pg_isready"), "-h", HOST, "-p", port, "-t", "2"),
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT,
        )
        return None if done.returncode == 0 else done.stdout.strip() or "it does not answer"


def _account() -> str | None:
    """The account of PostgreSQL, for root."""
    if os.geteuid() != 0:
        return None
    known = {each.pw_name for each in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"

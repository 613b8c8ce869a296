"""Whether a SQLite log still is where its connections write.

SQLite goes on with files that somebody has renamed, removed or truncated: a commit then succeeds
and nobody ever finds its rows. So each connection remembers which files it opened, and looks at
the paths before its first and after its last statement of a transaction.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from testbed_domain.errors import DomainError

if TYPE_CHECKING:
    from sqlalchemy import Connection

_KEY: Final = "testbed_files"
# What SQLite keeps beside a database in WAL mode; it removes neither while a connection is open.
_BESIDE: Final = ("-wal", "-shm")


class LogError(DomainError):
    """The prediction log cannot be opened, read or written."""


class LogReplacedError(LogError):
    """The files of the log are not those that were opened."""


class _File(NamedTuple):
    """Identity of a file, and whether it holds anything."""

    device: int
    inode: int
    filled: bool


class OpenFiles:
    """The files that one connection has open.

    Args:
        database: path of the log, as the connection was given it.
    """

    def __init__(self, database: Path) -> None:
        self._database = str(database)
        # SQLite names the files beside by what a symbolic link leads to.
        self._target = os.path.realpath(self._database)
        self._known = {self._database: _look(self._database)}
        self._reason: str | None = None

    def missing(self) -> str | None:
        """What became of the first file that was not the opened one any more; None: all stand."""
        self._reason = self._reason or self._find()
        return self._reason

    def _find(self) -> str | None:
        for path in (self._database, *(self._target + suffix for suffix in _BESIDE)):
            found = _look(path)
            known = self._known.setdefault(path, found)
            if known is None:
                self._known[path] = found  # made later than the connection
            elif found is None:
                return f"{path} was removed"
            elif found[:2] != known[:2]:
                return f"{path} was replaced"
            elif path == self._database and known.filled and not found.filled:
                return f"{path} was truncated"
            elif found.filled:
                self._known[path] = found
        return None


def remember_files(info: dict[Any, Any], database: Path) -> None:
    """Note what a new connection has opened, in the dictionary that goes with it."""
    info[_KEY] = OpenFiles(database)


def require_own_files(connection: Connection) -> None:
    """Raise :class:`LogReplacedError` where the log's paths lead elsewhere by now."""
    files: OpenFiles | None = connection.info.get(_KEY)
    reason = files.missing() if files is not None else None
    if reason is not None:
        raise LogReplacedError(f"{reason} while the prediction log was open; don't touch its files")


def salvage(connection: Connection) -> None:
    """Bring rows that were written ahead into the database file that the connection has open.

    The write-ahead log may lie under a path that another database has by now, which must not find
    rows there; and a renamed database gets what belongs to it.
    """
    with contextlib.suppress(Exception):  # the files are not ours any more: as far as it goes
        driver: Any = connection.connection.driver_connection
        driver.execute("PRAGMA busy_timeout = 0")
        driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _look(path: str) -> _File | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return _File(found.st_dev, found.st_ino, found.st_size > 0)

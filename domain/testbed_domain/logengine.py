"""Database connections of the prediction log: what SQLite and PostgreSQL need each."""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from testbed_otel.masking import mask

from testbed_domain.logfiles import (
    LogError,
    LogReplacedError,
    remember_files,
    require_own_files,
    salvage,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

# How long a connection waits for another one's write transaction.
_BUSY_SECONDS: Final = 30
_RETRY_SECONDS: Final = 0.01
_WRITE: Final = "testbed_write"
# Serialises the creation of tables in PostgreSQL; any number that nobody else uses.
_LOCK: Final = 7_305_121_946
_REFUSED: Final = "password authentication failed"
_CACHED: Final = (
    "PostgreSQL keeps the password that its data were made with: is it another one now?"
)
PASSWORD_FILE: Final = "password_file"  # noqa: S105 - the name of a parameter
"""Query parameter of a PostgreSQL URL: file of the password."""

__all__ = [
    "LogError",
    "LogReplacedError",
    "check_files",
    "create_log_engine",
    "lock_schema",
    "one_line",
    "writing",
]


def create_log_engine(url: str, *, create: bool, timeout: float = _BUSY_SECONDS) -> Engine:
    """An engine for a log URL; nothing is connected yet.

    Args:
        url: where the log lives.
        create: whether a SQLite file may be made.
        timeout: seconds to wait for another writer's lock, or for a server that doesn't answer.

    Raises:
        LogError: the URL is none, names no file, or its driver is not installed.
    """
    try:
        parsed = database_url(url)
    except ArgumentError:
        raise LogError(
            "the prediction log's URL is not valid; write sqlite:////path/to/log.db "
            "or postgresql://user:password@host/database, a '@' in the password as %40 "
            f"or the password in a file: ?{PASSWORD_FILE}=/path"
        ) from None
    kind = parsed.get_backend_name()
    if kind == "sqlite":
        return _sqlite(parsed, create=create, timeout=timeout)
    if kind in {"postgresql", "postgres"}:
        return _postgresql(parsed, timeout)
    raise LogError(f"the prediction log cannot be stored in {kind}; use sqlite or postgresql")


def database_url(url: str) -> URL:
    """A database's URL, read in the one way that its writer can mean.

    Raises:
        ArgumentError: it is none; or its password holds a plain ``@``, whose end would be taken for
            the host, and shown as such by whatever then fails.
    """
    try:
        parsed = make_url(url)
    except ValueError:  # a port that is no number, which may be such an end, too
        raise ArgumentError("no number as port") from None
    after = f"{parsed.host}{parsed.database}"
    if parsed.password is not None and "@" in after:
        raise ArgumentError("a plain '@' in the password")
    return parsed


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A write transaction, committed at the end of the block.

    Raises:
        LogReplacedError: the log's files were replaced; what was written is not in the log.
    """
    with engine.connect() as plain:
        connection = plain.execution_options(**{_WRITE: True})
        try:
            with connection.begin():
                require_own_files(connection)
                yield connection
            # Only now: a commit into files that are gone succeeds as well.
            require_own_files(connection)
        except LogReplacedError:
            salvage(connection)
            raise


def check_files(engine: Engine) -> None:
    """Look whether the log still is where its connections write; nothing is read or written.

    Raises:
        LogReplacedError: it isn't.
    """
    if engine.name == "sqlite":
        with engine.connect() as connection:
            try:
                require_own_files(connection)
            except LogReplacedError:
                salvage(connection)
                raise


@contextmanager
def one_line(url: URL) -> Iterator[None]:
    """Turn what the database says into a :class:`LogError` of one line."""
    try:
        yield
    except SQLAlchemyError as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        reason = (str(cause).strip() or type(error).__name__).splitlines()[0]
        hint = f"; {_CACHED}" if _REFUSED in reason else ""
        raise LogError(f"prediction log {mask(url)}: {mask(reason)}{hint}") from error


def _sqlite(url: URL, *, create: bool, timeout: float) -> Engine:
    if url.database in {None, "", ":memory:"}:
        raise LogError(
            "a prediction log in memory is lost with the process; name a file: sqlite:////path/to/log.db"
        )
    file = Path(str(url.database))
    if not file.parent.is_dir():
        raise LogError(f"the prediction log's directory {file.parent} does not exist; make it")
    if not create and not file.exists():
        raise LogError(f"there is no prediction log at {file}; give the API's --log-url")
    engine = create_engine(url, connect_args={"timeout": timeout}, paramstyle="named")

    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: Any) -> None:  # noqa: ANN401 - the driver's own types
        # The driver would begin transactions late and by guessing; here they begin below.
        connection.isolation_level = None
        _write_ahead(connection, timeout)
        connection.execute("PRAGMA synchronous = FULL")
        remember_files(record.info, file)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A writer takes the lock at once: one that first read could not wait for it later.
        write = connection.get_execution_options().get(_WRITE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _write_ahead(connection: sqlite3.Connection, timeout: float) -> None:
    """Have a connection write ahead.

    Of several that change a new file at once, SQLite refuses all but one, without waiting.
    """
    end = time.monotonic() + timeout
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= end:
                raise
            time.sleep(_RETRY_SECONDS)
        else:
            return


def _with_password(url: URL) -> URL:
    """The URL with the password of the file that it names, as Docker hands secrets over."""
    file = url.query.get(PASSWORD_FILE)
    if file is None:
        return url
    try:
        password = Path(str(file)).read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise LogError(
            f"prediction log {mask(url)}: the password can't be read from {file}: {error}"
        ) from None
    return url.difference_update_query([PASSWORD_FILE]).set(password=password)


def _postgresql(url: URL, timeout: float) -> Engine:
    url = _with_password(url)
    milliseconds = round(timeout * 1000)
    waits = {
        "connect_timeout": max(2, round(timeout)),  # the driver's smallest
        "tcp_user_timeout": milliseconds,  # a server that is cut off
        "options": f"-c lock_timeout={milliseconds}",
    }
    # What the URL says goes first.
    chosen = {name: value for name, value in waits.items() if name not in url.query}
    try:
        return create_engine(
            url.set(drivername="postgresql+psycopg"), pool_pre_ping=True, connect_args=chosen
        )
    except ImportError:
        raise LogError(
            "PostgreSQL needs its driver: pip install 'testbed-domain[postgresql]'"
        ) from None


def lock_schema(connection: Connection) -> None:
    """Let only one process at a time create tables; SQLite's write transaction does so itself."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})

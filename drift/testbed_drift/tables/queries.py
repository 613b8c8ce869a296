"""Tables that a database gives: a query, wrapped so that only the wanted columns come over."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pandas as pd
from sqlalchemy import URL, create_engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from testbed_drift.tables.sources import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

T = TypeVar("T")

BLOCK: Final = 50_000
_TABLE: Final = re.compile(r'[\w".$]+')
# SQLAlchemy's default for PostgreSQL is a driver that this project does not use.
_DRIVERS: Final = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
_POSTGRESQL: Final = "postgresql"
_SQLITE: Final = "sqlite"


@dataclass(frozen=True, slots=True)
class QuerySource:
    """The rows of a query. The database is only read.

    Attributes:
        which: ``reference`` or ``current``.
        url: the database.
        query: a SELECT without a semicolon at its end.
    """

    which: str
    url: URL
    query: str

    @classmethod
    def of(cls, which: str, url: str, query: str) -> QuerySource:
        """Read the options.

        Raises:
            SourceError: the URL is none, or names a SQLite file that does not exist.
        """
        try:
            parsed = make_url(url)
        except (ArgumentError, ValueError):  # the latter of a port that is not a number
            raise SourceError(
                f"--{which}-url is no URL of a database; write sqlite:////path/to/file.db or "
                "postgresql://user@host/database"
            ) from None
        if parsed.get_backend_name() == _SQLITE and not Path(parsed.database or "").is_file():
            # SQLite would make an empty one.
            raise SourceError(f"--{which}-url: there is no file {parsed.database}")
        if parsed.drivername in _DRIVERS:
            parsed = parsed.set(drivername=_DRIVERS[parsed.drivername])
        asked = query.strip().rstrip(";").strip()
        if _TABLE.fullmatch(asked):
            asked = f"SELECT * FROM {asked}"  # noqa: S608 - the user's own table
        return cls(which, parsed, asked)

    @property
    def title(self) -> str:
        """Which query of which database; the password is not shown."""
        return f"the {self.which} query of {self.url}"

    @property
    def stem(self) -> str:
        """Its role: a query has no short name."""
        return self.which

    @property
    def typed(self) -> bool:
        """Columns of a database have types."""
        return True

    def names(self) -> list[str]:
        """See :class:`testbed_drift.tables.sources.Source`."""
        return self._asked("*", lambda result: list(result.keys()), " WHERE 1 = 0")

    def read(self, columns: Sequence[str]) -> pd.DataFrame:
        """See :class:`testbed_drift.tables.sources.Source`."""
        wanted = list(dict.fromkeys(columns))

        def fetch(result: Any) -> pd.DataFrame:  # noqa: ANN401 - SQLAlchemy's own
            blocks = [
                pd.DataFrame(list(map(tuple, part)), columns=wanted)
                for part in result.partitions(BLOCK)
            ]
            if not blocks:
                return pd.DataFrame(columns=wanted)
            return pd.concat(blocks, ignore_index=True)

        return self._asked(wanted, fetch)

    def identity(self) -> dict[str, Any]:
        """Database and query. Their rows may change: nothing here tells."""
        return {"kind": "query", "url": str(self.url), "query": self.query}

    def _asked(self, columns: Sequence[str], take: Callable[[Any], T], condition: str = "") -> T:
        try:
            engine = create_engine(self.url)
            try:
                with engine.connect() as connection:
                    chosen = (
                        ", ".join(map(engine.dialect.identifier_preparer.quote_identifier, columns))
                        if columns != "*"
                        else "*"
                    )
                    statement = f"SELECT {chosen} FROM ({self.query}) AS asked{condition}"  # noqa: S608 - the user's own query
                    return take(_read_only(connection).exec_driver_sql(statement))
            finally:
                engine.dispose()
        except (ImportError, NoSuchModuleError) as error:
            raise SourceError(
                f"cannot read {self.title}: its driver is missing: {error}"
            ) from error
        except SQLAlchemyError as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            reason = (str(cause).strip() or type(error).__name__).splitlines()[0]
            raise SourceError(f"cannot read {self.title}: {reason}") from error


def _read_only(connection: Connection) -> Connection:
    """A transaction that can't write, whose statements are sent as they are."""
    options: dict[str, Any] = {"no_parameters": True, "stream_results": True}
    if connection.dialect.name == _POSTGRESQL:
        options["postgresql_readonly"] = True
    elif connection.dialect.name == _SQLITE:
        connection.exec_driver_sql("PRAGMA query_only = ON")
    return connection.execution_options(**options)

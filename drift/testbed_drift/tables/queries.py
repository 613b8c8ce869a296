"""Tables that a database gives: a query, wrapped so that only the wanted columns come over."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pandas as pd
from sqlalchemy import URL, create_engine
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from testbed_domain.logengine import database_url
from testbed_domain.tables.columnkinds import plain
from testbed_domain.tables.reading import ReadOptions, SourceError
from testbed_otel.masking import mask

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

T = TypeVar("T")

BLOCK: Final = 50_000
_TABLE: Final = re.compile(r'[\w".$]+')
_PIECE: Final = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))|'(?:[^']|'')*'|"(?:[^"]|"")*"|.""", re.DOTALL
)
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
        query: a SELECT without a semicolon or comment at its end.
        options: what the user says of the table.
        notes: see :class:`testbed_drift.tables.sources.TableSource`.
    """

    which: str
    url: URL
    query: str
    options: ReadOptions = field(default_factory=ReadOptions)
    notes: dict[str, None] = field(default_factory=dict)

    @classmethod
    def of(
        cls, which: str, url: str, query: str, options: ReadOptions | None = None
    ) -> QuerySource:
        """Read the options.

        Raises:
            SourceError: the URL is none, or names a SQLite file that does not exist.
        """
        try:
            parsed = database_url(url)
        except ArgumentError:
            raise SourceError(
                f"--{which}-url is not the URL of a database; write sqlite:////path/to/file.db or "
                "postgresql://user@host/database, a '@' in a password as %40"
            ) from None
        if parsed.get_backend_name() == _SQLITE and not Path(parsed.database or "").is_file():
            # SQLite would make an empty one.
            raise SourceError(f"--{which}-url: there is no file {parsed.database}")
        if parsed.drivername in _DRIVERS:
            parsed = parsed.set(drivername=_DRIVERS[parsed.drivername])
        asked = _bare(query)
        if _TABLE.fullmatch(asked):
            asked = f"SELECT * FROM {asked}"  # noqa: S608 - the user's own table
        return cls(which, parsed, asked, options or ReadOptions())

    @property
    def title(self) -> str:
        """Which query of which database; the password is not shown."""
        return f"the {self.which} query of {mask(self.url)}"

    @property
    def stem(self) -> str:
        """Its role: a query has no short name."""
        return self.which

    @property
    def typed(self) -> bool:
        """Columns of a database have types."""
        return True

    def names(self) -> list[str]:
        """See :class:`testbed_drift.tables.sources.TableSource`."""
        return self._asked("*", lambda result: list(result.keys()), " WHERE 1 = 0")

    def labels(self) -> list[str]:
        """None: what a query names, somebody wants."""
        return []

    def read(self, columns: Sequence[str]) -> pd.DataFrame:
        """See :class:`testbed_drift.tables.sources.TableSource`."""
        wanted = list(dict.fromkeys(columns))

        def fetch(result: Any) -> pd.DataFrame:  # noqa: ANN401 - SQLAlchemy's own
            blocks = [
                pd.DataFrame(list(map(tuple, part)), columns=wanted)
                for part in result.partitions(BLOCK)
            ]
            if not blocks:
                return pd.DataFrame(columns=wanted)
            return pd.concat(blocks, ignore_index=True)

        frame, nested = plain(self._asked(wanted, fetch))
        if nested:
            self.notes[
                f"{self.title}: lists and objects are taken as text, in {', '.join(nested)}"
            ] = None
        return frame

    def identity(self) -> dict[str, Any]:
        """Database and query. Their rows may change: nothing here shows it."""
        return {"kind": "query", "url": mask(self.url), "query": self.query}

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
                    statement = f"SELECT {chosen} FROM ({self.query}\n) AS asked{condition}"  # noqa: S608 - the user's own query
                    return take(_read_only(connection).exec_driver_sql(statement))
            finally:
                engine.dispose()
        except (ImportError, NoSuchModuleError) as error:
            raise SourceError(
                f"cannot read {self.title}: its driver is missing: {mask(error)}"
            ) from error
        except SQLAlchemyError as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            reason = (str(cause).strip() or type(error).__name__).splitlines()[0]
            raise SourceError(f"cannot read {self.title}: {mask(reason)}") from error


def _bare(query: str) -> str:
    """The query without semicolons and comments at its end, which would end the wrapped one."""
    end = 0
    for found in _PIECE.finditer(query):
        if not (found["comment"] or found[0].isspace() or found[0] == ";"):
            end = found.end()
    return query[:end].strip()


def _read_only(connection: Connection) -> Connection:
    """A transaction that can't write, whose statements are sent as they are."""
    options: dict[str, Any] = {"no_parameters": True, "stream_results": True}
    if connection.dialect.name == _POSTGRESQL:
        options["postgresql_readonly"] = True
    elif connection.dialect.name == _SQLITE:
        connection.exec_driver_sql("PRAGMA query_only = ON")
    return connection.execution_options(**options)

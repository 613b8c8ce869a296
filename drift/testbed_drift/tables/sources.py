"""Where a table comes from: a file or a query. Only the columns that are asked for are read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from testbed_domain.tables.reading import ReadOptions, SourceError

__all__ = ["SourceError", "TableSource", "open_source"]

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd


class TableSource(Protocol):
    """A table that has not been read yet."""

    @property
    def title(self) -> str:
        """What errors and reports call it; holds no password."""

    @property
    def stem(self) -> str:
        """Its part of the reports' file names."""

    @property
    def typed(self) -> bool:
        """Whether a text in it is meant as text; in a CSV file it may be a number."""

    @property
    def options(self) -> ReadOptions:
        """What the user says of it."""

    @property
    def notes(self) -> Mapping[str, None]:
        """What a user should know of how it was read, a line each; grows as it is read."""

    def names(self) -> list[str]:
        """Names of its columns, in order.

        Raises:
            SourceError: it can't be read.
        """

    def labels(self) -> list[str]:
        """Those of its columns that are nothing but labels of the rows, as pandas writes its index.

        Raises:
            SourceError: it can't be read.
        """

    def read(self, columns: Sequence[str]) -> pd.DataFrame:
        """The rows, of these columns only and in this order.

        Raises:
            SourceError: it can't be read.
        """

    def identity(self) -> dict[str, Any]:
        """What shows later whether it is still the same table, JSON-ready.

        Raises:
            SourceError: it can't be read.
        """


def open_source(
    which: str,
    file: str | None,
    url: str | None,
    query: str | None,
    options: ReadOptions | None = None,
) -> TableSource:
    """The table that the options describe; nothing is read yet.

    Args:
        which: ``reference`` or ``current``, for errors.
        file: path of a file.
        url: SQLAlchemy URL of a database.
        query: what to ask it: a SELECT, or the name of a table.
        options: what the user says of how to read it.

    Raises:
        SourceError: the options name no table, or two, or one that can't be read.
    """
    if file is not None and (url is not None or query is not None):
        raise SourceError(f"give --{which} or --{which}-url and --{which}-query, not both")
    if file is not None:
        from testbed_domain.tables.files import FileSource  # noqa: PLC0415 - pandas takes a second

        return FileSource.of(Path(file), options)
    if url is None and query is None:
        raise SourceError(
            f"nothing to compare is given: say --{which} FILE, or --{which}-url URL with a query"
        )
    if url is None or query is None:
        missing, there = ("url", "query") if url is None else ("query", "url")
        raise SourceError(f"--{which}-{there} needs --{which}-{missing} beside it")
    from testbed_drift.tables.queries import QuerySource  # noqa: PLC0415 - as above

    return QuerySource.of(which, url, query, options)

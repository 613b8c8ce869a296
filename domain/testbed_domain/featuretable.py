"""The feature table: the features of each known id, for requests that carry nothing else.

One SQLite file in the artefact, written once at training time and hashed like the artefact's other
files; standard library only.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING, Any, Final, Self

from testbed_domain.artefact import FEATURES, ArtefactError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from testbed_domain.artefact import Artefact
    from testbed_domain.features import Row

_CREATE: Final = "CREATE TABLE features (id TEXT PRIMARY KEY, row TEXT NOT NULL) WITHOUT ROWID"


def write_table(path: Path, entities: Iterable[tuple[str, Row]]) -> None:
    """Write ids and their rows into a new file; the same rows make the same bytes.

    Raises:
        sqlite3.IntegrityError: an id comes twice.
    """
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(_CREATE)
        lines = sorted((identifier, json.dumps(row)) for identifier, row in entities)
        connection.executemany("INSERT INTO features VALUES (?, ?)", lines)


def entities(artefact: Artefact) -> list[tuple[str, Row]]:
    """Every id of an artefact and its features; none where its rows have no ids."""
    table = FeatureTable.of(artefact)
    if table is None:
        return []
    with contextlib.closing(table):
        return table.rows()


class FeatureTable:
    """The feature table of an artefact, read only.

    A look-up takes some tens of microseconds, so it may happen in an event loop. One thread at a
    time may look up.

    Args:
        path: the table's file.

    Raises:
        ArtefactError: the file is no feature table.
    """

    def __init__(self, path: Path) -> None:
        # The file never changes, so SQLite needs no locks and no journal beside it.
        uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
        try:
            self._connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
            self._count = int(self._one("SELECT count(*) FROM features")[0])
        except sqlite3.Error as error:
            raise ArtefactError(f"cannot read {path}: {error}; train again") from error

    @classmethod
    def of(cls, artefact: Artefact) -> Self | None:
        """The artefact's table, or None where its rows have no ids."""
        return cls(artefact.path / FEATURES) if FEATURES in artefact.files else None

    def __len__(self) -> int:
        return self._count

    def get(self, identifier: str) -> Row | None:
        """The features of an id, or None where the id is unknown."""
        found = self._one("SELECT row FROM features WHERE id = ?", identifier)
        return json.loads(found[0]) if found else None

    def rows(self) -> list[tuple[str, Row]]:
        """Every id and its features."""
        found = self._connection.execute("SELECT id, row FROM features ORDER BY id")
        return [(identifier, json.loads(row)) for identifier, row in found]

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _one(self, query: str, *values: str) -> Any:  # noqa: ANN401 - a row of any query
        return self._connection.execute(query, values).fetchone()

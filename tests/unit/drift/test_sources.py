"""Tables from files and queries: the same rows from each, and only the wanted columns."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from testbed_domain.tables.columnkinds import numbers
from testbed_drift.tables.queries import QuerySource
from testbed_drift.tables.sources import SourceError, open_source

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROWS = 30
WRITERS: dict[str, Callable[[pd.DataFrame, Path], object]] = {
    "t.parquet": lambda table, path: table.to_parquet(path),
    "t.feather": lambda table, path: table.to_feather(path),
    "t.orc": lambda table, path: table.to_orc(path),
    "t.csv": lambda table, path: table.to_csv(path, index=False),
    "t.csv.gz": lambda table, path: table.to_csv(path, index=False),
    "t.tsv": lambda table, path: table.to_csv(path, index=False, sep="\t"),
    "semicolons.csv": lambda table, path: table.to_csv(path, index=False, sep=";"),
    "t.jsonl": lambda table, path: table.to_json(path, orient="records", lines=True),
    "t.jsonl.xz": lambda table, path: table.to_json(path, orient="records", lines=True),
    "t.dta": lambda table, path: table.to_stata(path, write_index=False),
    "t.xlsx": lambda table, path: table.to_excel(path, index=False),
}


@pytest.fixture
def table() -> pd.DataFrame:
    """Numbers and text; the first row is not of its column's commonest kind."""
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "age": rng.normal(30, 5, ROWS).round(3),
            "town": rng.choice(["a", "b", "ü"], ROWS),
            "secret": rng.integers(0, 9, ROWS),
        }
    )


@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_of_file_gives_the_same_rows(
    table: pd.DataFrame, tmp_path: Path, name: str
) -> None:
    """Whatever wrote the file, the wanted columns come back, in the wanted order, and no other."""
    path = tmp_path / name
    WRITERS[name](table, path)
    source = open_source("reference", str(path), None, None)
    assert source.names() == ["age", "town", "secret"]
    found = source.read(["town", "age"])
    assert list(found) == ["town", "age"]
    assert found["town"].tolist() == table["town"].tolist()
    assert numbers(found["age"]).tolist() == pytest.approx(table["age"].tolist())
    assert source.stem == name.partition(".")[0]
    assert source.typed is (".csv" not in name and ".tsv" not in name)


def test_a_damaged_column_that_nobody_wants_is_not_read(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    """Columns are pushed down to the file: bytes of another column of it don't matter."""
    path = tmp_path / "t.parquet"
    table.to_parquet(path, compression=None)
    data = bytearray(path.read_bytes())
    place = data.find(b"secret")
    assert place > 0
    import pyarrow.parquet as pq  # noqa: PLC0415 - only here

    start = pq.ParquetFile(path).metadata.row_group(0).column(2).dictionary_page_offset
    data[start : start + 8] = b"\xff" * 8
    path.write_bytes(data)
    source = open_source("reference", str(path), None, None)
    assert source.read(["age"])["age"].tolist() == table["age"].tolist()
    with pytest.raises(SourceError, match=r"t\.parquet"):
        source.read(["secret"])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.pickle", b"x", "give one of .csv, "),
        ("t.parquet.gz", b"x", "give one of .csv, "),
        ("t", b"x", "give one of .csv, "),
        ("t.csv", b"", "is empty; give a file with a header"),
        ("t.parquet", b"no parquet", "cannot read "),
        ("t.feather", b"no feather", "cannot read "),
        ("t.jsonl", b"{]\n", "cannot read "),
        ("t.csv.gz", b"no gzip", "cannot read "),
        ("t.csv.xz", b"no xz", "cannot read "),
        ("t.csv.zip", b"no zip", "cannot read "),
        ("t.csv.zst", b"no zst", "cannot read "),
        ("t.xlsx", b"no zip", "cannot read "),
    ],
)
def test_files_that_are_no_table(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    """One line that names the file, for what is no table and for what is broken."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError, match=message) as caught:
        open_source("current", str(path), None, None).names()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((None, None, None), "nothing to compare is given: say --current FILE"),
        (("nowhere.csv", None, None), "there is no file nowhere.csv"),
        (("a.csv", "sqlite://", "t"), "not both"),
        ((None, "sqlite:///a.db", None), "--current-url needs --current-query"),
        ((None, None, "t"), "--current-query needs --current-url"),
        ((None, "no url", "t"), "--current-url is not the URL"),
        ((None, "sqlite:///nowhere.db", "t"), "there is no file nowhere.db"),
        ((None, "oracle://me@db/x", "t"), "its driver is missing"),
    ],
)
def test_options_that_name_no_table(
    given: tuple[str | None, str | None, str | None], message: str
) -> None:
    """The line says which option to mend."""
    with pytest.raises(SourceError, match=message):
        open_source("current", *given).names()


@pytest.fixture
def database(table: pd.DataFrame, tmp_path: Path) -> str:
    """A SQLite database with the table."""
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        table.to_sql("people", connection, index=False)
    connection.close()
    return f"sqlite:///{tmp_path / 'shop.db'}"


@pytest.mark.parametrize(
    "query",
    [
        "people",
        "SELECT * FROM people ;",
        "SELECT age, town, 1 AS secret FROM people WHERE town LIKE '%' OR town = ':a'",
        "WITH p AS (SELECT * FROM people) SELECT * FROM p ORDER BY rowid_or_age".replace(
            "rowid_or_age", "age"
        ),
    ],
)
def test_queries_give_the_wanted_columns(database: str, table: pd.DataFrame, query: str) -> None:
    """Names of tables and SELECTs of any form are wrapped, percent signs and colons included."""
    source = open_source("current", None, database, query)
    assert source.names() == ["age", "town", "secret"]
    found = source.read(["town", "age"])
    assert list(found) == ["town", "age"]
    assert sorted(found["age"]) == pytest.approx(sorted(table["age"]))


def test_queries_only_read(database: str) -> None:
    """What would change the database is refused by it, and a password is never shown."""
    with pytest.raises(SourceError, match="cannot read the current query of"):
        open_source("current", None, database, "DELETE FROM people RETURNING *").names()
    secret = QuerySource.of("current", "postgresql://me:hidden@127.0.0.1:9/shop", "people")
    assert secret.url.drivername == "postgresql+psycopg"
    with pytest.raises(SourceError) as caught:
        secret.names()
    assert "hidden" not in str(caught.value)
    assert "hidden" not in str(secret.identity())


def test_an_empty_query_has_columns(database: str) -> None:
    """No rows are a table, too."""
    found = open_source("current", None, database, "SELECT * FROM people WHERE 0").read(["age"])
    assert (len(found), list(found)) == (0, ["age"])


def test_folder_of_parquet_files_is_refused_with_what_to_do(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    """The command that is named makes one file of it."""
    folder = tmp_path / "lake"
    table.assign(part=["a", "b"] * (ROWS // 2)).to_parquet(folder, partition_cols=["part"])
    with pytest.raises(SourceError, match="it is a folder, give one file; of the Par") as caught:
        open_source("current", str(folder), None, None)
    command = str(caught.value).partition("python -c '")[2].rstrip("'")
    subprocess.run([sys.executable, "-c", command], check=True, cwd=tmp_path)
    assert len(pd.read_parquet(tmp_path / "one.parquet")) == ROWS

"""Tables in binary files: their columns, and the rows of some of them.

Of Parquet, Arrow and ORC the wanted columns only are read.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.orc
import pyarrow.parquet

from testbed_domain.tables.reading import refuse_title

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Names = tuple[tuple[str, ...], tuple[str, ...]]
"""Of all columns, in order, and of those that label the rows."""

_ARROW: Final = b"ARROW1"
_FEATHER: Final = b"FEA1"
# First bytes of a file, what it is, and the endings of its name.
_MARKS: Final = (
    (b"PAR1", "Parquet", ".parquet", ".pq"),
    (_ARROW, "Arrow", ".arrow", ".feather"),
    (_FEATHER, "Feather", ".feather", ".arrow"),
    (b"ORC", "ORC", ".orc"),
    (b"PK\x03\x04", "a zip archive or a workbook of Excel", ".xlsx", ".ods", ".zip"),
    (b"\xd0\xcf\x11\xe0", "an old workbook of Excel", ".xls"),
    (b"\x1f\x8b", "compressed by gzip", ".csv.gz", ".gz"),
    (b"BZh", "compressed by bzip2", ".csv.bz2", ".bz2"),
    (b"\xfd7zXZ\x00", "compressed by xz", ".csv.xz", ".xz"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", ".csv.zst", ".zst"),
)
_TEXT: Final = ("text", ".csv", ".tsv", ".json", ".jsonl", ".ndjson")
# Text in any encoding of 8 bits has none of these.
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_HEAD: Final = 512


def format_of(path: Path) -> tuple[str, ...]:
    """What a file is by its first bytes, and the endings that its name may have; empty if unknown.

    Args:
        path: the file.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return ()
    found = next((rest for mark, *rest in _MARKS if head.startswith(mark)), None)
    if found:
        return tuple(found)
    return _TEXT if head and not _CONTROL.search(head) else ()


def arrow_names(path: Path) -> Names:
    """Columns of a file or a stream of Arrow, or of Feather's first version."""
    return _names(_table(path).schema)


def arrow(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Rows of such a file."""
    return _frame(_table(path, columns))


def parquet_names(path: Path) -> Names:
    """Columns of a Parquet file."""
    return _names(pyarrow.parquet.read_schema(path))


def parquet(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Rows of a Parquet file."""
    return _frame(pyarrow.parquet.ParquetFile(path).read(columns=list(columns)))


def orc_names(path: Path) -> tuple[str, ...]:
    """Columns of an ORC file."""
    return tuple(pyarrow.orc.ORCFile(path).schema.names)


def orc(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Rows of an ORC file."""
    return _frame(pyarrow.orc.ORCFile(path).read(columns=list(columns)))


def stata_names(path: Path) -> tuple[str, ...]:
    """Columns of a file of Stata."""
    with pd.read_stata(path, iterator=True) as reader:
        return tuple(reader.variable_labels())


def excel(path: Path) -> tuple[tuple[str, ...], tuple[str, ...], pd.DataFrame]:
    """Columns of a workbook's first sheet, those that label the rows, and its rows.

    Raises:
        pd.errors.EmptyDataError: it has no header.
        ValueError: its header has hardly a name.
    """
    cells = pd.read_excel(path, header=None, dtype=object)
    if cells.empty:
        raise pd.errors.EmptyDataError
    first = cells.iloc[0]
    refuse_title(["" if pd.isna(name) else name for name in first])
    names = tuple(
        f"Unnamed: {place}" if pd.isna(name) else str(name).strip()
        for place, name in enumerate(first)
    )
    rows = cells.iloc[1:].reset_index(drop=True).infer_objects()
    labels = names[:1] if names[0] == "Unnamed: 0" and names[1:] else ()
    return names, labels, rows.set_axis(list(names), axis="columns")


def _table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    with path.open("rb") as file:
        head = file.read(len(_ARROW))
    wanted = None if columns is None else list(columns)
    if head.startswith((_ARROW, _FEATHER)):
        return pyarrow.feather.read_table(path, columns=wanted, memory_map=True)
    # A stream has the same ending and no mark of its own.
    with pa.memory_map(str(path)) as mapped, pa.ipc.open_stream(mapped) as stream:
        table = stream.read_all()
    return table if wanted is None else table.select(wanted)


def _names(schema: pa.Schema) -> Names:
    """The metadata of pandas says which columns are its index."""
    about = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
    index = [one for one in about.get("index_columns", ()) if isinstance(one, str)]
    return tuple(schema.names), tuple(name for name in index if name in schema.names)


def _frame(table: pa.Table) -> pd.DataFrame:
    # As columns, all of them; whole numbers stay whole beside missing ones.
    plain = table.replace_schema_metadata(None)
    frame: pd.DataFrame = plain.to_pandas(integer_object_nulls=True)
    return frame

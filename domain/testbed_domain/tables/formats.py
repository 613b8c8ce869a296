"""The kinds of files that hold a table, distinguished by their names' endings.

Column push-down: Parquet, Feather, ORC and Stata read the wanted columns only; of CSV and Excel the
others are not kept; JSON lines are read a block at a time. Pickles are refused: reading one runs
its code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Final

import pandas as pd

from testbed_domain.tables import binaryfiles
from testbed_domain.tables.csvtext import (
    encoding_of,
    header_rows,
    layout_of,
    read_csv,
    short_rows,
)
from testbed_domain.tables.jsonfiles import json_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from testbed_domain.tables.reading import ReadOptions

LABELS_ROWS: Final = "it labels the rows, as the index of pandas does"
# What pandas calls an index without a name where it writes one as a column.
_LEADING_LABEL: Final = re.compile(r"Unnamed: \d+(\.\d+)*|__index_level_\d+__")
_LABEL: Final = re.compile(r"__index_level_\d+__")


@dataclass(frozen=True, slots=True)
class Header:
    """Columns of a table before its rows are read.

    Attributes:
        names: of all columns, in order; a name may come twice.
        labels: those of them that are labels of the rows, as pandas writes its index.
        notes: what a user should know of how the table was read, a line each.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


Read = tuple[pd.DataFrame, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Format:
    """How one kind of file is read.

    Attributes:
        header: the columns.
        read: rows of the wanted columns, and notes on them.
        typed: whether a text in it is meant as text: not in CSV.
        compressible: whether ``.gz`` and its like may follow the ending.
    """

    header: Callable[[Path, ReadOptions], Header]
    read: Callable[[Path, list[str], ReadOptions], Read]
    typed: bool = True
    compressible: bool = False


def _csv_header(path: Path, options: ReadOptions) -> Header:
    found = layout_of(path, options)
    notes = _guessed(path, found.encoding) if found.guessed else ()
    if found.comments:
        notes = (*notes, f"{path}: {found.comments} lines of comment above the header are left out")
    return Header(found.names, found.labels, notes)


def _csv(path: Path, columns: list[str], options: ReadOptions) -> Read:
    layout = layout_of(path, options)
    frame = read_csv(path, layout)
    found, notes = frame[columns], []
    again = header_rows(frame)
    if repeated := int(again.sum()):
        found = found[~again].reset_index(drop=True)
        notes.append(f"{path}: {repeated} rows that repeat the header are left out")
    # Only then can a row be short.
    if frame.iloc[:, -1].isna().any() and (short := short_rows(path, layout)):
        notes.append(
            f"{path}: {short} rows have fewer fields than the header, what they lack is missing"
        )
    return found, tuple(notes)


def _json(path: Path, columns: list[str], options: ReadOptions) -> Read:
    # A column that a whole block lacks is missing in its rows.
    parts = [pd.DataFrame(rows, columns=columns) for rows in json_rows(path, options)]
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns), ()


def _json_header(path: Path, options: ReadOptions) -> Header:
    found: dict[str, None] = {}
    for rows in json_rows(path, options):
        for row in rows:
            found |= dict.fromkeys(row)
    encoding, guessed = encoding_of(path, options)
    return Header(tuple(found), notes=_guessed(path, encoding) if guessed else ())


def _guessed(path: Path, encoding: str) -> tuple[str]:
    line = f"{path} is not UTF-8, read as {encoding}: if letters are wrong, give --encoding"
    return (line,)


_CSV: Final = Format(_csv_header, _csv, typed=False, compressible=True)
_JSON: Final = Format(_json_header, _json, compressible=True)
_PARQUET: Final = Format(
    lambda path, _: Header(*binaryfiles.parquet_names(path)),
    lambda path, columns, _: (binaryfiles.parquet(path, columns), ()),
)
_FEATHER: Final = Format(
    lambda path, _: Header(*binaryfiles.arrow_names(path)),
    lambda path, columns, _: (binaryfiles.arrow(path, columns), ()),
)
_ORC: Final = Format(
    lambda path, _: Header(binaryfiles.orc_names(path)),
    lambda path, columns, _: (binaryfiles.orc(path, columns), ()),
)
_STATA: Final = Format(
    lambda path, _: Header(binaryfiles.stata_names(path)),
    lambda path, columns, _: (pd.read_stata(path, columns=columns), ()),
)
_EXCEL: Final = Format(
    lambda path, _: Header(*binaryfiles.excel(path)[:2]),
    lambda path, columns, _: (binaryfiles.excel(path)[2][columns], ()),
)
FORMATS: Final = {
    ".csv": _CSV,
    ".tsv": _CSV,
    ".jsonl": _JSON,
    ".ndjson": _JSON,
    ".json": _JSON,
    ".parquet": _PARQUET,
    ".pq": _PARQUET,
    ".feather": _FEATHER,
    ".arrow": _FEATHER,
    ".orc": _ORC,
    ".dta": _STATA,
    ".xlsx": _EXCEL,
    ".xls": _EXCEL,
    ".ods": _EXCEL,
}


def label_names(names: Sequence[str]) -> list[str]:
    """Columns whose names say that they are an index of pandas; some only where they lead."""
    leading = list(takewhile(_LEADING_LABEL.fullmatch, names))
    found = [*leading, *filter(_LABEL.fullmatch, names)]
    return found if len({*found}) < len(names) else []

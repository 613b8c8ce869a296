"""Tables in files that pandas can read, distinguished by their names' endings.

Column push-down: Parquet, Feather, ORC and Stata read the wanted columns only; of CSV and Excel the
others are not kept; JSON lines are read a block at a time. Pickles are refused: reading one runs
its code.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import re
import zipfile
import zlib
from dataclasses import dataclass, field
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.orc
import pyarrow.parquet
from pandas.io.common import get_handle

from testbed_domain.tables.columnkinds import plain
from testbed_domain.tables.csvtext import (
    encoding_of,
    header_rows,
    layout_of,
    read_csv,
    short_rows,
)
from testbed_domain.tables.reading import ReadOptions, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

T = TypeVar("T")

# What parsers and decompressors raise.
_BROKEN: Final = (
    ValueError,
    EOFError,
    RecursionError,
    pa.ArrowException,
    lzma.LZMAError,
    zipfile.BadZipFile,
    zlib.error,
)
COMPRESSED: Final = (".gz", ".bz2", ".xz", ".zip", ".zst")
# Lines of JSON that are in memory with all their columns.
BLOCK: Final = 50_000
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
class _Format:
    """How one kind of file is read.

    Attributes:
        header: the columns.
        read: rows of the wanted columns, and notes on them.
        typed: see :attr:`FileSource.typed`.
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


def _objects(path: Path, options: ReadOptions) -> Iterator[list[dict[str, Any]]]:
    """Rows of JSON lines, or of one array of JSON, by block."""
    encoding, _ = encoding_of(path, options)
    with get_handle(path, "r", encoding=encoding, compression="infer") as opened:
        lines = (line for line in opened.handle if line.strip())
        first = next(lines, None)
        if first is None:
            return
        if first.lstrip().startswith("["):
            yield _rows(json.loads(first + "".join(opened.handle)), path)
            return
        try:
            row = json.loads(first)
        except json.JSONDecodeError:
            _refuse_object(json.loads(first + "".join(opened.handle)), path)
            raise
        second = next(lines, None)
        if second is None:
            _refuse_object(row, path)
        yield _rows([row, *([] if second is None else [json.loads(second)])], path)
        while block := list(islice(lines, BLOCK)):
            yield _rows(list(map(json.loads, block)), path)


def _refuse_object(found: Any, path: Path) -> None:  # noqa: ANN401 - of JSON
    """Refuse a whole file that is one object of columns, or of rows."""
    if (
        isinstance(found, dict)
        and found
        and all(isinstance(one, dict | list) for one in found.values())
    ):
        raise SourceError(
            f"{path} is one object of JSON: write an array of objects, one per row, or an object "
            "per line"
        )


def _rows(found: list[Any], path: Path) -> list[dict[str, Any]]:
    odd = next((one for one in found if not isinstance(one, dict)), None)
    if odd is not None:
        raise SourceError(f"{path} holds {str(odd)[:40]!r} where an object per row belongs")
    return found


def _json(path: Path, columns: list[str], options: ReadOptions) -> Read:
    # A column that a whole block lacks is missing in its rows.
    parts = [pd.DataFrame(rows, columns=columns) for rows in _objects(path, options)]
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns), ()


def _json_header(path: Path, options: ReadOptions) -> Header:
    found: dict[str, None] = {}
    for rows in _objects(path, options):
        for row in rows:
            found |= dict.fromkeys(row)
    encoding, guessed = encoding_of(path, options)
    return Header(tuple(found), notes=_guessed(path, encoding) if guessed else ())


def _guessed(path: Path, encoding: str) -> tuple[str]:
    line = f"{path} is not UTF-8, read as {encoding}: if letters are wrong, give --encoding"
    return (line,)


def _arrow_header(schema: pa.Schema) -> Header:
    """Columns of an Arrow table; the metadata of pandas says which of them are its index."""
    about = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
    index = [one for one in about.get("index_columns", ()) if isinstance(one, str)]
    return Header(tuple(schema.names), tuple(name for name in index if name in schema.names))


def _arrow(table: pa.Table) -> Read:
    # As columns, all of them; whole numbers stay whole beside missing ones.
    plain = table.replace_schema_metadata(None)
    return plain.to_pandas(integer_object_nulls=True), ()


def _stata_header(path: Path, _options: ReadOptions) -> Header:
    with pd.read_stata(path, iterator=True) as reader:
        return Header(tuple(reader.variable_labels()))


def _excel(path: Path) -> tuple[Header, pd.DataFrame]:
    cells = pd.read_excel(path, header=None, dtype=object)
    if cells.empty:
        raise pd.errors.EmptyDataError
    first = cells.iloc[0]
    names = tuple(
        f"Unnamed: {place}" if pd.isna(name) else str(name).strip()
        for place, name in enumerate(first)
    )
    rows = cells.iloc[1:].reset_index(drop=True).infer_objects()
    labels = names[:1] if names[0] == "Unnamed: 0" and names[1:] else ()
    return Header(names, labels), rows.set_axis(list(names), axis="columns")


_CSV: Final = _Format(_csv_header, _csv, typed=False, compressible=True)
_JSON: Final = _Format(_json_header, _json, compressible=True)
_PARQUET: Final = _Format(
    lambda path, _: _arrow_header(pyarrow.parquet.read_schema(path)),
    lambda path, columns, _: _arrow(pyarrow.parquet.ParquetFile(path).read(columns=columns)),
)
_FEATHER: Final = _Format(
    lambda path, _: _arrow_header(pyarrow.feather.read_table(path, memory_map=True).schema),
    lambda path, columns, _: _arrow(pyarrow.feather.read_table(path, columns=columns)),
)
_ORC: Final = _Format(
    lambda path, _: Header(tuple(pyarrow.orc.ORCFile(path).schema.names)),
    lambda path, columns, _: _arrow(pyarrow.orc.ORCFile(path).read(columns=columns)),
)
_STATA: Final = _Format(
    _stata_header, lambda path, columns, _: (pd.read_stata(path, columns=columns), ())
)
_EXCEL: Final = _Format(
    lambda path, _: _excel(path)[0], lambda path, columns, _: (_excel(path)[1][columns], ())
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


@dataclass(frozen=True, slots=True)
class FileSource:
    """A table in a file.

    Attributes:
        path: the file.
        format: how it is read.
        options: what the user says of it.
        notes: what a user should know of how it was read, a line each; grows as it is read.
    """

    path: Path
    format: _Format
    options: ReadOptions = field(default_factory=ReadOptions)
    notes: dict[str, None] = field(default_factory=dict)

    @classmethod
    def of(cls, path: Path, options: ReadOptions | None = None) -> FileSource:
        """Choose by the name's ending.

        Raises:
            SourceError: there is no such file, or none that can be read.
        """
        endings = [ending.lower() for ending in path.suffixes]
        packed = bool(endings) and endings[-1] in COMPRESSED
        ending = (["", *endings])[-1 - packed]
        chosen = FORMATS.get(ending)
        if path.is_dir():
            raise SourceError(f"cannot read {path}: it is a folder, give one file")
        if not path.is_file():
            raise SourceError(f"there is no file {path}")
        if chosen is None or (packed and not chosen.compressible):
            raise SourceError(
                f"cannot read {path}: give one of {', '.join(FORMATS)} (CSV and JSON lines also "
                f"with {', '.join(COMPRESSED)})"
            )
        return cls(path, chosen, options or ReadOptions())

    @property
    def title(self) -> str:
        """The path as it was given."""
        return str(self.path)

    @property
    def stem(self) -> str:
        """The file's name up to its first dot."""
        return self.path.name.partition(".")[0] or "table"

    @property
    def typed(self) -> bool:
        """Whether a text in it is meant as text: not in CSV."""
        return self.format.typed

    def header(self) -> Header:
        """Its columns.

        Raises:
            SourceError: it can't be read.
        """
        found = self._guarded(lambda path: self.format.header(path, self.options))
        self.notes.update(dict.fromkeys(found.notes))
        names = tuple(map(str, found.names))
        return Header(
            names, tuple(dict.fromkeys((*found.labels, *label_names(names)))), found.notes
        )

    def names(self) -> list[str]:
        """Names of its columns, in order.

        Raises:
            SourceError: it can't be read.
        """
        return list(self.header().names)

    def labels(self) -> list[str]:
        """Those of its columns that are nothing but labels of the rows, as pandas writes its index.

        Raises:
            SourceError: it can't be read.
        """
        return list(self.header().labels)

    def read(self, columns: Sequence[str]) -> pd.DataFrame:
        """The rows, of these columns only and in this order.

        Raises:
            SourceError: it can't be read, or has one of the columns twice.
        """
        wanted = list(dict.fromkeys(columns))
        names = self.names()
        if twice := [name for name in wanted if names.count(name) > 1]:
            raise SourceError(f"{self.path} has columns twice: {', '.join(twice)}; rename one")
        frame, notes = self._guarded(lambda path: self.format.read(path, wanted, self.options))
        frame, nested = plain(frame)
        if nested:
            text = f"{self.path}: lists and objects are taken as text, in {', '.join(nested)}"
            notes = (*notes, text)
        self.notes.update(dict.fromkeys(notes))
        return frame.set_axis([str(name) for name in frame.columns], axis="columns")[wanted]

    def identity(self) -> dict[str, Any]:
        """What shows later whether it is still the same table: path, size in bytes and SHA-256.

        Raises:
            SourceError: it can't be read.
        """

        def look(path: Path) -> dict[str, Any]:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            full = path.resolve()
            return {
                "kind": "file",
                "path": str(full),
                "size": path.stat().st_size,
                "sha256": digest,
            }

        return self._guarded(look)

    def _guarded(self, work: Callable[[Path], T]) -> T:
        try:
            return work(self.path)
        except pd.errors.EmptyDataError:
            raise SourceError(f"{self.path} is empty; give a file with a header and rows") from None
        except ImportError as error:
            engine = getattr(error, "name", None) or "its engine"
            raise SourceError(f"cannot read {self.path}: install {engine} first") from error
        except OSError as error:
            raise SourceError(f"cannot read {self.path}: {error.strerror or error}") from error
        except _BROKEN as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise SourceError(f"cannot read {self.path}: {reason}") from error

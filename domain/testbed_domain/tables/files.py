"""Tables in files that pandas can read, told apart by their names' endings.

Column push-down: Parquet, Feather, ORC and Stata read the wanted columns only; of CSV and Excel the
others are not kept; JSON lines are read a block at a time. Pickles are refused: reading one runs
its code.
"""

from __future__ import annotations

import hashlib
import lzma
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.orc
import pyarrow.parquet

from testbed_drift.tables.sources import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

T = TypeVar("T")

# What parsers and decompressors raise.
_BROKEN: Final = (
    ValueError,
    EOFError,
    pa.ArrowException,
    lzma.LZMAError,
    zipfile.BadZipFile,
    zlib.error,
)
COMPRESSED: Final = (".gz", ".bz2", ".xz", ".zip", ".zst")
# Lines of JSON that are in memory with all their columns.
BLOCK: Final = 50_000
# What stands between the columns where a header has no comma.
SEPARATORS: Final = (";", "\t", "|")


@dataclass(frozen=True, slots=True)
class _Format:
    """How one kind of file is read.

    Attributes:
        names: names of the columns.
        read: rows of the wanted columns.
        typed: see :class:`testbed_drift.tables.sources.Source`.
        compressible: whether ``.gz`` and its like may follow the ending.
    """

    names: Callable[[Path], list[Any]]
    read: Callable[[Path, list[str]], pd.DataFrame]
    typed: bool = True
    compressible: bool = False


def _separator(path: Path) -> str:
    if ".tsv" in path.suffixes:
        return "\t"
    (only, *others) = pd.read_csv(path, nrows=0, encoding="utf-8-sig").columns
    return "," if others else next((one for one in SEPARATORS if one in str(only)), ",")


def _csv(path: Path, **options: Any) -> pd.DataFrame:  # noqa: ANN401 - options of pandas
    # Types are those of whole columns, not of each block.
    kept: pd.DataFrame = pd.read_csv(
        path, sep=_separator(path), encoding="utf-8-sig", low_memory=False, **options
    )
    return kept


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_axis([str(name) for name in frame.columns], axis="columns")


def _json_lines(path: Path, columns: list[str]) -> pd.DataFrame:
    with pd.read_json(path, lines=True, chunksize=BLOCK, convert_dates=False) as blocks:
        # A column that a whole block lacks is missing in its rows.
        parts = [_named(block).reindex(columns=columns) for block in blocks]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _json_names(path: Path) -> list[Any]:
    found: dict[Any, None] = {}
    with pd.read_json(path, lines=True, chunksize=BLOCK, convert_dates=False) as blocks:
        for block in blocks:
            found |= dict.fromkeys(map(str, block.columns))
    return list(found)


def _stata_names(path: Path) -> list[Any]:
    with pd.read_stata(path, iterator=True) as reader:
        return list(reader.variable_labels())


_CSV: Final = _Format(
    lambda path: list(_csv(path, nrows=0).columns),
    lambda path, columns: _csv(path, usecols=columns),
    typed=False,
    compressible=True,
)
_JSON: Final = _Format(_json_names, _json_lines, compressible=True)
_PARQUET: Final = _Format(
    lambda path: list(pyarrow.parquet.read_schema(path).names),
    lambda path, columns: pd.read_parquet(path, columns=columns, engine="pyarrow"),
)
_FEATHER: Final = _Format(
    lambda path: list(pyarrow.feather.read_table(path, memory_map=True).column_names),
    lambda path, columns: pd.read_feather(path, columns=columns),
)
_ORC: Final = _Format(
    lambda path: list(pyarrow.orc.ORCFile(path).schema.names),
    lambda path, columns: pd.read_orc(path, columns=columns),
)
_STATA: Final = _Format(_stata_names, lambda path, columns: pd.read_stata(path, columns=columns))
_EXCEL: Final = _Format(
    lambda path: list(pd.read_excel(path, nrows=0).columns),
    lambda path, columns: _named(pd.read_excel(path))[columns],  # a header may hold numbers
)
FORMATS: Final = {
    ".csv": _CSV,
    ".tsv": _CSV,
    ".jsonl": _JSON,
    ".ndjson": _JSON,
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


@dataclass(frozen=True, slots=True)
class FileSource:
    """A table in a file.

    Attributes:
        path: the file.
        format: how it is read.
    """

    path: Path
    format: _Format

    @classmethod
    def of(cls, path: Path) -> FileSource:
        """Choose by the name's ending.

        Raises:
            SourceError: there is no such file, or none that can be read.
        """
        endings = [ending.lower() for ending in path.suffixes]
        packed = bool(endings) and endings[-1] in COMPRESSED
        ending = (["", *endings])[-1 - packed]
        chosen = FORMATS.get(ending)
        if not path.is_file():
            raise SourceError(f"there is no file {path}")
        if chosen is None or (packed and not chosen.compressible):
            raise SourceError(
                f"cannot read {path}: give one of {', '.join(FORMATS)} (CSV and JSON lines also "
                f"with {', '.join(COMPRESSED)})"
            )
        return cls(path, chosen)

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
        """False for CSV."""
        return self.format.typed

    def names(self) -> list[str]:
        """See :class:`testbed_drift.tables.sources.Source`."""
        return [str(name) for name in self._guarded(self.format.names)]

    def read(self, columns: Sequence[str]) -> pd.DataFrame:
        """See :class:`testbed_drift.tables.sources.Source`."""
        wanted = list(dict.fromkeys(columns))
        frame = self._guarded(lambda path: self.format.read(path, wanted))
        return _named(frame)[wanted]

    def identity(self) -> dict[str, Any]:
        """Absolute path, size in bytes and SHA-256."""

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

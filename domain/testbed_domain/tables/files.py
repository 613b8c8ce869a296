"""A table in a file."""

from __future__ import annotations

import hashlib
import lzma
import unicodedata
import zipfile
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pandas as pd
import pyarrow as pa

from testbed_domain.tables import binaryfiles
from testbed_domain.tables.columnkinds import plain
from testbed_domain.tables.formats import FORMATS, Format, Header, label_names
from testbed_domain.tables.reading import ReadOptions, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
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
    format: Format
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
            raise SourceError(f"cannot read {path}: it is a folder, give one file{_whole(path)}")
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
        found = self._written()
        self.notes.update(dict.fromkeys(found.notes))
        names = tuple(map(_tidy_name, found.names))
        labels = (*map(_tidy_name, found.labels), *label_names(names))
        return Header(names, tuple(dict.fromkeys(labels)), found.notes)

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
        found = self._written()
        names = [_tidy_name(name) for name in found.names]
        if twice := [name for name in wanted if names.count(name) > 1]:
            raise SourceError(f"{self.path} has columns twice: {', '.join(twice)}; rename one")
        written = dict(zip(names, found.names, strict=True))
        asked = [written.get(name, name) for name in wanted]
        frame, notes = self._guarded(lambda path: self.format.read(path, asked, self.options))
        frame, nested = plain(frame[asked].set_axis(wanted, axis="columns"))
        if nested:
            text = f"{self.path}: lists and objects are taken as text, in {', '.join(nested)}"
            notes = (*notes, text)
        self.notes.update(dict.fromkeys(notes))
        return frame

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

    def _written(self) -> Header:
        """Its columns as the file has them."""
        return self._guarded(lambda path: self.format.header(path, self.options))

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
            raise SourceError(f"cannot read {self.path}: {reason}{self._hint()}") from error

    def _hint(self) -> str:
        """What the file is by its first bytes, where its name says another format."""
        found = binaryfiles.format_of(self.path)
        if not found or {*map(str.lower, self.path.suffixes)} & {*found[1:]}:
            return ""
        return f"; it is {found[0]}: call it so, for example {self.stem}{found[1]}"


def _tidy_name(name: object) -> str:
    """A name as CSV's are read: without blanks around it, letters the same however composed."""
    return unicodedata.normalize("NFC", str(name).strip())


def _whole(folder: Path) -> str:
    """What to do with a table whose rows lie in several files, as those of a data lake do."""
    if next(folder.rglob("*.parquet"), None) is None:
        return ""
    return (
        "; of the Parquet files in it make one, for example: python -c 'import pandas; "
        f'pandas.read_parquet("{folder}").to_parquet("one.parquet")\''
    )

"""CSV files as they are met: encoding, separator and header are found out; all values are texts.

Whether a text is a number, a code or a missing value is for the columns' kinds to say.
"""

from __future__ import annotations

import codecs
import csv
import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

import pandas as pd
from pandas.io.common import get_handle

from testbed_domain.tables.reading import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from testbed_domain.tables.reading import ReadOptions

SEPARATORS: Final = (",", ";", "\t", "|")
_HEAD: Final = 1 << 16
_LINES: Final = 50
_MARKS: Final = (  # UTF-32's begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Of western Europe; the second takes any byte.
_FALLBACKS: Final = ("cp1252", "latin-1")
# Excel's own line above the header.
_SEP_LINE: Final = re.compile(r'"?sep=(.)"?\r?\n', re.IGNORECASE)
# Text has no control characters but these.
_BINARY: Final = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


@dataclass(frozen=True, slots=True)
class Layout:
    """How a CSV file is written.

    Attributes:
        encoding: of its bytes.
        sep: between its columns.
        skip: lines above the header.
        names: of the columns, without blanks around them; one without a name is called as pandas
            does, ``Unnamed: 0``.
        fields: of a row; an empty one more than ``names`` where every row ends with ``sep``.
        guessed: whether the encoding is nothing but a guess.
    """

    encoding: str
    sep: str
    skip: int
    names: tuple[str, ...]
    fields: int
    guessed: bool = False

    @property
    def labels(self) -> tuple[str, ...]:
        """Columns on the left that have no name: labels of the rows."""
        count = 0
        while count < len(self.names) and self.names[count] == _unnamed(count):
            count += 1
        return self.names[:count] if count < len(self.names) else ()


def layout_of(path: Path, options: ReadOptions) -> Layout:
    """Find out how a file is written.

    Raises:
        SourceError: it is not text.
        pd.errors.EmptyDataError: it has no header.
    """
    head = _head(path)
    encoding, guessed = encoding_of(path, options, head)
    try:
        text = codecs.getincrementaldecoder(encoding)("strict").decode(head)
    except (LookupError, UnicodeError):
        raise SourceError(
            f"{path} is not text in {encoding}: name its encoding with --encoding"
        ) from None
    if _BINARY.search(text):
        raise SourceError(f"cannot read {path}: it holds bytes that are not text")
    hint = _SEP_LINE.match(text)
    text = text[hint.end() :] if hint else text
    cut = text.rfind("\n") + 1 if len(head) == _HEAD else len(text)
    sep = options.sep or (hint[1] if hint else None) or _separator(path, text[:cut] or text)
    header, *rows = _rows(text[:cut] or text, sep) or [[]]
    if not any(field.strip() for field in header):
        raise pd.errors.EmptyDataError
    return _layout(encoding, sep, 1 if hint else 0, header, rows, guessed=guessed)


def read_csv(path: Path, layout: Layout) -> pd.DataFrame:
    """All columns as texts; what is empty is missing.

    Raises:
        ValueError: a row has more fields than the header.
    """
    frame: pd.DataFrame = pd.read_csv(
        path,
        sep=layout.sep,
        encoding=layout.encoding,
        skiprows=layout.skip,
        header=0,
        names=range(layout.fields),
        index_col=False if layout.fields == len(layout.names) else None,
        dtype=str,
        keep_default_na=False,
        na_values=[""],
    )
    return frame.iloc[:, : len(layout.names)].set_axis(list(layout.names), axis="columns")


def header_rows(frame: pd.DataFrame) -> pd.Series[bool]:
    """Rows that repeat the header, as in files that were put one after the other."""
    named = [name for name in frame.columns if not str(name).startswith("Unnamed: ")]
    if len(named) < 2:  # noqa: PLR2004 - one column's value may well be its name
        return pd.Series(data=False, index=frame.index)
    same = pd.Series(data=True, index=frame.index)
    for place, name in enumerate(frame.columns):
        if name in named:
            same &= frame.iloc[:, place].str.strip().eq(name).fillna(value=False).astype(bool)
    return same


def _head(path: Path) -> bytes:
    with get_handle(path, "rb", compression="infer", is_text=False) as opened:
        return bytes(opened.handle.read(_HEAD))


def encoding_of(path: Path, options: ReadOptions, head: bytes | None = None) -> tuple[str, bool]:
    """The encoding of a text file, and whether it is nothing but a guess."""
    if options.encoding:
        return options.encoding, False
    head = _head(path) if head is None else head
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name, False
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) > len(head) // 4 and not min(even, odd):
        return ("utf-16-le" if odd else "utf-16-be"), False
    for name in ("utf-8", *_FALLBACKS):
        if _decodes(path, name):
            return name, name != "utf-8"
    raise AssertionError  # latin-1 takes any byte


def _decodes(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    try:
        with get_handle(path, "rb", compression="infer", is_text=False) as opened:
            while block := opened.handle.read(1 << 20):
                decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _separator(path: Path, text: str) -> str:
    """What cuts the header and the first rows into equally many fields, as many as there are."""
    if ".tsv" in path.suffixes:
        return "\t"
    best, most = ",", 1
    for sep in SEPARATORS:
        header, *rows = _rows(text, sep) or [[]]
        widths = {len(row) - (row[-1] == "") for row in rows}
        alike = all(width in {len(header), len(header) - 1} for width in widths) or (
            widths == {len(header) + 1}
        )
        if alike and len(header) > most:
            best, most = sep, len(header)
    if most == 1:  # rows of many lengths are refused by who reads them
        header = (_rows(text, ",") or [[""]])[0]
        if len(header) == 1:
            return next((one for one in SEPARATORS[1:] if one in header[0]), ",")
    return best


def _rows(text: str, sep: str) -> list[list[str]]:
    lines = csv.reader(text.splitlines(keepends=True), delimiter=sep)
    return list(islice((row for row in lines if row), _LINES))


def _layout(
    encoding: str,
    sep: str,
    skip: int,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    guessed: bool,
) -> Layout:
    names = [name.strip() or _unnamed(place) for place, name in enumerate(header)]
    fields = len(names)
    if rows and all(len(row) == fields + 1 for row in rows):
        if not any(row[-1] for row in rows):
            fields += 1  # every row ends with a separator
        else:
            # The header has no name for the rows' labels, as R writes it.
            names = [_unnamed(0), *names]
            fields = len(names)
    return Layout(encoding, sep, skip, tuple(names), fields, guessed)


def _unnamed(place: int) -> str:
    return f"Unnamed: {place}"

"""CSV files as they are met: encoding, separator and header are found out; all values are texts.

Whether a text is a number, a code or a missing value is for the columns' kinds to say.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import unicodedata
import warnings
from dataclasses import dataclass, replace
from itertools import chain, count, islice, takewhile
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from pandas.io.common import get_handle

from testbed_domain.tables.reading import SourceError, refuse_title

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from testbed_domain.tables.reading import ReadOptions

SEPARATORS: Final = (",", ";", "\t", "|")
QUOTE: Final = '"'
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
        comments: those lines above the header that begin with ``#``.
        quote: the character around fields that hold a separator.
    """

    encoding: str
    sep: str
    skip: int
    names: tuple[str, ...]
    fields: int
    guessed: bool = False
    comments: int = 0
    quote: str = QUOTE

    @property
    def labels(self) -> tuple[str, ...]:
        """Columns on the left that have no name: labels of the rows."""
        place = 0
        while place < len(self.names) and self.names[place] == _unnamed(place):
            place += 1
        return self.names[:place] if place < len(self.names) else ()


def layout_of(path: Path, options: ReadOptions) -> Layout:
    """Find out how a file is written.

    Raises:
        SourceError: it is not text in the encoding that was given.
        ValueError: it is not text, or its header has no names.
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
        raise ValueError("it holds bytes that are not text")
    hint = _SEP_LINE.match(text)
    text = text[hint.end() :] if hint else text
    cut = text.rfind("\n") + 1 if len(head) == _HEAD else len(text)
    text = text[:cut] or text
    said = options.sep or (hint[1] if hint else None)
    comments, text = _without_comments(path, text, said)
    sep = said or _separator(path, text)
    header, *rows = _rows(text, sep) or [[]]
    if not any(field.strip() for field in header):
        raise pd.errors.EmptyDataError
    quote = _quote(header)
    if quote != QUOTE:
        header, *rows = _rows(text, sep, quote)
    refuse_title(header)
    found = _layout(encoding, sep, (1 if hint else 0) + comments, header, rows)
    return replace(found, guessed=guessed, comments=comments, quote=quote)


def _without_comments(path: Path, text: str, sep: str | None) -> tuple[int, str]:
    """The number of lines that begin with ``#`` above the header, and the text below them.

    The last of them is the header where it has as many fields as the rows: ``#id,name``.
    """
    lines = text.splitlines(keepends=True)
    comments = len(list(takewhile(lambda line: line.startswith("#"), lines)))
    below = "".join(lines[comments:])
    if not comments or not below.strip():
        return 0, text
    sep = sep or _separator(path, below)
    (last,), (first, *_) = _rows(lines[comments - 1], sep), _rows(below, sep)
    comments -= len(last) == len(first)
    return comments, "".join(lines[comments:])


def read_csv(path: Path, layout: Layout) -> pd.DataFrame:
    """All columns as texts; what is empty is missing.

    Raises:
        ValueError: a row has more fields than the header.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            frame: pd.DataFrame = pd.read_csv(
                path,
                sep=layout.sep,
                quotechar=layout.quote,
                encoding=layout.encoding,
                skiprows=layout.skip,
                header=0,
                names=range(layout.fields),
                index_col=False if layout.fields == len(layout.names) else None,
                dtype=str,
                keep_default_na=False,
                na_values=[""],
                skipinitialspace=True,
            )
        except pd.errors.ParserWarning:  # pandas would cut them off
            raise ValueError(
                f"its rows have more fields than its header, which is {', '.join(layout.names)}: "
                "remove what stands above the header"
            ) from None
    frame = frame.iloc[:, : len(layout.names)].set_axis(list(layout.names), axis="columns")
    return frame.apply(_unwrapped)


def _unwrapped(column: pd.Series[Any]) -> pd.Series[Any]:
    """A column without the marks by which Excel keeps text as it is: ``="01067"``, ``'01067``."""
    seen = column.dropna().head(_LINES)
    if seen.str.fullmatch(r'=".*"').any():
        return column.str.replace(r'^="(.*)"$', r"\1", regex=True).replace("", None)
    if len(seen) and seen.str.fullmatch(r"'[^']+").all():
        return column.str.replace(r"^'(?=[^']+$)", "", regex=True)
    return column


def short_rows(path: Path, layout: Layout) -> int:
    """The number of rows with fewer fields than the header; what they lack is missing."""
    with get_handle(
        path, "r", encoding=layout.encoding, compression="infer", is_text=True
    ) as opened:
        rows = _reader(islice(opened.handle, layout.skip, None), layout.sep, layout.quote)
        return sum(0 < len(row) < len(layout.names) for row in rows)


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
    if ".tsv" in path.suffixes and "\t" in text.partition("\n")[0]:
        return "\t"
    best, maximum = ",", 1
    for sep in SEPARATORS:
        header, *rows = _rows(text, sep) or [[]]
        widths = {len(row) - (row[-1] == "") for row in rows}
        alike = all(width in {len(header), len(header) - 1} for width in widths) or (
            widths == {len(header) + 1}
        )
        if alike and len(header) > maximum:
            best, maximum = sep, len(header)
    if maximum == 1:  # rows of many lengths are refused by who reads them
        header = (_rows(text, ",") or [[""]])[0]
        if len(header) == 1:
            return next((one for one in SEPARATORS[1:] if one in header[0]), ",")
    return best


def _quote(header: Sequence[str]) -> str:
    """The quotation mark: a single one where it stands around every name, as in dumps of SQL."""
    named = [name.strip() for name in header]
    single = all(len(name) > 1 and name[0] == name[-1] == "'" for name in named)
    return "'" if single else QUOTE


def _rows(text: str, sep: str, quote: str = QUOTE) -> list[list[str]]:
    lines = _reader(io.StringIO(text, newline=""), sep, quote)
    return list(islice((row for row in lines if row), _LINES))


def _reader(lines: Iterable[str], sep: str, quote: str = QUOTE) -> Iterator[list[str]]:
    return csv.reader(lines, delimiter=sep, quotechar=quote, skipinitialspace=True)


def _layout(
    encoding: str,
    sep: str,
    skip: int,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
) -> Layout:
    plain = (unicodedata.normalize("NFC", name.strip().strip("\ufeff")) for name in header)
    names = list(plain)
    for place, name in enumerate(names):
        if not name:
            names[place] = _unnamed(place, names)
    fields = len(names)
    if rows and all(len(row) == fields + 1 for row in rows):
        if not any(row[-1] for row in rows):
            fields += 1  # every row ends with a separator
        else:
            # The header has no name for the rows' labels, as R writes it.
            names = [_unnamed(0, names), *names]
            fields = len(names)
    return Layout(encoding, sep, skip, tuple(names), fields)


def _unnamed(place: int, taken: Collection[str] = ()) -> str:
    """As pandas calls it: ``Unnamed: 0``, and ``Unnamed: 0.1`` beside one that it called so."""
    name = f"Unnamed: {place}"
    numbered = (f"{name}.{number}" for number in count(1))
    return next(one for one in chain((name,), numbered) if one not in taken)

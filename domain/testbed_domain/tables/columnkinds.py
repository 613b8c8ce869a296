"""What kind of values a column of a table holds, and the values in the form of that kind. Pure.

- ``number``: numbers; in a CSV file also text that is a number in every row, see
  :mod:`testbed_domain.tables.numbertext`. Durations are days.
- ``date``: dates and times, and text that is one in every row, see
  :mod:`testbed_domain.tables.datetext`. They are compared as days since 1970-01-01 UTC.
- ``boolean``: compared as the categories ``False`` and ``True``; so is text like yes and no.
- ``category``: all else, as text; surrounding spaces don't count, and blank text is missing.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from datetime import date, time
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from testbed_domain.tables.datetext import DAY, calendar_days, days, epochs
from testbed_domain.tables.numbertext import distinct_texts, is_category_marker, is_marker, parsed
from testbed_domain.tables.reading import KINDS, TableKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["KINDS", "TableKind", "days", "kind_of", "numbers", "seconds", "texts", "truths"]

# A column of text is one of numbers, or dates, where at most this ratio of its values is not ...
MAX_ODD: Final = 0.05
# ... and the others are more different ones than codes are.
MIN_DIFFERENT: Final = 10
_FIRST: Final = 200
# Texts of truth, in lower case, by pair.
PAIRS: Final = (
    ("0", "1"),
    ("false", "true"),
    ("no", "yes"),
    ("f", "t"),
    ("n", "y"),
    ("off", "on"),
)
_TRUTHS: Final = {
    text: truth for pair in PAIRS for text, truth in zip(pair, ("False", "True"), strict=True)
}
# Of whole numbers that differ in every row: whose name says that they are ids.
ID_NAME: Final = re.compile(r"(^|[_\s-])(id|key|index|nr|no|uuid)$|[a-z](Id|ID)$", re.IGNORECASE)
_NESTED: Final = (list, dict, tuple, set, frozenset, np.ndarray)
_CODE: Final = re.compile(r"0\d+", re.ASCII)
_TWO_LETTERS: Final = re.compile(r"[A-Z]{2}")
_WHOLE: Final = re.compile(r"-?\d+\.0*", re.ASCII)


def plain(frame: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """A table whose cells are single values, and the columns that held lists or objects.

    Those become text in JSON, times of day text in ISO 8601, and bytes text.
    """
    nested: list[str] = []
    columns: dict[Any, Any] = {}
    for place, name in enumerate(frame.columns):
        column = frame.iloc[:, place]
        if not pd.api.types.is_object_dtype(column):
            continue
        kinds = {*map(type, column)}
        lists = any(issubclass(kind, _NESTED) for kind in kinds)
        if lists or any(issubclass(kind, time | bytes) for kind in kinds):
            columns[place] = column.map(_flat)
            nested += [str(name)] if lists else []
    if not columns:
        return frame, ()
    parts = [columns.get(place, frame.iloc[:, place]) for place in range(frame.shape[1])]
    return pd.concat(parts, axis="columns"), tuple(nested)


def _flat(value: object) -> object:
    if isinstance(value, _NESTED):
        return json.dumps(value, default=_unpacked, ensure_ascii=False, sort_keys=True)
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return value.isoformat() if isinstance(value, time) else value


def _unpacked(value: object) -> object:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return list(value) if isinstance(value, set | frozenset) else str(value)


def without_blanks(values: pd.Series[Any]) -> pd.Series[Any]:
    """The column with text of spaces only as a missing value."""
    return _without(values, lambda value: isinstance(value, str) and not value.strip())


def without_markers(values: pd.Series[Any]) -> pd.Series[Any]:
    """A column of numbers, dates or truths with ``n/a``, ``?``, ``-`` and the like missing."""
    return _without(values, is_marker)


def words_without_markers(values: pd.Series[Any], known: Collection[str] = ()) -> pd.Series[Any]:
    """A column of words with such texts missing.

    Args:
        values: any column.
        known: those that are values here.
    """
    return _without(
        values, lambda value: is_category_marker(value) and str(value).strip() not in known
    )


def markers_in(values: pd.Series[Any], *, typed: bool) -> tuple[str, ...]:
    """Texts of a column of words that elsewhere stand for a missing value, and here are values.

    In a file whose texts are meant as text all are; in CSV none is but NA among codes of two
    letters (Namibia).
    """
    texts = {one.strip() for one in values.dropna().unique() if isinstance(one, str)}
    found = {text for text in texts if text and is_category_marker(text)}
    if typed:
        return tuple(sorted(found))
    others = texts - found
    codes = bool(others) and all(map(_TWO_LETTERS.fullmatch, others))
    return ("NA",) if codes and "NA" in found else ()


def _without(values: pd.Series[Any], gone: Any) -> pd.Series[Any]:  # noqa: ANN401 - a predicate
    if not (pd.api.types.is_object_dtype(values) or pd.api.types.is_string_dtype(values)):
        return values
    missing = values.map(gone).astype(bool)
    return values.mask(missing) if missing.any() else values


def kind_of(values: pd.Series[Any], *, typed: bool, decimal: str | None = None) -> TableKind | None:
    """The kind of a column; None where it holds nothing.

    Args:
        values: see :func:`without_blanks`.
        typed: whether text is meant as text; in a CSV file it may be a number.
        decimal: the decimal mark of its texts; None has them say it.
    """
    if not values.notna().any():
        return None
    if kind := _kind_of_type(values):
        return kind
    present = without_markers(values).dropna()
    if present.empty:
        return "category" if typed else None
    return _kind_of_objects(present, typed=typed, decimal=decimal)


def _kind_of_type(values: pd.Series[Any]) -> TableKind | None:
    if isinstance(values.dtype, pd.CategoricalDtype):
        return "boolean" if _is_pair(values.dropna().unique()) else "category"
    if pd.api.types.is_bool_dtype(values):
        return "boolean"
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_timedelta64_dtype(values):
        return "number"
    return "date" if pd.api.types.is_datetime64_any_dtype(values) else None


def _kind_of_objects(present: pd.Series[Any], *, typed: bool, decimal: str | None) -> TableKind:
    kinds = {*map(type, present)}
    if all(issubclass(kind, bool | np.bool_) for kind in kinds):
        return "boolean"
    if all(issubclass(kind, Real | Decimal) for kind in kinds):
        return "number"
    if all(issubclass(kind, date) for kind in kinds):
        return "date"
    if all(issubclass(kind, str) for kind in kinds):
        return _kind_of_texts(present, typed=typed, decimal=decimal)
    return "category"


def _kind_of_texts(present: pd.Series[Any], *, typed: bool, decimal: str | None) -> TableKind:
    different = {text.strip() for text in distinct_texts(present)}
    if not typed and not is_code(different) and _all_but_a_few(parsed(present, decimal)):
        return "number"
    # Most columns of words are so at first sight.
    if not np.isnan(days(present.head(_FIRST))).all() and _all_but_a_few(days(present)):
        return "date"
    return "boolean" if _is_pair(different) else "category"


def _is_pair(different: Iterable[object]) -> bool:
    """Whether values are nothing but false and true, both in one form."""
    lowered = {class_text(str(value).strip().lower()) for value in different}
    return any(lowered == {*pair} for pair in PAIRS)


def is_code(different: Collection[str]) -> bool:
    """Whether texts are codes of digits, like 01067, that would lose their zeros as numbers."""
    return any(map(_CODE.fullmatch, different)) and all(text.isdecimal() for text in different)


def _all_but_a_few(read: Floats) -> bool:
    """Whether all texts are numbers, or dates, but for a few."""
    odd = int(np.isnan(read).sum())
    if not odd:
        return True
    return odd <= MAX_ODD * len(read) and len(np.unique(read)) - 1 >= MIN_DIFFERENT


def numbers(values: pd.Series[Any], decimal: str | None = None, hint: str | None = None) -> Floats:
    """The column as numbers; NaN where a value is not one or is missing.

    Args:
        values: any column.
        decimal: the decimal mark of its texts; None has them say it.
        hint: the decimal mark where they leave a doubt.
    """
    if pd.api.types.is_timedelta64_dtype(values):
        return np.asarray(values.dt.total_seconds(), dtype=np.float64) / DAY
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    return parsed(values, decimal, hint)


def seconds(values: pd.Series[Any]) -> Floats:
    """A column of times as Unix seconds; numbers are seconds, ms, µs or ns, by their size.

    Or dates: ``20240131`` and its like, and Excel's days.
    """
    if not pd.api.types.is_numeric_dtype(values):
        found = days(values) * DAY
        if np.isfinite(found).any():
            return found
    predicted = numbers(values)
    calendar = calendar_days(predicted)
    return epochs(predicted) if calendar is None else calendar * DAY


def texts(values: pd.Series[Any]) -> pd.Series[Any]:
    """The column as text or None; a 1 is the same whether missing values made it 1.0 or not.

    Letters are the same however they are composed (NFC), and so are line ends.
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    if pd.api.types.is_object_dtype(values):
        plain = values.map(_text, na_action="ignore")
    else:
        plain = values.convert_dtypes().astype("string").map(_tidy, na_action="ignore")
    return plain.astype(object).where(plain.notna() & (plain != ""), None)


def _text(value: object) -> str:
    # Whole numbers beside text or missing values; of any size, so pandas can't be asked.
    if isinstance(value, float | np.floating | Decimal) and math.isfinite(value) and not value % 1:
        return str(int(value))
    return _tidy(str(value))


def _tidy(text: str) -> str:
    text = text.strip()
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def class_texts(values: pd.Series[Any]) -> pd.Series[Any]:
    """A column of classes as text: in a CSV file, too, 1.0 is the class 1."""
    return texts(values).map(class_text, na_action="ignore")


def class_text(text: str) -> str:
    """A class as text, without the zeros after the point of a whole number."""
    return text.partition(".")[0] if _WHOLE.fullmatch(text) else text


def truths(values: pd.Series[Any]) -> pd.Series[Any]:
    """The column as ``False``, ``True`` or None; what is neither stays as it is."""
    return texts(values).map(lambda text: truth_of(text) or text, na_action="ignore")


def truth_of(text: object) -> str | None:
    """``False`` or ``True`` for a text of truth in any form; None for any other text."""
    return _TRUTHS.get(class_text(str(text).strip().lower()))


def spelled(classes: Collection[str]) -> dict[str, str]:
    """How classes of truth are written: ``False`` and ``True`` to the class; empty for others.

    Where only one of a pair is known, the other is written alike.
    """
    known = {truth_of(text): text for text in classes}
    if None in known or len(known) != len(classes) or not known:
        return {}
    found = {str(truth): text for truth, text in known.items()}
    for here, there in (("False", "True"), ("True", "False")):
        if here not in found:
            other = found[there]
            pair = next(pair for pair in PAIRS if other.lower() in pair)
            text = pair[1 - pair.index(other.lower())]
            found[here] = (
                text.upper() if other.isupper() else text.title() if other.istitle() else text
            )
    return found

"""Numbers as people and spreadsheets write them. Pure.

``1234.5``, ``1,234.50``, ``1.234,50``, ``1 234,5``, ``1'234.5``, ``€ 12``, ``12 EUR``, ``12 %``
(0.12), ``(12)`` and ``12-`` (both -12), ``1.5e3``; durations and times of day like ``12:30``,
``0:45:10.5`` and ``2 days 03:00:00``, in days. ``1,234`` alone may be 1234 or 1.234: the other
values of the column decide which character is the decimal mark, then the table's other columns.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# What stands for a missing value in any column.
_MARKS: Final = frozenset({"", "?", "-", "--", "---", "\u2013", "\u2014", "."})
# In a column of words: those that pandas knows, too.
CATEGORY_MARKERS: Final = _MARKS | {
    *("NA", "N/A", "n/a", "NaN", "nan", "-nan", "-NaN", "NULL", "null", "None", "<NA>"),
    *("#N/A", "#NA", "#N/A N/A", "NaT", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
}
# In a column of numbers, dates or truths, in lower case: none of these can be a value.
MARKERS: Final = frozenset(mark.lower() for mark in CATEGORY_MARKERS) | {
    *("n.a.", "nil", "(null)", "[null]", "\\n", "(blank)"),
    *("0000-00-00", "0000-00-00 00:00:00"),  # of MySQL
}
# Texts of a column that are looked at for its decimal mark.
_LOOKED_AT: Final = 1000
# Of all columns of a table, so that one with hundreds is read in time; and of each at least.
_OF_TABLE, _AT_LEAST = 20_000, 20
_CURRENCY: Final = (
    r"(?:(?:US|R|A|C|NZ|HK)?[$¢£¤¥֏؋฿៛₠-⃀﷼]|EUR|USD|GBP|CHF|JPY|CNY|SEK|NOK|DKK|PLN|CZK|HUF|RON|"
    r"BGN|Rs\.?|TRY|RUB|INR|BRL|MXN|CAD|AUD|NZD|ZAR|SGD|HKD|KRW|AED|kr\.?|zł|Kč|Ft|Fr\.|lei)"
)
_SHAPE: Final = re.compile(
    rf"(?:{_CURRENCY}\s*(?=\())?(?P<open>\()?(?P<sign>[+-])?\s*(?P<money>{_CURRENCY})?\s*(?P<inner>[+-])?\s*"
    r"(?P<core>[\d.,][\d.,' _]*?)(?P<exponent>[eE][+-]?\d+)?"
    rf"(?P<after>-)?\s*(?P<unit>%|‰|{_CURRENCY})?(?P<close>\))?",
    re.ASCII,
)
_DURATION: Final = re.compile(
    r"(?:(?P<days>-?\d+) days?(?:,? \+?|$))?"
    r"(?:(?P<h>\d{1,3}):(?P<m>[0-5]\d)(?::(?P<s>[0-5]\d(?:\.\d+)?))?(?: ?(?P<half>[ap])\.?m\.?)?)?",
    re.ASCII | re.IGNORECASE,
)
_UNITS: Final = {"%": 100.0, "‰": 1000.0}
# Minus signs and dashes of typesetters, apostrophes, full-width forms, Arabic separators.
_PLAIN: Final = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d", "-"),
    "\u2019": "'",
    "\uff0e": ".",
    "\uff0c": ",",
    "\uff05": "%",
    "\uffe5": "\u00a5",
    "\u066b": ".",
    "\u066c": "'",
    "\u066a": "%",
}


def _core(decimal: str, group: str) -> re.Pattern[str]:
    d, g = re.escape(decimal), re.escape(group)
    grouped = rf"[1-9]\d{{0,2}}(?:{g}\d{{3}})+|[1-9]\d?(?:{g}\d{{2}})+{g}\d{{3}}"  # 1,23,456, too
    spaced = "|".join(rf"[1-9]\d{{0,2}}(?:{mark}\d{{3}})+" for mark in (" ", "'", "_"))
    return re.compile(rf"(?:{grouped}|{spaced}|\d+)(?:{d}\d*)?|{d}\d+", re.ASCII)


_CORES: Final = {".": (_core(".", ","), ","), ",": (_core(",", "."), ".")}


def number(text: str, decimal: str = ".") -> float | None:
    """The number that a text is; None where it is not one.

    Args:
        text: spaces around it don't count.
        decimal: the decimal mark, ``.`` or ``,``.
    """
    text = _plain(text).strip()
    found = _SHAPE.fullmatch(text)
    if found is None:
        return _duration(text)
    if (found["open"] is None) != (found["close"] is None):
        return None
    signs = [mark for mark in (found["sign"], found["inner"], found["after"]) if mark]
    if len(signs) + bool(found["open"]) > 1:
        return None
    form, group = _CORES[decimal]
    core = found["core"].strip()
    if form.fullmatch(core) is None or (found["exponent"] and group in core):
        return None  # with an exponent, nobody groups thousands
    digits = re.sub(rf"[ '_{re.escape(group)}]", "", core).replace(decimal, ".")
    value = float(digits + (found["exponent"] or "")) / _UNITS.get(found["unit"] or "", 1.0)
    return -value if found["open"] or "-" in signs else value


def _plain(text: str) -> str:
    """The text in ASCII as far as it can be: digits of any script, and no invisible marks."""
    return text if text.isascii() else "".join(map(_plain_character, text))


def _plain_character(one: str) -> str:
    if one.isdecimal():
        return str(unicodedata.decimal(one))
    if one.isspace():
        return " "  # no-break, figure, thin and narrow ones stand between thousands
    return "" if unicodedata.category(one) == "Cf" else _PLAIN.get(one, one)


def _duration(text: str) -> float | None:
    """Days; hours, minutes and seconds as a part of one."""
    found = _DURATION.fullmatch(text) if text else None
    if found is None:
        return None
    hours, minutes, seconds = (float(found[part] or 0) for part in "hms")
    if half := found["half"]:
        if not 1 <= hours <= 12:  # noqa: PLR2004 - of a clock
            return None
        hours = hours % 12 + (12 if half.lower() == "p" else 0)
    return int(found["days"] or 0) + (hours + (minutes + seconds / 60) / 60) / 24


def decimal_of(values: Iterable[str]) -> str | None:
    """The decimal mark with which more of the texts are numbers; None where both fit as well."""
    texts = set(islice(values, _LOOKED_AT))
    counts = {mark: sum(number(text, mark) is not None for text in texts) for mark in _CORES}
    if counts["."] == counts[","]:
        return None
    return max(counts, key=lambda mark: counts[mark])


def decimal_of_table(columns: Iterable[pd.Series[Any]]) -> str | None:
    """The decimal mark of a table: that of the columns that leave no doubt; None where none does.

    Args:
        columns: the columns; of those of text the first rows are looked at, fewer where there are
            many columns.
    """
    textual = [column for column in columns if _is_textual(column)]
    rows = min(_LOOKED_AT, max(_AT_LEAST, _OF_TABLE // max(1, len(textual))))
    votes = {".": 0, ",": 0}
    for column in textual:
        texts = distinct_texts(column.head(rows))
        if texts and (mark := decimal_of(texts)):
            fitting = sum(number(text, mark) is not None for text in texts)
            votes[mark] += 2 * fitting > len(texts)
    if votes["."] == votes[","]:
        return None
    return max(votes, key=lambda mark: votes[mark])


def distinct_texts(column: pd.Series[Any]) -> set[str]:
    """The texts of a column that mark no missing value."""
    if not _is_textual(column):
        return set()
    found = {one for one in column.dropna().unique() if isinstance(one, str)}
    return {text for text in found if not is_marker(text)}


def _is_textual(column: pd.Series[Any]) -> bool:
    return bool(pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column))


def is_marker(value: object) -> bool:
    """Whether a value is a text that stands for a missing one among numbers, dates or truths."""
    return isinstance(value, str) and value.strip().lower() in MARKERS


def is_category_marker(value: object) -> bool:
    """Whether a value is a text that stands for a missing one among words: "none" may be one."""
    return isinstance(value, str) and value.strip() in CATEGORY_MARKERS


def parsed(values: pd.Series[Any], decimal: str | None = None, hint: str | None = None) -> Floats:
    """A column of texts as numbers; NaN where a text is not a number.

    Args:
        values: texts, numbers, and missing values.
        decimal: the decimal mark; None has the texts say it.
        hint: the decimal mark where they leave a doubt; None takes ``.``.
    """
    found = np.array(pd.to_numeric(values, errors="coerce").astype("float64"))
    unread = np.isnan(found) & values.notna().to_numpy()
    if "," not in {decimal, hint} and not unread.any():
        return found
    texts = distinct_texts(values)
    mark = decimal or decimal_of(texts) or hint or "."
    is_text = values.map(_is_text).to_numpy(dtype=bool)
    odd = unread & is_text if mark == "." else is_text
    if odd.any():
        known = {text: number(text, mark) for text in texts}
        found[odd] = np.array([known.get(text) for text in values[odd]], dtype=float)
    return found


def _is_text(value: object) -> bool:
    return isinstance(value, str)

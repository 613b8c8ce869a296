"""Dates and times in any form, as days or seconds since 1970-01-01 UTC. Pure.

Texts are ISO 8601 with month and day, also ``20240131T101500Z``, or ``31.01.2024``, ``31. 1. 24``,
``31/01/2024``, ``01/31/2024``, ``1/31/24``, ``31-01-2024``, ``2024/01/31``, ``2024.1.31``,
``31 Jan 2024``, ``31-JAN-24``, ``January 31, 2024``, and those of C, JavaScript and Apache's log,
with a time of day or without.
Numbers are Unix times, or ``20240131``, ``20240131101500``, or Excel's days since 1899-12-30.
Where days and months could be either in all rows, nobody guesses: the text is not a date. Times
without an offset are UTC. Dates may be of any year from 1 to 9999, as those that stand for "no
end".
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

DAY: Final = 86_400.0
# Unix times from here on are of milliseconds, microseconds, nanoseconds: no second, but one of
# 1973-03 in the finer unit, is as large as year 5138 in the coarser.
_UNITS: Final = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
# Smaller numbers are no plausible times: one of 1973-03 in seconds.
MIN_EPOCH: Final = 1e8
# Numbers that are plausible times, in seconds: 2001-09-09 to 2099.
_TIMES: Final = (1e9, 4.1e9)
_MIN_DIFFERENT: Final = 10
# Numbers like 20240131, 202401311015, 20240131101500: what the year is multiplied by, and the form.
_COMPACT: Final = ((10**4, "%Y%m%d"), (10**8, "%Y%m%d%H%M"), (10**10, "%Y%m%d%H%M%S"))
_COMPACT_YEARS: Final = (1900, 2101)
# Days in Excel: 1954-10-03 to 2119-01-10, and its day 0 in ours.
_SERIALS: Final = (20_000, 80_000)
_EXCEL: Final = -25_569
_ISO: Final = re.compile(r"(\d{4}-\d{2}-\d{2})(?:(?:T| +)(.*))?", re.ASCII)
_BASIC: Final = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d(?:[.,]\d+)?)?(.*)", re.ASCII)
_OTHER: Final = re.compile(
    r"(?:(?P<y>\d{4})(?P<order>[/.-])(?P<m>\d{1,2})(?P=order)(?P<d>\d{1,2})|"
    r"(?P<d2>\d{1,2})\. ?(?P<m2>\d{1,2})\. ?(?P<y2>\d{4})|"
    r"(?P<d4>\d\d)\. ?(?P<m4>\d\d)\. ?(?P<y4>\d\d)|"
    r"(?P<a>\d{1,2})(?P<mark>[/-])(?P<b>\d{1,2})(?P=mark)(?P<y3>\d{4}|\d\d))"
    r"(?P<time>[ T,]+\d{1,2}:\d{2}.*)?",
    re.ASCII,
)
_MONTH_NAMES: Final = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september"),
    *("october", "november", "december"),
)
_NAMED: Final = re.compile(
    r"(?:[a-z]{3,9},? +)?"
    r"(?:(?P<d>\d{1,2})[ /-](?P<m>[a-z]{3,9})\.?[ /-]|(?P<m2>[a-z]{3,9})\.? +(?P<d2>\d{1,2}),? +)"
    r"(?:(?P<clock>\d{1,2}:\d{2}(?::\d{2})?(?: [A-Z]{3})?) )?"
    r"(?P<y>\d{4}|\d{2})(?P<time>[ T,:]+\d{1,2}:\d{2}.*)?",
    re.ASCII | re.IGNORECASE,
)
_TIME: Final = re.compile(
    r"(?P<h>\d{1,2})(?::(?P<m>\d{2})(?::(?P<s>\d{2})(?:[.,](?P<f>\d{1,6})\d*)?)?)? *"
    r"(?P<half>[ap]\.?m\.?)? *"
    r"(?P<zone>(?:UTC|GMT)?[+-]\d{2}(?::?\d{2})?|[A-Z]{1,4})?(?: ?\[.*\]| ?\(.*\))?",
    re.ASCII | re.IGNORECASE,
)
# Names of zones that mean one offset: RFC 2822's, and Europe's.
_ZONES: Final = {
    **dict.fromkeys(("", "Z", "UTC", "GMT", "UT", "WET"), "Z"),
    **dict.fromkeys(("CET", "WEST"), "+01:00"),
    **dict.fromkeys(("CEST", "EET"), "+02:00"),
    "EEST": "+03:00",
    "EDT": "-04:00",
    "EST": "-05:00",
    "CDT": "-05:00",
    "CST": "-06:00",
    "MDT": "-06:00",
    "MST": "-07:00",
    "PDT": "-07:00",
    "PST": "-08:00",
}
_MONTHS: Final = 12
# Two-digit years from here on are of the last century, as POSIX has it.
_CENTURY: Final = 69


def days(values: pd.Series[Any]) -> Floats:
    """The column as days since 1970-01-01 UTC; NaN where a value is not a date or is missing."""
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        found = np.asarray(values.astype("float64"))
        if pd.api.types.is_bool_dtype(values):
            return np.full(len(values), np.nan)
        calendar = calendar_days(found)
        if calendar is not None:
            return calendar
        # 0 and -1 stand for "never" among Unix times.
        small = (np.abs(found) < MIN_EPOCH) & ~_never(found)
        return np.where(small, np.nan, epochs(found) / DAY)
    if pd.api.types.is_datetime64_any_dtype(values):
        return _since_epoch(values)
    return _of_objects(values)


def epochs(values: Floats) -> Floats:
    """Unix times in seconds, milliseconds, microseconds or nanoseconds, as seconds."""
    known = np.abs(values[np.isfinite(values)])
    middle = float(np.median(known)) if len(known) else 0.0
    return values / next((unit for minimum, unit in _UNITS if middle >= minimum), 1.0)


def are_times(values: Floats) -> bool:
    """Whether numbers are nothing but plausible Unix times of one unit, or dates like 20240131."""
    known = values[np.isfinite(values)]
    known = known[~_never(known)]
    if len(np.unique(known)) < _MIN_DIFFERENT:
        return False
    minimum, maximum = _TIMES
    seconds = epochs(known)
    # Large numbers that differ by less than seconds are none.
    spread = len(np.unique(np.trunc(seconds))) >= _MIN_DIFFERENT
    if spread and bool(((seconds >= minimum) & (seconds <= maximum)).all()):
        return True
    return _compact(known) is not None


def calendar_days(values: Floats) -> Floats | None:
    """Numbers that are no Unix times as days: ``20240131`` and its like, or Excel's days."""
    compact = _compact(values)
    if compact is not None:
        return compact
    minimum, maximum = _SERIALS
    known = np.isfinite(values) & ~_never(values)
    if not known.any() or not bool(((values[known] >= minimum) & (values[known] <= maximum)).all()):
        return None
    return np.where(known, values + _EXCEL, np.nan)


def _never(values: Floats) -> Any:  # noqa: ANN401 - an array of truths
    return (values == 0) | (values == -1)


def _compact(values: Floats) -> Floats | None:
    """Numbers like 20240131 as days; None where any is not such a date."""
    known = ~np.isnan(values) & ~_never(values)
    if not known.any():
        return None
    different = np.unique(values[known])
    first, last = _COMPACT_YEARS
    form = next(
        (
            form
            for scale, form in _COMPACT
            if different[0] >= first * scale and different[-1] < last * scale
        ),
        None,
    )
    if form is None:
        return None
    times = pd.to_datetime(
        pd.Series([f"{value:.0f}" for value in different]), format=form, errors="coerce"
    )
    if times.isna().any() or np.mod(different, 1).any():
        return None
    found = np.full(len(values), np.nan)
    found[known] = _since_epoch(times)[np.searchsorted(different, values[known])]
    return found


def _since_epoch(times: pd.Series[Any]) -> Floats:
    if times.dt.tz is not None:
        times = times.dt.tz_convert("UTC").dt.tz_localize(None)
    # Microseconds reach all years that people write; a difference in nanoseconds doesn't.
    plain = times.to_numpy(dtype="datetime64[us]")
    found = plain.astype("int64") / (DAY * 1e6)
    return np.where(np.isnat(plain), np.nan, found)


def _of_objects(values: pd.Series[Any]) -> Floats:
    """Texts and dates; NaN for all else."""
    found = values.astype(object).where(values.map(_may_be_date).astype(bool), None)
    kinds = {*map(type, found.dropna())}
    if not kinds:
        return np.full(len(values), np.nan)
    if kinds != {str}:
        return _since_epoch(pd.to_datetime(found, errors="coerce", utc=True))
    texts = found.dropna().unique()
    day_first = _day_first(texts)
    plain = pd.Series([_iso(text, day_first=day_first) for text in texts], dtype=object)
    times = _since_epoch(pd.to_datetime(plain, errors="coerce", utc=True, format="ISO8601"))
    known = dict(zip(texts, times, strict=True))
    return np.asarray(found.map(known, na_action="ignore").astype("float64"))


def _may_be_date(value: object) -> bool:
    return isinstance(value, str | date)  # a number in an object column is not a date, either


def _iso(text: str, *, day_first: bool | None) -> str | None:
    """A text in ISO's form, in microseconds at most; None where it is not a date."""
    text = text.strip()
    if found := _ISO.fullmatch(text):
        return _joined(found[1], found[2])
    if found := _BASIC.fullmatch(text):
        year, month, day, hour, minute, second, zone = found.groups()
        return _joined(f"{year}-{month}-{day}", f"{hour}:{minute}:{second or '00'}{zone}")
    if found := _NAMED.fullmatch(text):
        return _named(found)
    found = _OTHER.fullmatch(text)
    if found is None or (found["a"] and day_first is None):
        return None
    first, second = (found["a"], found["b"]) if day_first else (found["b"], found["a"])
    year = found["y"] or found["y2"] or _year(found["y3"] or found["y4"])
    month = found["m"] or found["m2"] or found["m4"] or second
    day = found["d"] or found["d2"] or found["d4"] or first
    return _joined(f"{year}-{int(month):02}-{int(day):02}", found["time"])


def _named(found: re.Match[str]) -> str | None:
    """A date with the name of its month."""
    name = (found["m"] or found["m2"]).lower()
    number = next((n for n, full in enumerate(_MONTH_NAMES, 1) if name in {full, full[:3]}), None)
    if number is None and name == "sept":
        number = 9
    if number is None:
        return None
    day = int(found["d"] or found["d2"])
    return _joined(f"{_year(found['y'])}-{number:02}-{day:02}", found["clock"] or found["time"])


def _year(text: str) -> str:
    if len(text) > 2:  # noqa: PLR2004 - digits
        return text
    return f"19{text}" if int(text) >= _CENTURY else f"20{text}"


def _joined(day: str, time: str | None) -> str | None:
    """Date and time of day; None where the latter is none."""
    time = (time or "").lstrip(" T,:")
    if not time:
        return day
    found = _TIME.fullmatch(time)
    zone = _zone(found["zone"] or "") if found else None
    if found is None or zone is None:
        return None
    hour = int(found["h"])
    if half := found["half"]:
        if not 1 <= hour <= _MONTHS:
            return None
        hour = hour % 12 + (12 if half[0].lower() == "p" else 0)
    return f"{day}T{hour:02}:{found['m'] or '00'}:{found['s'] or '00'}.{found['f'] or '0'}{zone}"


def _zone(text: str) -> str | None:
    """An offset; None for a name that is none, or could be of many places."""
    text = text.upper()
    offset = text.removeprefix("UTC").removeprefix("GMT")
    return offset if offset[:1] in {"+", "-"} else _ZONES.get(text)


def _day_first(texts: Iterable[str]) -> bool | None:
    """Whether days stand before months where slashes are between; None where nothing shows it.

    Of 24/01/31 the year may well be the first: days are of more values than years.
    """
    parts = [
        (int(found["a"]), int(found["b"]), found["y3"])
        for text in texts
        if (found := _OTHER.fullmatch(text.strip())) and found["a"]
    ]
    if any(first > _MONTHS for first, _, _ in parts):
        short = {year for _, _, year in parts if len(year) == 2}  # noqa: PLR2004 - digits
        return True if len({first for first, _, _ in parts}) > len(short) else None
    return False if any(second > _MONTHS for _, second, _ in parts) else None

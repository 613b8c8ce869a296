"""Dates and times in any form, as days or seconds since 1970-01-01 UTC. Pure.

Texts are ISO 8601 with month and day, or ``31.01.2024``, ``31.01.24``, ``31/01/2024``,
``01/31/2024``, ``31-01-2024``, ``2024/01/31``, ``31 Jan 2024``, ``31-JAN-24`` and ``January 31,
2024``, with a time of day or without. Where days and months could be either in all rows, nobody
guesses: the text is not a date. Times without an offset are UTC. Dates may be of any year
from 1 to 9999, as those that stand for "no end".
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
LEAST_EPOCH: Final = 1e8
# Numbers that are plausible times, in seconds: 2001-09-09 to 2099.
_TIMES: Final = (1e9, 4.1e9)
_LEAST_DIFFERENT: Final = 10
# Texts and numbers like 20240131.
_COMPACT: Final = (19000101, 21001231)
_ISO: Final = re.compile(r"(\d{4}-\d{2}-\d{2})(?:(?:T| +)(.*))?", re.ASCII)
_OTHER: Final = re.compile(
    r"(?:(?P<y>\d{4})/(?P<m>\d{1,2})/(?P<d>\d{1,2})|(?P<d2>\d{1,2})\.(?P<m2>\d{1,2})\.(?P<y2>\d{4})|"
    r"(?P<d4>\d\d)\.(?P<m4>\d\d)\.(?P<y4>\d\d)|"
    r"(?P<a>\d{1,2})(?P<mark>[/-])(?P<b>\d{1,2})(?P=mark)(?P<y3>\d{4}))"
    r"(?P<time>[ T,]+\d{1,2}:\d{2}.*)?",
    re.ASCII,
)
_MONTH_NAMES: Final = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september"),
    *("october", "november", "december"),
)
_NAMED: Final = re.compile(
    r"(?:[a-z]{3,9}, +)?"
    r"(?:(?P<d>\d{1,2})[ -](?P<m>[a-z]{3,9})\.?[ -]|(?P<m2>[a-z]{3,9})\.? (?P<d2>\d{1,2}), *)"
    r"(?P<y>\d{4}|\d{2})(?P<time>[ T,]+\d{1,2}:\d{2}.*)?",
    re.ASCII | re.IGNORECASE,
)
_TIME: Final = re.compile(
    r"(?P<h>\d{1,2}):(?P<m>\d{2})(?::(?P<s>\d{2})(?:[.,](?P<f>\d{1,6})\d*)?)? *"
    r"(?P<half>[ap]\.?m\.?)? *"
    r"(?P<zone>Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?(?:\[.*\])?",
    re.ASCII | re.IGNORECASE,
)
_MONTHS: Final = 12
# Two-digit years from here on are of the last century, as POSIX has it.
_CENTURY: Final = 69


def days(values: pd.Series[Any]) -> Floats:
    """The column as days since 1970-01-01 UTC; NaN where a value is not a date or is missing."""
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        found = np.asarray(values.astype("float64"))
        if pd.api.types.is_bool_dtype(values):
            return np.full(len(values), np.nan)
        compact = _compact(found)
        if compact is not None:
            return compact
        # 0 and -1 stand for "never" among Unix times.
        small = (np.abs(found) < LEAST_EPOCH) & ~_never(found)
        return np.where(small, np.nan, epochs(found) / DAY)
    if pd.api.types.is_datetime64_any_dtype(values):
        return _since_epoch(values)
    return _of_objects(values)


def epochs(values: Floats) -> Floats:
    """Unix times in seconds, milliseconds, microseconds or nanoseconds, as seconds."""
    known = np.abs(values[np.isfinite(values)])
    middle = float(np.median(known)) if len(known) else 0.0
    return values / next((unit for least, unit in _UNITS if middle >= least), 1.0)


def are_times(values: Floats) -> bool:
    """Whether numbers are nothing but plausible Unix times of one unit, or dates like 20240131."""
    known = values[np.isfinite(values)]
    known = known[~_never(known)]
    if len(np.unique(known)) < _LEAST_DIFFERENT:
        return False
    least, most = _TIMES
    seconds = epochs(known)
    if bool(((seconds >= least) & (seconds <= most)).all()):
        return True
    return _compact(known) is not None


def _never(values: Floats) -> Any:  # noqa: ANN401 - an array of truths
    return (values == 0) | (values == -1)


def _compact(values: Floats) -> Floats | None:
    """Numbers like 20240131 as days; None where any is not such a date."""
    known = ~np.isnan(values) & ~_never(values)
    least, most = _COMPACT
    if not known.any() or not bool(((values[known] >= least) & (values[known] <= most)).all()):
        return None
    different = np.unique(values[known])
    times = pd.to_datetime(
        pd.Series([f"{value:.0f}" for value in different]), format="%Y%m%d", errors="coerce"
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
    if found := _NAMED.fullmatch(text):
        return _named(found)
    found = _OTHER.fullmatch(text)
    if found is None or (found["a"] and day_first is None):
        return None
    first, second = (found["a"], found["b"]) if day_first else (found["b"], found["a"])
    year = found["y"] or found["y2"] or found["y3"] or _year(found["y4"])
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
    return _joined(f"{_year(found['y'])}-{number:02}-{day:02}", found["time"])


def _year(text: str) -> str:
    if len(text) > 2:  # noqa: PLR2004 - digits
        return text
    return f"19{text}" if int(text) >= _CENTURY else f"20{text}"


def _joined(day: str, time: str | None) -> str | None:
    """Date and time of day; None where the latter is none."""
    time = (time or "").lstrip(" T,")
    if not time:
        return day
    found = _TIME.fullmatch(time)
    if found is None:
        return None
    hour = int(found["h"])
    if half := found["half"]:
        if not 1 <= hour <= _MONTHS:
            return None
        hour = hour % 12 + (12 if half[0].lower() == "p" else 0)
    zone = found["zone"] or ""
    zone = "Z" if zone.upper() in {"UTC", "GMT"} else zone.upper()
    return f"{day}T{hour:02}:{found['m']}:{found['s'] or '00'}.{found['f'] or '0'}{zone}"


def _day_first(texts: Iterable[str]) -> bool | None:
    """Whether days stand before months where slashes are between; None where nothing tells."""
    pairs = [
        (int(found["a"]), int(found["b"]))
        for text in texts
        if (found := _OTHER.fullmatch(text.strip())) and found["a"]
    ]
    if any(first > _MONTHS for first, _ in pairs):
        return True
    return False if any(second > _MONTHS for _, second in pairs) else None

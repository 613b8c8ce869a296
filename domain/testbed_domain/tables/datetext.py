"""Dates and times in any form, as days or seconds since 1970-01-01 UTC. Pure.

Texts are ISO 8601 with month and day, or ``31.01.2024``, ``31/01/2024``, ``01/31/2024`` and
``2024/01/31``, with a time of day or without. Where days and months could be either in all rows,
nobody guesses: the text is not a date. Times without an offset are UTC. Dates may be of any year
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
_ISO: Final = re.compile(r"\d{4}-\d{2}-\d{2}(?:$|[T ])")
_OTHER: Final = re.compile(
    r"(?:(?P<y>\d{4})/(?P<m>\d{1,2})/(?P<d>\d{1,2})|(?P<d2>\d{1,2})\.(?P<m2>\d{1,2})\.(?P<y2>\d{4})|"
    r"(?P<a>\d{1,2})/(?P<b>\d{1,2})/(?P<y3>\d{4}))(?P<time>[ T,]+\d{1,2}:\d{2}.*)?",
    re.ASCII,
)
_FINE: Final = re.compile(r"(\.\d{6})\d+")
_MONTHS: Final = 12


def days(values: pd.Series[Any]) -> Floats:
    """The column as days since 1970-01-01 UTC; NaN where a value is not a date or is missing."""
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        found = np.asarray(values.astype("float64"))
        small = ~np.isnan(found) & (np.abs(found) < LEAST_EPOCH)
        if small.any() or pd.api.types.is_bool_dtype(values):
            return np.full(len(values), np.nan)
        return epochs(found) / DAY
    if pd.api.types.is_datetime64_any_dtype(values):
        return _since_epoch(values)
    return _of_objects(values)


def epochs(values: Floats) -> Floats:
    """Unix times in seconds, milliseconds, microseconds or nanoseconds, as seconds."""
    known = np.abs(values[np.isfinite(values)])
    middle = float(np.median(known)) if len(known) else 0.0
    return values / next((unit for least, unit in _UNITS if middle >= least), 1.0)


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
    if _ISO.match(text):
        return _FINE.sub(r"\1", text)
    found = _OTHER.fullmatch(text)
    if found is None or (found["a"] and day_first is None):
        return None
    first, second = (found["a"], found["b"]) if day_first else (found["b"], found["a"])
    year = found["y"] or found["y2"] or found["y3"]
    month = found["m"] or found["m2"] or second
    day = found["d"] or found["d2"] or first
    return f"{year}-{int(month):02}-{int(day):02}{_time(found['time'])}"


def _time(text: str | None) -> str:
    if not text:
        return ""
    hour, _, rest = text.strip(" T,").partition(":")
    minutes = _FINE.sub(r"\1", rest)
    return f"T{int(hour):02}:{minutes}"


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

"""What kind of values a column of a table holds, and the values in the form of that kind.

- ``number``: numbers; in a CSV file also text that is a number in every row. Durations are days.
- ``date``: dates and times, and text that is one in every row (ISO 8601, with month and day). They
  are compared as days since 1970-01-01 UTC; times without an offset are UTC.
- ``boolean``: compared as the categories ``False`` and ``True``.
- ``category``: all else, as text; surrounding spaces don't count, and blank text is missing.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

TableKind = Literal["number", "date", "boolean", "category"]
KINDS: Final[tuple[TableKind, ...]] = ("number", "date", "boolean", "category")
DAY: Final = 86_400.0
_DATE: Final = r"\d{4}-\d{2}-\d{2}(?:$|[T ])"
_EPOCH: Final = pd.Timestamp(0, tz="UTC")
_TRUTHS: Final = {"0": "False", "1": "True", "false": "False", "true": "True"}


def without_blanks(values: pd.Series[Any]) -> pd.Series[Any]:
    """The column with text of spaces only as a missing value."""
    if _is_plain(values):
        return values
    texts = values.map(lambda value: isinstance(value, str) and not value.strip())
    return values.mask(texts.astype(bool)) if texts.any() else values


def kind_of(values: pd.Series[Any], *, typed: bool) -> TableKind | None:
    """The kind of a column; None where it holds nothing.

    Args:
        values: see :func:`without_blanks`.
        typed: whether text is meant as text, see :class:`testbed_drift.tables.sources.Source`.
    """
    if not values.notna().any():
        return None
    if isinstance(values.dtype, pd.CategoricalDtype):
        return "category"
    if pd.api.types.is_bool_dtype(values):
        return "boolean"
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_timedelta64_dtype(values):
        return "number"
    if pd.api.types.is_datetime64_any_dtype(values):
        return "date"
    return _kind_of_objects(values.dropna(), typed=typed)


def _kind_of_objects(present: pd.Series[Any], *, typed: bool) -> TableKind:
    kinds = {*map(type, present)}
    if all(issubclass(kind, bool | np.bool_) for kind in kinds):
        return "boolean"
    if all(issubclass(kind, Real | Decimal) for kind in kinds):
        return "number"
    if all(issubclass(kind, date) for kind in kinds):
        return "date"
    if all(issubclass(kind, str) for kind in kinds):
        if not typed and pd.to_numeric(present, errors="coerce").notna().all():
            return "number"
        if present.str.match(_DATE).all() and np.isfinite(days(present)).all():
            return "date"
    return "category"


def numbers(values: pd.Series[Any]) -> Floats:
    """The column as numbers; NaN where a value is none or is missing."""
    if pd.api.types.is_timedelta64_dtype(values):
        return np.asarray(values.dt.total_seconds(), dtype=np.float64) / DAY
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    return np.asarray(pd.to_numeric(values, errors="coerce").astype("float64"))


def days(values: pd.Series[Any]) -> Floats:
    """The column as days since 1970-01-01 UTC; NaN where a value is no date or is missing."""
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return np.full(len(values), np.nan)  # pandas would take them for nanoseconds
    form = None
    if not pd.api.types.is_datetime64_any_dtype(values):
        values = values.astype(object).where(values.map(_may_be_date), None)
        form = "ISO8601" if {*map(type, values.dropna())} == {str} else None
    times = pd.to_datetime(values, errors="coerce", utc=True, format=form)
    return np.asarray((times - _EPOCH).dt.total_seconds(), dtype=np.float64) / DAY


def seconds(values: pd.Series[Any]) -> Floats:
    """A column of times as Unix seconds: numbers are taken for such already."""
    if pd.api.types.is_numeric_dtype(values):
        return numbers(values)
    found = days(values) * DAY
    return found if np.isfinite(found).any() else numbers(values)


def texts(values: pd.Series[Any]) -> pd.Series[Any]:
    """The column as text or None; a 1 is the same whether missing values made it 1.0 or not."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    plain = values.convert_dtypes().astype("string").str.strip()
    return plain.astype(object).where(plain.notna() & (plain != ""), None)


def truths(values: pd.Series[Any]) -> pd.Series[Any]:
    """The column as ``False``, ``True`` or None; what is neither stays as it is."""
    return texts(values).map(lambda text: _TRUTHS.get(str(text).lower(), text), na_action="ignore")


def _may_be_date(value: object) -> bool:
    return isinstance(value, str | date)  # a number in an object column is no date, either


def _is_plain(values: pd.Series[Any]) -> bool:
    return not (pd.api.types.is_object_dtype(values) or pd.api.types.is_string_dtype(values))

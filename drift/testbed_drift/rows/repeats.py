"""How many rows of a window repeat an earlier one. Pure.

Rows are compared by one number made of all their values; rows of which that number is the same are
then compared value by value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from testbed_drift.rows.packing import numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Codes = NDArray[np.uint64]

# Of a generator of random numbers (MurmurHash3's finaliser): neighbours come to lie far apart.
_FACTORS: Final = (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53))
_SHIFT: Final = np.uint64(33)


def repeated(columns: Sequence[Sequence[object]], key: Callable[[object], object]) -> float | None:
    """Share of rows that repeat an earlier one in every column; None where there are no rows.

    Args:
        columns: values by column, all of one length.
        key: gives two values that count as equal the same thing to compare by.
    """
    rows = len(columns[0]) if columns else 0
    if not rows:
        return None
    coded = [_codes(values, key) for values in columns]
    mixed = np.zeros(rows, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for codes in coded:
            mixed = _mixed(mixed ^ codes) + np.uint64(1)
    order = np.argsort(mixed, kind="stable")
    alike = np.flatnonzero(mixed[order[1:]] == mixed[order[:-1]])
    first, second = order[alike], order[alike + 1]
    if all((codes[first] == codes[second]).all() for codes in coded):
        return len(alike) / rows
    return 1 - len(np.unique(np.stack(coded, axis=1), axis=0)) / rows


def _mixed(values: Codes) -> Codes:
    for factor in _FACTORS:
        values ^= values >> _SHIFT
        values *= factor
    return values ^ (values >> _SHIFT)


def _codes(values: Sequence[object], key: Callable[[object], object]) -> Codes:
    """A number per value; the same for equal ones only."""
    found = numbers(values)
    if found is not None:
        found = found + 0.0  # the two zeros are equal
        found[np.isnan(found)] = np.nan  # and so are missing values, of whatever bits
        return found.view(np.uint64)
    places: dict[object, int] = {}
    known: dict[tuple[type, object], int] = {}

    def place(value: object) -> int:
        try:
            seen = known.get((type(value), value))
            if seen is None:
                seen = known[type(value), value] = places.setdefault(key(value), len(places))
        except TypeError:  # no value to look up by
            return places.setdefault(key(value), len(places))
        return seen

    return np.fromiter(map(place, values), dtype=np.uint64, count=len(values))

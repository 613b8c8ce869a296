"""Rows of the prediction log in little memory. Pure.

Numbers take eight bytes each, and a text that occurs again is kept once.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from types import NoneType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from testbed_domain.logrows import Columns

if TYPE_CHECKING:
    from collections.abc import Iterable

FLOATS: Final = "d"
INTEGERS: Final = "q"
# Integers up to here are exact as floats.
EXACT: Final = 2.0**53


class ClassProbabilities(Sequence[Mapping[str, float]]):
    """Probabilities of rows, kept by class.

    Args:
        parts: class to the probabilities of all rows.
    """

    def __init__(self, parts: Mapping[str, Sequence[float]]) -> None:
        self._parts = dict(parts)

    def __len__(self) -> int:
        return len(next(iter(self._parts.values()), ()))

    def __getitem__(self, row: Any) -> Any:  # noqa: ANN401 - a row, or a slice of them
        if isinstance(row, slice):
            return [self[place] for place in range(*row.indices(len(self)))]
        return {name: part[row] for name, part in self._parts.items()}

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that the rows name."""
        return tuple(self._parts)

    def of(self, name: str) -> Sequence[float]:
        """Probabilities of one class."""
        return self._parts[name]

    def matrix(self, classes: Sequence[str]) -> np.ndarray[Any, Any]:
        """``[rows, classes]``; NaN for a class that no row names."""
        unknown = np.full(len(self), np.nan)
        parts = [np.asarray(self._parts.get(name, unknown), dtype=float) for name in classes]
        return np.stack(parts, axis=1)


def packed(newest_first: Iterable[Columns]) -> Columns:
    """Pieces of a window as one, oldest first, without the ids.

    Args:
        newest_first: the pieces; each is let go as soon as it is packed.
    """
    texts: dict[str, str] = {}
    pieces = [_piece(piece, texts) for piece in newest_first][::-1]
    names = dict.fromkeys(name for piece in pieces for name in piece.features)
    features = {
        name: _joined([piece.features.get(name, [None] * len(piece)) for piece in pieces])
        for name in names
    }
    return Columns(
        features=features,
        prediction=_joined([piece.prediction for piece in pieces]),
        probability=_joined([piece.probability for piece in pieces]),
        label=_joined([piece.label for piece in pieces]),
        id=[],
        time=_joined([piece.time for piece in pieces]),
        probabilities=_probabilities([piece.probabilities for piece in pieces]),
        label_time=[time for piece in pieces for time in piece.label_time],
    )


def _piece(piece: Columns, texts: dict[str, str]) -> Columns:
    return Columns(
        features={name: pack(values, texts) for name, values in piece.features.items()},
        prediction=pack(piece.prediction, texts),
        probability=pack(piece.probability, texts),
        label=pack(piece.label, texts),
        id=[],
        time=pack(piece.time, texts),
        probabilities=_ratios(piece.probabilities),
        label_time=piece.label_time,  # None, not NaN, says that no label came
    )


def pack(values: Sequence[Any], texts: dict[str, str]) -> Sequence[Any]:
    """Values as an array where all are numbers; else as they are, with equal texts shared.

    A missing value among floats becomes NaN, which says as little. Booleans are no numbers here.

    Args:
        values: of one column.
        texts: texts met before; grows.
    """
    kinds = set(map(type, values))
    try:
        if float in kinds and kinds <= {float, int, NoneType}:
            return array(FLOATS, [math.nan if value is None else value for value in values])
        if kinds == {int}:
            return array(INTEGERS, values)
    except OverflowError:  # an integer beyond eight bytes, or beyond every float
        return values
    return [texts.setdefault(value, value) if type(value) is str else value for value in values]


def numbers(values: Sequence[Any]) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    """A column of numbers, NaN where one is missing; None where it holds anything else.

    Integers beyond what a float holds exactly are none.
    """
    found = values if isinstance(values, array) else pack(values, {})
    if not isinstance(found, array):
        return None
    floats = np.asarray(found, dtype=float)
    return None if found.typecode == INTEGERS and (np.abs(floats) > EXACT).any() else floats


def _joined(pieces: Sequence[Sequence[Any]]) -> Sequence[Any]:
    """One array where all pieces are, or miss all their values among floats; else a list."""
    arrays = [piece for piece in pieces if isinstance(piece, array)]
    floats = any(piece.typecode == FLOATS for piece in arrays)
    others = [piece for piece in pieces if not isinstance(piece, array)]
    if not arrays or any(not floats or set(map(type, piece)) - {NoneType} for piece in others):
        return [value for piece in pieces for value in piece]
    found: array[Any] = _array(FLOATS if floats else INTEGERS, [])
    for piece in pieces:
        values = piece if isinstance(piece, array) else [math.nan] * len(piece)
        found.extend(_array(found.typecode, values))
    return found


def _array(code: Any, values: Sequence[Any]) -> array[Any]:  # noqa: ANN401 - a letter, typed as one of many
    return array(code, values)


def _ratios(rows: Sequence[Mapping[str, float]]) -> Sequence[Mapping[str, float]]:
    """Rows that all name the same classes, by class; others as they are."""
    names = dict.fromkeys(rows[0]) if rows else {}
    if not names or any(row.keys() != names.keys() for row in rows):
        return rows
    parts = {name: pack([row[name] for row in rows], {}) for name in names}
    floats = {name: part for name, part in parts.items() if isinstance(part, array)}
    return ClassProbabilities(floats) if len(floats) == len(names) else rows


def _probabilities(pieces: Sequence[Sequence[Mapping[str, float]]]) -> Any:  # noqa: ANN401 - of two kinds
    ratios = [piece for piece in pieces if isinstance(piece, ClassProbabilities)]
    if not ratios or len(ratios) < len(pieces) or len({tuple(one.classes) for one in ratios}) > 1:
        return [row for piece in pieces for row in piece]
    return ClassProbabilities(
        {name: _joined([one.of(name) for one in ratios]) for name in ratios[0].classes}
    )

"""What was predicted, how sure the model was, and what turned out true, as arrays. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from testbed_drift.rows.packing import ClassProbabilities

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testbed_domain.logstore import Columns

UNKNOWN: Final = -1
# The class of every text that is none of the model's classes, so that a wrong label counts as one.
STRANGE: Final = "other"


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Predictions of a window beside their labels; all arrays have one entry per prediction.

    Attributes:
        classes: the model's classes as text, and :data:`STRANGE` where a row has another one.
        positive: index of the positive class, or None for several classes.
        predicted: index of the predicted class.
        label: index of the true class; :data:`UNKNOWN` where no label has come.
        probabilities: ``[rows, classes]``; NaN in rows of which they are not known.
        delay: seconds from the prediction to its label; NaN where that is not known.
    """

    classes: tuple[str, ...]
    positive: int | None
    predicted: np.ndarray[Any, Any]
    label: np.ndarray[Any, Any]
    probabilities: np.ndarray[Any, Any]
    delay: np.ndarray[Any, Any]

    @classmethod
    def of(cls, columns: Columns, classes: Sequence[object], positive: object = None) -> Self:
        """Read rows of the prediction log, or of a table.

        Args:
            columns: the rows; those of a table that have no prediction are left out.
            classes: the model's classes in its order, as in its feature schema.
            positive: the positive class, or None.
        """
        known = [str(name) for name in classes]
        strange = {*columns.prediction, *columns.label} - {*known, None}
        names = (*known, STRANGE) if strange else tuple(known)
        places = {name: place for place, name in enumerate(known)} | dict.fromkeys(
            (name for name in strange if name is not None), len(known)
        )
        reported = np.array([places.get(name, UNKNOWN) for name in columns.prediction], dtype=int)
        found = cls(
            names,
            None if positive is None else known.index(str(positive)),
            reported,
            np.array(
                [UNKNOWN if name is None else places[name] for name in columns.label], dtype=int
            ),
            _probabilities(columns, known, len(names)),
            delays(columns),
        )
        return found.where(reported != UNKNOWN)

    def __len__(self) -> int:
        return len(self.predicted)

    @property
    def labelled(self) -> np.ndarray[Any, Any]:
        """Which rows have a label."""
        return np.asarray(self.label != UNKNOWN)

    def where(self, chosen: np.ndarray[Any, Any]) -> Self:
        """Only the chosen rows."""
        return type(self)(
            self.classes,
            self.positive,
            self.predicted[chosen],
            self.label[chosen],
            self.probabilities[chosen],
            self.delay[chosen],
        )


def _probabilities(columns: Columns, known: list[str], width: int) -> np.ndarray[Any, Any]:
    """What the model said; a class that a row leaves out has probability 0."""
    found = np.zeros((len(columns), width))
    if columns.probabilities:
        reported = _reported(columns.probabilities, known)
        empty = np.isnan(reported).all(axis=1)
        found[:, : len(known)] = np.nan_to_num(reported, nan=0.0)
        found[empty] = np.nan
    else:
        found[:] = np.nan
    return found


def _reported(rows: Sequence[Mapping[str, float]], known: list[str]) -> np.ndarray[Any, Any]:
    """``[rows, known classes]``; NaN for a class that a row leaves out."""
    if isinstance(rows, ClassProbabilities):
        return rows.matrix(known)
    listed = [[row.get(name) for name in known] for row in rows]
    return np.array(listed, dtype=float).reshape(len(rows), len(known))


def delays(columns: Columns) -> np.ndarray[Any, Any]:
    """Seconds from each prediction to its label; NaN where that is not known."""
    if not columns.label_time:
        return np.full(len(columns), np.nan)
    came = np.array(columns.label_time, dtype=float)
    # Clocks of two machines differ; no label comes before its prediction.
    return np.asarray(np.maximum(came - np.array(columns.time, dtype=float), 0.0))

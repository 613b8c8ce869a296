"""Rows as numbers: what correlations and classifiers of two windows are computed from. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from testbed_drift.rows.columns import ColumnKind
    from testbed_drift.scoring.statistics.base import Floats

# Values of a category that are distinguished; all rarer and new ones are one more.
MAX_CATEGORIES: Final = 30


@dataclass(frozen=True, slots=True)
class Coding:
    """How the columns of a reference become numbers.

    Attributes:
        places: category column to its values' places, the most frequent first; None for a column
            of numbers.
    """

    places: Mapping[str, Mapping[str, int] | None]

    @classmethod
    def learn(cls, reference: pd.DataFrame, kinds: Mapping[str, ColumnKind]) -> Self:
        """Learn the categories of a reference that :func:`.declare` made."""
        return cls(
            {
                name: None if kind == "numeric" else _places(reference[name])
                for name, kind in kinds.items()
            }
        )

    @property
    def categorical(self) -> tuple[bool, ...]:
        """Which columns are categories."""
        return tuple(places is not None for places in self.places.values())

    def __call__(self, frame: pd.DataFrame) -> Floats:
        """``[rows, columns]``: numbers as they are, categories by place; NaN where one misses."""
        coded = np.empty((len(frame), len(self.places)))
        for index, (name, places) in enumerate(self.places.items()):
            column = frame[name]
            if places is None:
                coded[:, index] = column.to_numpy(dtype=float)
            else:
                found = column.map(places, na_action="ignore").to_numpy(dtype=float)
                other = np.isnan(found) & column.notna().to_numpy()
                coded[:, index] = np.where(other, len(places), found)
        return coded


def sampled(frame: pd.DataFrame, maximum: int, seed: int) -> pd.DataFrame:
    """At most so many rows, drawn uniformly without replacement and kept in their order."""
    if len(frame) <= maximum:
        return frame
    chosen = np.random.default_rng(seed).choice(len(frame), maximum, replace=False, shuffle=False)
    return frame.iloc[np.sort(chosen)].reset_index(drop=True)


def _places(column: pd.Series[Any]) -> dict[str, int]:
    counts = column.value_counts()
    ranked = sorted(counts.index, key=lambda value: (-counts[value], value))
    return {value: place for place, value in enumerate(ranked[:MAX_CATEGORIES])}

"""Rows that are copies of each other: customers come back, and exports join twice. Pure.

Every test of two windows takes rows for independent. A copy is no further witness: a window of 300
rows, each of them twice, deviates from its distribution as one of 300 does, but is tested as one of
600; and a classifier that has learnt a row knows its copy. So copies within a window count once,
and a row that both windows hold is on one side of every split.

Rows of a few categories are equal by chance, and are no copies. Rows of two windows are equal by
chance only: where those within a window are no more often equal than that, nothing is taken away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterable

    from testbed_drift.scoring.statistics.base import Integers

# Times as many equal pairs as chance makes, from which on they are copies.
_MANY: Final = 2.0


@dataclass(frozen=True, slots=True)
class Distinct:
    """Two windows without copies within either.

    Attributes:
        reference: its rows, each once where it holds copies.
        current: likewise.
        groups: number of every row, of both in this order; the same for equal ones. None where
            equal rows are so by chance, or none is.
    """

    reference: pd.DataFrame
    current: pd.DataFrame
    groups: Integers | None

    @classmethod
    def of(cls, reference: pd.DataFrame, current: pd.DataFrame, columns: Iterable[str]) -> Self:
        """Take copies away.

        Args:
            reference: rows as :func:`testbed_drift.rows.frames.declare` makes them.
            current: rows made alike.
            columns: in which copies are equal.
        """
        both = pd.concat([reference[[*columns]], current[[*columns]]], ignore_index=True)
        number = numbered(both, both.columns)[0]
        before, now = number[: len(reference)], number[len(reference) :]
        count = int(number.max()) + 1 if len(number) else 0
        old, new = (np.bincount(part, minlength=count) for part in (before, now))
        chance = float(old @ new) / max(len(before) * len(now), 1)
        within = [_rate(part) for part in (old, new)]
        copied = [rate > _MANY * chance for rate in within]
        retained = [
            _first(part) if many else np.arange(len(part))
            for part, many in zip((before, now), copied, strict=True)
        ]
        grouped = any(copied) or chance > _MANY * max(within)
        return cls(
            reference.iloc[retained[0]] if copied[0] else reference,
            current.iloc[retained[1]] if copied[1] else current,
            np.concatenate([before[retained[0]], now[retained[1]]]) if grouped else None,
        )


def numbered(frame: pd.DataFrame, columns: Iterable[str]) -> tuple[Integers, Any]:
    """A number per row, the same for equal ones, and one entry per number."""
    return pd.factorize(pd.util.hash_pandas_object(frame[[*columns]], index=False).to_numpy())


def _rate(counts: Integers) -> float:
    """Ratio of pairs of rows that are equal."""
    rows = int(counts.sum())
    return float((counts * (counts - 1)).sum()) / max(rows * (rows - 1), 1)


def _first(numbers: Integers) -> Integers:
    return np.sort(np.unique(numbers, return_index=True)[1])

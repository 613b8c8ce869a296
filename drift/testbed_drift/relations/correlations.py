"""Columns that go together otherwise than before, though each alone is as it was. Pure.

Spearman's rank correlation of every pair of columns, ranks taken within each window: a column that
only moves or stretches keeps its ranks, so what changes here no single column shows. Categories are
ranked by how frequent they are in the reference; of two values this is the phi coefficient.

Two windows are compared by the difference of Fisher's z (Fisher 1921) of each pair, divided by its
standard deviation between windows without drift. The largest of all pairs is compared with the
largest of windows drawn from the reference (the single-step method of maxima, Westfall and Young,
Resampling-Based Multiple Testing, 1993): that holds for ties, skew and dependent pairs, where the
closed forms (Jennrich 1970; Steiger 1980) ask for normal columns. Whole rows are drawn, as in
:mod:`testbed_drift.scoring.resampling`; that the reference is a sample itself widens the spread by
the share of its rows. The threshold keeps its budget as in
:mod:`testbed_drift.scoring.calibration`. A pair drifted when its difference passes the threshold
*and* a least change.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import numpy as np
from scipy.stats import norm

from testbed_drift.scoring.calibration import false_positives_allowed
from testbed_drift.scoring.levels import CORRELATION
from testbed_drift.scoring.matrices import Coding
from testbed_drift.scoring.scores import ColumnScore, Comparison
from testbed_drift.threads import single_threaded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

    from testbed_drift.rows.columns import ColumnKind
    from testbed_drift.scoring.statistics.base import Floats, Integers

CorrelationState = Literal["tested", "few_rows", "few_columns", "many_columns"]
TEST: Final = "correlation_test"
CHANGE: Final = "correlation_change"
# The fewest draws that can hold the usual level, as of testbed drift calibrate.
DRAWS: Final = 3000
# Least change of Fisher's z: near 0 it is one of the correlation itself.
MIN_CHANGE: Final = 0.1
MIN_ROWS: Final = 100
# The draws cost a tenth of a second or two for every column; the classifier sees more of them.
MAX_COLUMNS: Final = 40
# Pairs with less spread between windows are constant there; a perfect correlation has infinite z.
_MIN_SPREAD: Final = 1e-9
_STRONGEST: Final = 0.999_999
# Windows of about as many rows share their draws: each step is twice as large as the one below.
_STEP: Final = 2.0
_MAX_DRAWN: Final = 2000
# Values that are held at a time while windows are drawn.
_BLOCK: Final = 200_000
# Share of the draws at which their tail is held against that of normal changes.
_TAIL: Final = 0.001


@dataclass(frozen=True, slots=True)
class PairChange:
    """How a pair of columns changed.

    Attributes:
        first: one column.
        second: the other.
        reference: rank correlation in the reference, -1 to 1.
        current: that in the window.
        change: difference of Fisher's z, without sign.
        deviations: the change in its standard deviations between windows without drift.
        drifted: whether it passes the threshold and the least change.
    """

    first: str
    second: str
    reference: float
    current: float
    change: float
    deviations: float
    drifted: bool

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "columns": [self.first, self.second],
            "reference": self.reference,
            "current": self.current,
            "change": self.change,
            "deviations": self.deviations,
            "drifted": self.drifted,
        }


@dataclass(frozen=True, slots=True)
class CorrelationDrift:
    """Verdict on the pairs of a window.

    Attributes:
        state: ``tested``; ``few_rows`` or ``few_columns`` where there is nothing to test;
            ``many_columns`` beyond :data:`MAX_COLUMNS`.
        comparison: of the pair that stands out most.
        pairs: all pairs, that one first.
    """

    state: CorrelationState
    comparison: Comparison | None = None
    pairs: tuple[PairChange, ...] = ()

    @property
    def drifted(self) -> tuple[PairChange, ...]:
        """The drifted pairs."""
        return tuple(pair for pair in self.pairs if pair.drifted)


class Correlations:
    """The pairs of one reference; keeps the draws for windows of about the same size.

    Args:
        reference: rows as :func:`testbed_drift.rows.frames.declare` makes them.
        kinds: feature columns and kinds.
        draws: windows without drift.
        budget: false positives per window.
        seed: of the draws.

    Raises:
        CalibrationError: so few draws can't hold the budget.
    """

    def __init__(
        self,
        reference: pd.DataFrame,
        kinds: Mapping[str, ColumnKind],
        draws: int = DRAWS,
        budget: float = CORRELATION,
        seed: int = 0,
    ) -> None:
        self._coding = Coding.learn(reference, kinds)
        self._names = tuple(kinds)
        self._reference = _Ranked.of(self._coding(reference))
        self._before = self._reference.correlations()
        self._draws = draws
        # A lower level than the draws can hold is held by their tail.
        self._level = budget if budget < CORRELATION else None
        self._allowed = false_positives_allowed(draws, max(budget, CORRELATION))
        self._seed = seed
        self._quiet: dict[int, tuple[Floats, Floats]] = {}

    def compare(self, current: pd.DataFrame) -> CorrelationDrift:
        """Evaluate a window, made like the reference."""
        if len(self._names) < 2:  # noqa: PLR2004 - a pair
            return CorrelationDrift("few_columns")
        if len(self._names) > MAX_COLUMNS:
            return CorrelationDrift("many_columns")
        if min(len(current), len(self._reference)) < MIN_ROWS:
            return CorrelationDrift("few_rows")
        now = _Ranked.of(self._coding(current)).correlations()
        spread, largest = self._calm(len(current))
        change = _difference(self._before, now)
        deviations = _divided(change, spread)
        limit = (1 + self._allowed) / (1 + self._draws)
        reached = (largest[None, :] >= deviations[:, None]).sum(axis=1)
        p_values = (1 + reached) / (1 + self._draws)
        if self._level is not None:
            limit = self._level
            beyond = np.minimum(p_values, _tail(deviations, largest))
            p_values = np.where(reached == 0, beyond, p_values)
        drifted = (p_values <= limit) & (change >= MIN_CHANGE)
        pairs = [
            PairChange(
                first,
                second,
                float(self._before[index]),
                float(now[index]),
                float(change[index]),
                float(deviations[index]),
                bool(drifted[index]),
            )
            for index, (first, second) in enumerate(combinations(self._names, 2))
        ]
        order = np.lexsort((-deviations, ~drifted))
        best = int(order[0])
        comparison = Comparison(
            ColumnScore(TEST, float(p_values[best]), limit, "p_value"),
            ColumnScore(CHANGE, float(change[best]), MIN_CHANGE, "distance"),
        )
        return CorrelationDrift("tested", comparison, tuple(pairs[index] for index in order))

    def preparing(self, minimum: int, maximum: int) -> Iterator[None]:
        """Draw for windows of ``minimum`` to ``maximum`` rows, one size at each step."""
        if 2 <= len(self._names) <= MAX_COLUMNS and len(self._reference) >= MIN_ROWS:  # noqa: PLR2004 - a pair
            rows = max(minimum, MIN_ROWS)
            for size in sorted(
                {_drawn(each) for each in range(rows, maximum + 1)} - {*self._quiet}
            ):
                self._quiet[size] = self._draw(size)
                yield

    def _calm(self, rows: int) -> tuple[Floats, Floats]:
        """Spread of each pair's change, and the largest deviation, of windows without drift."""
        size = _drawn(rows)
        if size not in self._quiet:
            self._quiet[size] = self._draw(size)
        spread, largest = self._quiet[size]
        # The reference is a sample too: its share of the spread is that of its rows.
        return spread * np.sqrt(size / rows + size / len(self._reference)), largest

    def _draw(self, size: int) -> tuple[Floats, Floats]:
        rng = np.random.default_rng([self._seed, size])
        count = len(self._reference)
        # Many windows at a time, as few as their memory asks for.
        step = max(1, _BLOCK // (size * len(self._names)))
        with single_threaded():  # several threads on small matrices wait for each other
            drawn = [
                self._reference.correlations(
                    rng.integers(0, count, (min(step, self._draws - done), size))
                )
                for done in range(0, self._draws, step)
            ]
        changes = _difference(self._before, np.concatenate(drawn))
        spread = np.sqrt((changes**2).mean(axis=0))
        return spread, _divided(changes, spread).max(axis=1)


@dataclass(frozen=True, slots=True)
class _Ranked:
    """Rows as places among the distinct values of their columns, so that ranking is counting.

    Attributes:
        places: per column, place of each row's value; ``sizes`` of the column where it misses.
        sizes: distinct values per column.
    """

    places: tuple[Integers, ...]
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, coded: Floats) -> Self:
        places, sizes = [], []
        for column in coded.T:
            distinct, place = np.unique(column, return_inverse=True)  # NaN comes last, once
            places.append(place)
            sizes.append(len(distinct) - int(bool(len(distinct)) and bool(np.isnan(distinct[-1]))))
        return cls(tuple(places), tuple(sizes))

    def __len__(self) -> int:
        return len(self.places[0])

    def correlations(self, rows: Integers | None = None) -> Floats:
        """Spearman's correlation of all pairs among the rows, in the order of ``combinations``.

        A value that misses has the middle rank, for it says nothing about the order. 0 for a pair
        with a constant.

        Args:
            rows: of each window those that are in it; none: one window of all rows.

        Returns:
            A row of pairs for each window; of all rows just that one.
        """
        if rows is None:
            return np.asarray(self.correlations(np.arange(len(self))[None, :])[0])
        scores = np.stack(
            [
                _ranks(place[rows], size)
                for place, size in zip(self.places, self.sizes, strict=True)
            ],
            axis=1,
        )
        scores -= scores.mean(axis=2, keepdims=True)
        length = np.sqrt((scores**2).sum(axis=2, keepdims=True))
        scores /= np.where(length > 0, length, 1.0)
        first, second = np.triu_indices(len(self.sizes), 1)
        return np.asarray((scores @ scores.transpose(0, 2, 1))[:, first, second])


def _tail(deviations: Floats, largest: Floats) -> Floats:
    """P-values beyond the draws: the largest of normal changes, as heavy-tailed as the drawn ones.

    Fisher's z is normal in large windows, so each pair's chance is a normal tail, and their sum
    bounds that of the largest. Where the drawn windows reach further out than that, at one in a
    thousand of them, so is the whole tail stretched.
    """
    pairs = len(deviations)
    usual = norm.isf(_TAIL / (2 * pairs))
    stretch = max(1.0, float(np.quantile(largest, 1 - _TAIL)) / usual)
    return np.asarray(2 * pairs * norm.sf(deviations / stretch))


def _drawn(rows: int) -> int:
    """Rows of the windows that are drawn for one of so many."""
    step = int(np.log(rows) / np.log(_STEP))
    # Divided by its spread the largest change hardly depends on the rows: fewer have the heavier
    # tails, so that a larger window has no more false positives.
    return min(int(np.ceil(_STEP**step)), _MAX_DRAWN)


def _ranks(places: Integers, size: int) -> Floats:
    """Twice the distance of each row's middle rank from the middle of all, window by window."""
    windows = len(places)
    # Each window counts in a stretch of its own, whose last place is that of what misses.
    own = places + np.arange(windows)[:, None] * (size + 1)
    counts = np.bincount(own.ravel(), minlength=windows * (size + 1)).reshape(windows, size + 1)
    counts[:, size] = 0
    below = np.cumsum(counts, axis=1)
    table = 2.0 * below - counts - below[:, -1:]
    table[:, size] = 0.0
    return np.asarray(table.ravel()[own])


def _difference(before: Floats, now: Floats) -> Floats:
    first, second = (np.arctanh(np.clip(one, -_STRONGEST, _STRONGEST)) for one in (before, now))
    return np.asarray(np.abs(second - first))


def _divided(change: Floats, spread: Floats) -> Floats:
    return np.divide(change, np.maximum(spread, _MIN_SPREAD))

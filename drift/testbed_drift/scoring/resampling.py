"""Windows without drift, and with a drift of known size, drawn from a reference alone. Pure.

Both a stand-in for the reference and a window are drawn with replacement from the reference's rows
(Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 16; Romano 1989 shows that it
holds for tests like Kolmogorov-Smirnov's). Drawing the window only would leave out that the
reference itself is a sample. Whole rows are drawn, so columns that go together stay so.

A drift is drawn by weights that grow exponentially with the value (exponential tilting, Efron
1981): the mean moves by the wanted number of standard deviations and no value appears that the
column does not know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from testbed_drift.rows.columns import PREDICTION, TARGET
from testbed_drift.rows.frames import is_numeric
from testbed_drift.scoring.statistics.base import MIN_SCALE, Coded
from testbed_drift.scoring.statistics.registry import statistics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testbed_drift.rows.columns import ColumnKind
    from testbed_drift.scoring.scores import DriftRule
    from testbed_drift.scoring.statistics.base import Floats, Integers, Statistic

# Steeper weights would leave a handful of rows of the reference.
STEEPEST: Final = 20.0


@dataclass(frozen=True)
class _Column(Coded):
    """A coded column, the statistics, and the least effect of the rule that each needs."""

    statistics: Sequence[Statistic]
    minimum: Mapping[ColumnKind, float]

    def p_value(self, before: Integers, now: Integers) -> float:
        """The smallest p-value of the column's comparisons with a sufficient effect; 1 if none.

        Args:
            before: rows drawn as the reference.
            now: rows drawn as the window.
        """
        sides = self.counted(before), self.counted(now)
        return min(one.drawn(self, *sides, self.minimum[one.limits]) for one in self.statistics)

    def tilted(self, shift: float) -> Floats | None:
        """Probability of each row in a window whose column has moved.

        Args:
            shift: standard deviations of the mean of numbers; of categories half so much is the
                change of the commonest one's share, which is the same for two even classes.

        Returns:
            None where the column can't move so far: it is constant, for example.
        """
        size = len(self.distinct)
        known = self.codes < size
        if not known.any():
            return None
        weights = np.ones(len(self.codes))
        if self.numeric:
            values = self.distinct[self.codes[known]]
            spread = values.std()
            if spread < MIN_SCALE:
                return None
            weights[known] = _exponential((values - values.mean()) / spread, shift)
            if not weights[known].all():
                return None
        else:
            ratios = np.bincount(self.codes[known], minlength=size) / known.sum()
            common, points = int(ratios.argmax()), shift / 2
            ratio = ratios[common]
            after = ratio - points if ratio > points else ratio + points
            if not 0 < after < 1 or ratio == 1:
                return None
            weights = np.where(self.codes == common, after / ratio, (1 - after) / (1 - ratio))
            weights[~known] = 1.0
        return np.asarray(weights / weights.sum())


class Resampler:
    """Draws windows from a reference and has the rule evaluate them.

    Args:
        frame: the reference, as :func:`testbed_drift.rows.frames.declare` makes it.
        kinds: feature columns and kinds.
        rule: effect sizes, and the fewest labels with which the target is evaluated.
        rng: draws.
    """

    def __init__(
        self,
        frame: pd.DataFrame,
        kinds: Mapping[str, ColumnKind],
        rule: DriftRule,
        rng: np.random.Generator,
    ) -> None:
        self._rng = rng
        self._rows = len(frame)
        evaluated = [*kinds]
        evaluated += [PREDICTION] if frame[PREDICTION].count() else []
        evaluated += [TARGET] if frame[TARGET].count() >= rule.min_labels else []
        self._columns = {
            name: _coded(frame[name], rule, numeric=is_numeric(frame[name])) for name in evaluated
        }

    @property
    def columns(self) -> tuple[str, ...]:
        """Features, then prediction and target where the reference holds enough of them."""
        return tuple(self._columns)

    def quiet(self, rows: int, draws: int) -> Floats:
        """Smallest p-value with a sufficient effect of each of ``draws`` windows without drift."""
        return np.array([self._smallest(rows) for _ in range(draws)])

    def _smallest(self, rows: int) -> float:
        before, now = (self._rng.integers(0, self._rows, count) for count in (self._rows, rows))
        return min(column.p_value(before, now) for column in self._columns.values())

    def drifted(self, name: str, rows: int, draws: int, shift: float) -> Floats | None:
        """The same of one column alone in windows in which it has moved; None where it can't."""
        column = self._columns[name]
        weights = column.tilted(shift)
        if weights is None:
            return None
        found = []
        for _ in range(draws):
            before = self._rng.integers(0, self._rows, self._rows)
            now = self._rng.choice(self._rows, rows, p=weights)
            found.append(column.p_value(before, now))
        return np.array(found)


def _coded(column: pd.Series[Any], rule: DriftRule, *, numeric: bool) -> _Column:
    codes, distinct = pd.factorize(column, sort=numeric)
    codes[codes < 0] = len(distinct)
    values = np.asarray(distinct, dtype=float) if numeric else np.arange(len(distinct), dtype=float)
    minimum: dict[ColumnKind, float] = {
        "numeric": rule.numeric_effect,
        "category": rule.category_effect,
    }
    return _Column(codes, values, numeric, statistics(), minimum)


def _exponential(values: Floats, shift: float) -> Floats:
    """Weights of standardised values whose weighted mean is ``shift``; zeros where none is."""

    def weights(slope: float) -> Floats:
        return np.asarray(np.exp(slope * values - (slope * values).max()))

    def distance(slope: float) -> float:
        return float(np.average(values, weights=weights(slope))) - shift

    if distance(STEEPEST) < 0:
        return np.zeros(len(values))
    return weights(brentq(distance, 0.0, STEEPEST))

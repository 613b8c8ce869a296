"""How well a model that predicts numbers did, and how its errors compare. Pure.

The scores are scikit-learn's: mean absolute error, root mean square error, R² (of two rows or more
whose labels differ), and the mean error, prediction less label.

Labels say more than the errors' size: residuals (prediction less label) are compared with those of
the reference by the Kolmogorov-Smirnov test and the Wasserstein distance in standard deviations of
the reference's residuals. That is residual drift. Concept drift is a mean absolute error that rose
(Welch's t-test, one-sided, *and* a least rise), by more than inputs and predictions explain: the
estimate of :mod:`testbed_drift.quality.lossestimation` on these very rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from scipy.stats import ks_2samp, ttest_ind, wasserstein_distance
from testbed_otel import names

from testbed_drift.quality.concept import (
    ConceptDrift,
    ErrorRise,
    LabelledRows,
    comparison,
    evaluate_labelled,
    excess_p_value,
)
from testbed_drift.quality.performance import Performance, State
from testbed_drift.rows.frames import declare, tabulated
from testbed_drift.scoring.levels import CONCEPT
from testbed_drift.scoring.matrices import Coding
from testbed_drift.scoring.scores import ColumnScore, Comparison

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from testbed_domain.logstore import Columns

    from testbed_drift.quality.lossestimation import LossEstimator
    from testbed_drift.rows.columns import ColumnKind

SCORES: Final = names.NUMBER_SCORES
# Least rise of the mean absolute error that matters, as a share of the reference's.
RISE: Final = 0.05
# Least distance of residuals that matters, in standard deviations of the reference's.
DISTANCE: Final = 0.1


@dataclass(frozen=True, slots=True)
class NumberOutcomes:
    """Predicted numbers of a window beside the true ones; all arrays have one entry a row.

    Attributes:
        predicted: the number that was predicted.
        label: the true one; NaN where none has come.
        delay: seconds from the prediction to its label; NaN where that is not known.
        rows: features, coded as the reference's, ``[rows, columns]``.
        categorical: which of these columns are categories.
    """

    predicted: np.ndarray[Any, Any]
    label: np.ndarray[Any, Any]
    delay: np.ndarray[Any, Any]
    rows: np.ndarray[Any, Any]
    categorical: tuple[bool, ...]

    @classmethod
    def of(
        cls,
        columns: Columns,
        frame: pd.DataFrame,
        coding: Coding,
        delay: np.ndarray[Any, Any],
    ) -> Self:
        """Read rows; those without a prediction that is a number are left out.

        Args:
            columns: of the prediction log, or of a table.
            frame: their features.
            coding: learnt from the reference.
            delay: see the attribute.
        """
        found = cls(
            floats(columns.prediction),
            floats(columns.label),
            delay,
            coding(frame),
            coding.categorical,
        )
        return found.where(np.isfinite(found.predicted))

    def __len__(self) -> int:
        return len(self.predicted)

    @property
    def labelled(self) -> np.ndarray[Any, Any]:
        """Which rows have a label."""
        return np.asarray(np.isfinite(self.label))

    @property
    def residuals(self) -> np.ndarray[Any, Any]:
        """Prediction less label; NaN where no label has come."""
        return np.asarray(self.predicted - self.label)

    def where(self, chosen: np.ndarray[Any, Any]) -> Self:
        """Only the chosen rows."""
        return type(self)(
            self.predicted[chosen],
            self.label[chosen],
            self.delay[chosen],
            self.rows[chosen],
            self.categorical,
        )


def read(
    reference: Columns,
    current: Columns,
    kinds: Mapping[str, ColumnKind],
    delays: Sequence[np.ndarray[Any, Any]],
) -> tuple[NumberOutcomes, NumberOutcomes]:
    """Reference and window, coded alike."""
    before, now = (declare_features(columns, kinds) for columns in (reference, current))
    coding = Coding.learn(before, kinds)
    return (
        NumberOutcomes.of(reference, before, coding, delays[0]),
        NumberOutcomes.of(current, now, coding, delays[1]),
    )


def declare_features(columns: Columns, kinds: Mapping[str, ColumnKind]) -> pd.DataFrame:
    """The features of rows as a frame with their declared types."""
    return declare(tabulated(columns.features, len(columns)), kinds)


def strange(values: Sequence[Any]) -> int:
    """How many values are there and no finite numbers."""
    there = np.array([value is not None for value in values], dtype=bool)
    return int((there & np.isnan(floats(values))).sum())


def measure_numbers(outcomes: NumberOutcomes) -> Performance:
    """Score the labelled rows."""
    known = outcomes.where(outcomes.labelled)
    state: State = "measured"
    if not len(outcomes):
        state = "empty"
    elif not len(known):
        state = "no_labels"
    return Performance(
        state,
        len(outcomes),
        len(known),
        _scores(known.residuals, known.label) if len(known) else {},
        (),
        np.zeros((0, 0), dtype=int),
        SCORES,
    )


def evaluate_numbers(
    reference: NumberOutcomes,
    current: NumberOutcomes,
    estimator: LossEstimator,
    level: float = CONCEPT,
) -> ConceptDrift:
    """Evaluate the labelled rows of a window, as :mod:`testbed_drift.quality.concept` does."""

    def rise(rows: LabelledRows, before: NumberOutcomes, now: NumberOutcomes) -> ErrorRise:
        return _compare(rows, before, now, estimator, level)

    return evaluate_labelled(reference, current, rise)


def _scores(residuals: np.ndarray[Any, Any], label: np.ndarray[Any, Any]) -> dict[str, float]:
    spread = float(((label - label.mean()) ** 2).sum())
    square = float((residuals**2).sum())
    found = {
        "mae": float(np.abs(residuals).mean()),
        "rmse": math.sqrt(square / len(residuals)),
        "mean_error": float(residuals.mean()),
    }
    return found | ({"r2": 1 - square / spread} if spread > 0 else {})


def _compare(
    rows: LabelledRows,
    before: NumberOutcomes,
    now: NumberOutcomes,
    estimator: LossEstimator,
    level: float,
) -> ErrorRise:
    errors_before, errors_now = np.abs(before.residuals), np.abs(now.residuals)
    usual, error = float(errors_before.mean()), float(errors_now.mean())
    unit = usual or 1.0
    p_value = _welch(errors_before, errors_now)
    found = estimator.estimate(now)
    explained = None
    if found.scores and found.standard_error is not None:
        excess = error - found.scores["mae"]
        unlikely = excess_p_value(excess, found.standard_error)
        explained = comparison(f"{rows}_residual", unlikely, excess / unit, level, RISE)
    return ErrorRise(
        rows,
        error,
        usual,
        comparison(f"{rows}_error", p_value, (error - usual) / unit, level, RISE),
        explained,
        RISE * usual,
        _residual_drift(rows, before.residuals, now.residuals, level),
    )


def _residual_drift(
    rows: str, before: np.ndarray[Any, Any], now: np.ndarray[Any, Any], level: float
) -> Comparison:
    unit = float(before.std()) or 1.0
    test = ColumnScore(
        f"{rows}_residuals_ks", float(ks_2samp(before, now).pvalue), level, "p_value"
    )
    distance = float(wasserstein_distance(before, now)) / unit
    return Comparison(
        test, ColumnScore(f"{rows}_residuals_wasserstein", distance, DISTANCE, "distance")
    )


def _welch(before: np.ndarray[Any, Any], now: np.ndarray[Any, Any]) -> float:
    """Chance of so large a mean now, or a larger one, if it were the same as before."""
    if before.std() == now.std() == 0:
        return float(now.mean() <= before.mean())
    return float(ttest_ind(now, before, equal_var=False, alternative="greater").pvalue)


def floats(values: Sequence[Any]) -> np.ndarray[Any, Any]:
    """Texts of numbers as floats; NaN for what is none, or not there."""
    try:
        found = np.array([np.nan if value is None else value for value in values], dtype=float)
    except ValueError:
        found = np.array([_number(value) for value in values])
    return np.where(np.isfinite(found), found, np.nan)


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return math.nan

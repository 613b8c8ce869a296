"""How far off a model's numbers probably are before labels come: direct loss estimation.

DLE: a second model learns, on labelled rows that the first one was not trained on, how far off the
first one was, from the features and the predicted number. Its mean over a window is the expected
mean absolute error of the window. Source: the documentation of NannyML, "Direct Loss Estimation";
the idea of a second model of the error also in Guerra et al. 2008, "Predicting the performance of
learning algorithms using support vector machines as meta-regressors". The second model is
scikit-learn's histogram gradient boosting, with the smaller trees the fewer rows teach it.

It holds while the relation of inputs and label stays what it was in the reference (covariate
shift), and while the window stays where the reference has rows: trees do not extrapolate. It can't
see concept drift: then inputs and predictions do not change, and neither does the estimate.

The stated error is the sampling error of both: of the window, whose labels will show the mean of so
many errors, and of the reference, from which the expected ones were learnt. The errors of a window
spread as the reference's do, in proportion to their mean. Copies of a row are no further witnesses:
rows are counted by their effective number (Kish 1965, "Survey Sampling"). Pure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from testbed_drift.quality.estimation import MIN_REFERENCE, Estimate
from testbed_drift.threads import single_threaded

if TYPE_CHECKING:
    from testbed_drift.quality.numbers import NumberOutcomes

SEED: Final = 0
SCORES: Final = ("mae",)
_LEAVES: Final = 8
_LEAF_RATIO: Final = 0.1
_MIN_LEAF: Final = 20
_MAX_LEAF: Final = 100


@dataclass(frozen=True, slots=True)
class LossEstimator:
    """Estimates windows by the errors that it learnt from a reference.

    Attributes:
        model: scikit-learn's; None where the reference did not suffice.
        rows: effective number of labelled rows of the reference.
        mean: of their absolute errors.
        spread: standard deviation of these.
    """

    model: Any
    rows: float = 0.0
    mean: float = 0.0
    spread: float = 0.0

    @classmethod
    def learn(cls, reference: NumberOutcomes) -> Self:
        """Learn from the labelled rows of the reference."""
        known = reference.where(reference.labelled)
        if len(known) < MIN_REFERENCE:
            return cls(None)
        from sklearn.ensemble import (  # noqa: PLC0415 - takes seconds
            HistGradientBoostingRegressor,
        )

        errors = np.abs(known.residuals)
        model = HistGradientBoostingRegressor(
            max_iter=40,
            max_leaf_nodes=_LEAVES,
            min_samples_leaf=int(min(max(_LEAF_RATIO * len(known), _MIN_LEAF), _MAX_LEAF)),
            learning_rate=0.1,
            early_stopping=False,
            categorical_features=[*known.categorical, False],
            random_state=SEED,
        )
        with single_threaded():
            model.fit(_inputs(known), errors)
        return cls(model, _witnesses(known), float(errors.mean()), float(errors.std()))

    def estimate(self, window: NumberOutcomes) -> Estimate:
        """Expected mean absolute error of a window; its labels are not looked at."""
        if not len(window):
            return Estimate("empty", names=SCORES)
        if self.model is None:
            return Estimate("no_reference", len(window), names=SCORES)
        with single_threaded():
            expected = float(np.maximum(self.model.predict(_inputs(window)), 0.0).mean())
        spread = self.spread * expected / self.mean if self.mean else 0.0
        error = spread * math.sqrt(1 / _witnesses(window) + 1 / self.rows)
        return Estimate("estimated", len(window), {"mae": expected}, error, SCORES)


def _inputs(outcomes: NumberOutcomes) -> np.ndarray[Any, Any]:
    return np.column_stack([outcomes.rows, outcomes.predicted])


def _witnesses(outcomes: NumberOutcomes) -> float:
    """Rows by how often each comes: as many as they are where all differ."""
    _, counts = np.unique(_inputs(outcomes), axis=0, return_counts=True, equal_nan=True)
    return float(counts.sum() ** 2 / (counts**2).sum())

"""How well the model probably does before labels come: confidence-based performance estimation.

CBPE: a calibrated probability says how often a prediction is right, so the expected confusion
matrix, and every score made of it, follows from the probabilities of a window alone. Source: the
documentation of NannyML, "Confidence-based Performance Estimation"; for accuracy also Guillory et
al. 2021, "Predicting with Confidence on Unseen Distributions". Probabilities are calibrated by
isotonic regression on the reference (Zadrozny and Elkan 2002), one class against the rest.

It holds while the relation of inputs and label stays what it was in the reference (covariate
shift), and while the window stays where the reference has rows. It can't see concept drift: when
the same inputs come with other labels, the probabilities do not change, and neither does the
estimate. Pure: numpy and scipy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import numpy as np
from scipy.optimize import isotonic_regression
from testbed_otel import names

from testbed_drift.quality.performance import BINARY, from_confusion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed_drift.quality.outcomes import Outcomes

EstimateState = Literal["estimated", "no_reference", "no_probabilities", "empty"]
ESTIMATED: Final = names.ESTIMATED_CLASS_SCORES
# With fewer labelled rows of the reference, the calibration itself is guesswork.
MIN_REFERENCE: Final = 100


@dataclass(frozen=True, slots=True)
class Estimate:
    """Expected performance of a window.

    Attributes:
        state: ``estimated``; ``no_reference`` where the reference has fewer than
            :data:`MIN_REFERENCE` labelled rows with probabilities, or labels of one class only;
            ``no_probabilities`` or ``empty`` where the window has nothing to go by.
        rows: rows of the window that have probabilities.
        scores: score by its name in :data:`ESTIMATED`, without those that are not defined.
        standard_error: of the accuracy that labels of so many rows will show, 0 to 1: even a
            perfect estimate misses it by twice this much in one of twenty windows. Of a regression
            that of the mean absolute error.
        names: of the scores that there may be.
    """

    state: EstimateState
    rows: int = 0
    scores: Mapping[str, float] | None = None
    standard_error: float | None = None
    names: tuple[str, ...] = ESTIMATED

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form; a score that is not defined is null."""
        scores = self.scores or {}
        return {
            "state": self.state,
            "rows": self.rows,
            **{name: scores.get(name) for name in self.names},
            "standard_error": self.standard_error,
        }


@dataclass(frozen=True, slots=True)
class _Curve:
    """A monotone function through points, flat beyond them.

    Attributes:
        at: probabilities that the model gave, rising.
        value: how often the class was true there.
    """

    at: np.ndarray[Any, Any]
    value: np.ndarray[Any, Any]

    @classmethod
    def fit(cls, reported: np.ndarray[Any, Any], true: np.ndarray[Any, Any]) -> Self:
        at, place, rows = np.unique(reported, return_inverse=True, return_counts=True)
        means = np.bincount(place, weights=true) / rows
        return cls(at, isotonic_regression(means, weights=rows).x)

    def __call__(self, reported: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.asarray(np.interp(reported, self.at, self.value))


@dataclass(frozen=True, slots=True)
class Estimator:
    """Estimates windows by the calibration that it learnt from a reference.

    Attributes:
        curves: one per class; of two classes only one, that of the positive class or of the last.
            Empty where the reference did not suffice.
        classes: number of the model's classes.
    """

    curves: tuple[_Curve, ...]
    classes: int

    @classmethod
    def learn(cls, reference: Outcomes) -> Self:
        """Calibrate on the labelled rows of the reference."""
        reported = _with_probabilities(reference.where(reference.labelled))
        size = len(reference.classes)
        if len(reported) < MIN_REFERENCE or len(np.unique(reported.label)) == 1:
            return cls((), size)
        wanted = range(size) if size > BINARY else (size - 1,)
        curves = (_Curve.fit(reported.probabilities[:, k], reported.label == k) for k in wanted)
        return cls(tuple(curves), size)

    def estimate(self, window: Outcomes) -> Estimate:
        """Expected performance of a window; its labels are not looked at."""
        reported = _with_probabilities(window)
        if not len(window):
            return Estimate("empty")
        if not len(reported):
            return Estimate("no_probabilities")
        if not self.curves:
            return Estimate("no_reference", len(reported))
        chances = self._calibrated(reported)
        confusion = np.stack(
            [chances[reported.predicted == k].sum(axis=0) for k in range(chances.shape[1])], axis=1
        )
        scores = from_confusion(confusion, reported.positive)
        scores["roc_auc"] = _expected_area(reported, chances)
        right = chances[np.arange(len(reported)), reported.predicted]
        return Estimate(
            "estimated",
            len(reported),
            {name: scores[name] for name in ESTIMATED if math.isfinite(scores[name])},
            float(math.sqrt((right * (1 - right)).sum()) / len(reported)),
        )

    def _calibrated(self, reported: Outcomes) -> np.ndarray[Any, Any]:
        """Chance of every class of the window in every row, ``[rows, classes]``."""
        size = reported.probabilities.shape[1]
        chances = np.zeros((len(reported), max(size, self.classes)))
        if len(self.curves) == 1:
            last = self.classes - 1
            chances[:, last] = self.curves[0](reported.probabilities[:, last])
            chances[:, 1 - last] = 1 - chances[:, last]
        else:
            for k, curve in enumerate(self.curves[:size]):
                chances[:, k] = curve(reported.probabilities[:, k])
            total = chances.sum(axis=1, keepdims=True)
            even = np.full_like(chances, 1 / self.classes)
            chances = np.divide(chances, total, out=even, where=total > 0)
        return chances


def _with_probabilities(outcomes: Outcomes) -> Outcomes:
    return outcomes.where(np.isfinite(outcomes.probabilities).all(axis=1))


def _expected_area(reported: Outcomes, chances: np.ndarray[Any, Any]) -> float:
    """Expected ROC AUC; several classes: the mean of one against the rest.

    Every row counts as true with its chance and as false with the rest, so that the share of pairs
    in the right order follows from the sorted rows.
    """
    wanted = (
        range(reported.probabilities.shape[1])
        if reported.positive is None
        else (reported.positive,)
    )
    areas = []
    for k in wanted:
        _, place = np.unique(reported.probabilities[:, k], return_inverse=True)
        true = np.bincount(place, weights=chances[:, k])
        false = np.bincount(place, weights=1 - chances[:, k])
        pairs = true.sum() * false.sum()
        if pairs > 0:
            areas.append((true * (np.cumsum(false) - false / 2)).sum() / pairs)
    return float(np.mean(areas)) if areas else math.nan

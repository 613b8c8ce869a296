"""How well the model did on the rows whose labels have come. Pure: numpy and scipy.

The scores are scikit-learn's: precision, recall and F1 are those of the positive class, or means
over the classes that occur (macro); ROC AUC of several classes is the mean of one against the rest;
``brier`` is the Brier score (Brier 1950), halved for two classes. ``ece`` is the expected
calibration error of the predicted class (Guo et al. 2017, "On Calibration of Modern Neural
Networks"), in bins of equal width; small windows make it too large, as every bin's noise counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from scipy.stats import rankdata
from testbed_otel import names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed_drift.quality.numbers import NumberOutcomes
    from testbed_drift.quality.outcomes import Outcomes

State = Literal["measured", "one_class", "no_labels", "empty"]
STATES: Final[tuple[State, ...]] = ("measured", "one_class", "no_labels", "empty")
SCORES: Final = names.CLASS_SCORES
BINS: Final = 15
BINARY: Final = 2


@dataclass(frozen=True, slots=True)
class Performance:
    """Scores of the labelled rows of a window.

    Attributes:
        state: ``measured``; ``one_class`` where all labels are the same, so that ROC AUC says
            nothing; ``no_labels`` or ``empty`` where there is nothing to score.
        rows: rows of the window.
        labels: those with a label.
        scores: score by its name in :data:`SCORES`, without those that are not defined.
        classes: names of the classes; none of a regression.
        confusion: labelled rows, ``[true class, predicted class]``.
        names: of the scores that there may be.
    """

    state: State
    rows: int
    labels: int
    scores: Mapping[str, float]
    classes: tuple[str, ...]
    confusion: np.ndarray[Any, Any]
    names: tuple[str, ...] = SCORES

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form; a score that is not defined is null."""
        return {
            "state": self.state,
            "rows": self.rows,
            "labels": self.labels,
            **{name: self.scores.get(name) for name in self.names},
            "classes": list(self.classes),
            "confusion": self.confusion.tolist(),
        }


@dataclass(frozen=True, slots=True)
class LabelFlow:
    """How many labels have come, and how late.

    Attributes:
        coverage: share of the window's rows that have a label, 0 to 1; None for an empty window.
        delay: quantile to seconds from a prediction to its label, over the labels that have come:
            late ones are missing, so it grows as they come. Empty where no time is known.
    """

    coverage: float | None
    delay: Mapping[float, float]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "coverage": self.coverage,
            "delay_seconds": {f"{ratio:g}": seconds for ratio, seconds in self.delay.items()},
        }


DELAY_QUANTILES: Final = (0.5, 0.95)


def label_flow(outcomes: Outcomes | NumberOutcomes) -> LabelFlow:
    """Coverage and delay of the labels."""
    known = outcomes.delay[np.isfinite(outcomes.delay)]
    delay = {ratio: float(np.quantile(known, ratio)) for ratio in DELAY_QUANTILES if len(known)}
    return LabelFlow(float(outcomes.labelled.mean()) if len(outcomes) else None, delay)


def measure(outcomes: Outcomes) -> Performance:
    """Score the labelled rows."""
    known = outcomes.where(outcomes.labelled)
    size = len(outcomes.classes)
    confusion = np.zeros((size, size), dtype=int)
    np.add.at(confusion, (known.label, known.predicted), 1)
    state: State = "measured"
    if not len(outcomes):
        state = "empty"
    elif not len(known):
        state = "no_labels"
    elif len(np.unique(known.label)) == 1:
        state = "one_class"
    scores = from_confusion(confusion, outcomes.positive) | _from_probabilities(known)
    return Performance(
        state,
        len(outcomes),
        len(known),
        {name: value for name in SCORES if math.isfinite(value := scores.get(name, math.nan))},
        outcomes.classes,
        confusion,
    )


def from_confusion(confusion: np.ndarray[Any, Any], positive: int | None) -> dict[str, float]:
    """Accuracy, precision, recall and F1.

    Args:
        confusion: rows, or expected rows, ``[true class, predicted class]``.
        positive: index of the positive class; None for means over the classes that occur, in which
            an undefined score counts as 0, as in scikit-learn.

    Returns:
        Scores by name; NaN where a score is not defined.
    """
    hits = np.diagonal(confusion).astype(float)
    predicted, true = confusion.sum(axis=0), confusion.sum(axis=1)
    occurs = predicted + true > 0
    found = {"accuracy": _ratio(hits.sum(), confusion.sum())}
    ratios = {
        "precision": (hits, predicted),
        "recall": (hits, true),
        "f1": (2 * hits, predicted + true),
    }
    for name, (above, below) in ratios.items():
        if positive is not None:
            found[name] = _ratio(above[positive], below[positive])
        elif occurs.any():
            means = np.divide(above, below, out=np.zeros(len(hits)), where=below > 0)
            found[name] = float(means[occurs].mean())
    return found


def area_under_curve(true: np.ndarray[Any, Any], score: np.ndarray[Any, Any]) -> float:
    """ROC AUC: how often a true row has the higher score; NaN where one kind is missing."""
    positives = int(true.sum())
    negatives = len(true) - positives
    if not positives or not negatives:
        return math.nan
    above = rankdata(score)[true].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


def _from_probabilities(known: Outcomes) -> dict[str, float]:
    """Scores of the labelled rows that need probabilities."""
    reported = known.where(np.isfinite(known.probabilities).all(axis=1))
    if not len(reported):
        return {}
    chances = reported.probabilities
    truth = np.eye(len(reported.classes))[reported.label]
    wanted = range(len(reported.classes)) if reported.positive is None else (reported.positive,)
    areas = [area_under_curve(truth[:, place] == 1, chances[:, place]) for place in wanted]
    defined = [area for area in areas if math.isfinite(area)]
    tiny = np.finfo(chances.dtype).eps  # as in scikit-learn: one sure mistake is not infinite
    of_truth = np.clip(chances, tiny, 1 - tiny)[np.arange(len(reported)), reported.label]
    halved = 2 if len(reported.classes) == BINARY else 1
    return {
        "roc_auc": float(np.mean(defined)) if defined else math.nan,
        "log_loss": float(-np.log(of_truth).mean()),
        "brier": float(((chances - truth) ** 2).sum(axis=1).mean() / halved),
        "ece": _calibration_error(reported),
    }


def _calibration_error(reported: Outcomes) -> float:
    sure = reported.probabilities[np.arange(len(reported)), reported.predicted]
    right = reported.label == reported.predicted
    place = np.clip(np.ceil(sure * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.bincount(place, weights=right - sure, minlength=BINS)
    return float(np.abs(gaps).sum() / len(reported))


def _ratio(above: float, below: float) -> float:
    return float(above) / float(below) if below else math.nan

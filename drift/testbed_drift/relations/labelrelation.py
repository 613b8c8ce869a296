"""Concept drift by models: do the same inputs come with other labels? Pure.

The error of the served model (:mod:`testbed_drift.quality.concept`) shows a change of the relation
of inputs and label only where it makes the model wrong more often. Here label and window are tested
for independence given the inputs, with the generalised covariance measure (Shah and Peters 2020,
"The hardness of conditional independence testing and the generalised covariance measure", Annals of
Statistics 48), weighted (Scheidegger, Hörrmann and Bühlmann 2022, "The weighted generalised
covariance measure", JMLR 23). Two light models, each asked about rows that it has not seen, say
from the inputs how likely each class is, and how likely the row is from the window; without concept
drift the products of what both leave over have mean 0. The second model is the domain classifier:
rows that only one window knows are reported for sure, leave nothing over and count for nothing. So
inputs that moved are no concept drift, even where both models are only roughly right.

Weights let a change show that is positive here and negative there: 1, what the first model says,
and the rank of every column. The largest statistic of all classes and weights is compared with the
largest of normal variables that are correlated like them (the multiplier bootstrap of the source).
Its effect is how many points the chance of the class changed at the same inputs (Robinson 1988,
"Root-N-consistent semiparametric regression", partly linear).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from scipy.stats import norm, rankdata

from testbed_drift.relations.classifiers import folds, out_of_fold
from testbed_drift.relations.copies import Distinct
from testbed_drift.rows.columns import TARGET
from testbed_drift.rows.frames import is_numeric
from testbed_drift.scoring.levels import LABEL
from testbed_drift.scoring.matrices import Coding
from testbed_drift.scoring.scores import ColumnScore, Comparison

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

    from testbed_drift.rows.columns import ColumnKind
    from testbed_drift.scoring.statistics.base import Floats, Integers

RelationState = Literal["tested", "few_labels", "one_class", "not_applicable"]
TEST: Final = "label_relation_test"
CHANGE: Final = "label_relation_change"
# Least change of a class's chance at the same inputs, as root mean square over them, 0 to 1.
MIN_CHANGE: Final = 0.05
MIN_LABELS: Final = 200
EVERYWHERE: Final = "everywhere"
BY_MODEL: Final = "by how likely the class was"
_FOLDS: Final = 3
_DRAWS: Final = 50_000
_MIN_SPREAD: Final = 1e-9


@dataclass(frozen=True, slots=True)
class LabelRelation:
    """Verdict on the labelled rows of a window.

    Attributes:
        state: ``tested``; ``few_labels`` where a window has fewer than :data:`MIN_LABELS`;
            ``one_class`` where all labels are the same; ``not_applicable`` where they are numbers,
            of which :mod:`testbed_drift.quality.numbers` evaluates errors and residuals.
        comparison: p-value, and change of the chance of ``label`` at the same inputs.
        label: the class whose chance changed most clearly.
        where: how the change goes: :data:`EVERYWHERE`, :data:`BY_MODEL` or along a column.
    """

    state: RelationState
    comparison: Comparison | None = None
    label: str | None = None
    where: str | None = None

    @property
    def drifted(self) -> bool:
        """Whether the same inputs come with other labels."""
        return self.comparison is not None and self.comparison.drifted

    @property
    def reason(self) -> str | None:
        """One phrase for a decision, or None where nothing changed."""
        if self.comparison is None or not self.drifted:
            return None
        points = 100 * self.comparison.effect.value
        place = self.where if self.where in {EVERYWHERE, BY_MODEL} else f"along {self.where}"
        return (
            f"concept drift: at the same inputs the chance of label {self.label} changed by "
            f"{points:.0f} points ({place})"
        )


def evaluate_relation(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    kinds: Mapping[str, ColumnKind],
    seed: int = 0,
    level: float = LABEL,
) -> LabelRelation:
    """Test whether labels depend on the window, given the inputs.

    Args:
        reference: rows as :func:`testbed_drift.rows.frames.declare` makes them.
        current: rows to evaluate, made alike; rows without a label are left out.
        kinds: feature columns and kinds.
        seed: of the folds, the models and the draws.
        level: p-value up to which labels speak of drift.
    """
    if is_numeric(reference[TARGET]):
        return LabelRelation("not_applicable")
    before, now = (frame[frame[TARGET].notna()] for frame in (reference, current))
    distinct = Distinct.of(before, now, kinds)
    before, now = distinct.reference, distinct.current
    if min(len(before), len(now)) < MIN_LABELS:
        return LabelRelation("few_labels")
    truth = np.concatenate([before[TARGET], now[TARGET]]).astype(str)
    classes, label, count = np.unique(truth, return_inverse=True, return_counts=True)
    rare = count < _FOLDS
    if (~rare).sum() < 2:  # noqa: PLR2004 - one class says nothing
        return LabelRelation("one_class")
    coding = Coding.learn(before, kinds)
    rows = np.concatenate([coding(before), coding(now)])
    window = np.repeat([0, 1], [len(before), len(now)])
    rng = np.random.default_rng(seed)
    fold = folds(2 * label + window, _FOLDS, rng, distinct.groups)
    chances = out_of_fold(rows, label, coding.categorical, fold, seed)
    here = window - out_of_fold(rows, window, coding.categorical, fold, seed)[:, 1]
    return _evaluated(_Left(rows, label, chances, here), classes, tuple(kinds), rng, level)


@dataclass(frozen=True, slots=True)
class _Left:
    """What the two models leave over.

    Attributes:
        rows: features.
        label: index of each row's class.
        chances: of each class, as the first model predicts them.
        here: 1 for rows of the window and 0 for others, less what the second model predicts.
    """

    rows: Floats
    label: Integers
    chances: Floats
    here: Floats

    def weights(self, number: int) -> Iterator[Floats]:
        """From -1 to 1, in the order of :func:`_places`."""
        yield np.ones(len(self.rows))
        yield 2 * self.chances[:, number] - 1
        for column in self.rows.T:
            yield _centred(column)

    def of_class(self, number: int) -> Floats:
        """Whether a row is of the class, less what the first model predicts."""
        return np.asarray((self.label == number) - self.chances[:, number])


def _evaluated(
    left: _Left,
    classes: Any,  # noqa: ANN401 - an array of texts
    names: tuple[str, ...],
    rng: np.random.Generator,
    level: float,
) -> LabelRelation:
    # Of two classes one says all: what the other gains it loses.
    numbers = range(1, len(classes)) if len(classes) == 2 else range(len(classes))  # noqa: PLR2004
    where = (EVERYWHERE, BY_MODEL, *names)
    found = [
        (number, place, left.here * left.of_class(number) * weight, weight)
        for number in numbers
        for place, weight in zip(where, left.weights(number), strict=True)
    ]
    products = np.stack([product for _, _, product, _ in found])
    spread = np.maximum(products.std(axis=1), _MIN_SPREAD)
    statistics = np.abs(products.mean(axis=1)) / spread * np.sqrt(products.shape[1])
    together = np.atleast_2d(np.corrcoef(products + 0.0))
    best = int(statistics.argmax())
    number, place, product, weight = found[best]
    p_value = _p_value(float(statistics[best]), np.nan_to_num(together), rng)
    ratio = left.here**2 * weight**2
    change = abs(product.sum()) / max(ratio.sum(), _MIN_SPREAD)
    size = np.sqrt(ratio.sum() / max((left.here**2).sum(), _MIN_SPREAD))
    return LabelRelation(
        "tested",
        Comparison(
            ColumnScore(TEST, p_value, level, "p_value"),
            ColumnScore(CHANGE, float(change * size), MIN_CHANGE, "distance"),
        ),
        str(classes[number]),
        place,
    )


def _p_value(statistic: float, together: Floats, rng: np.random.Generator) -> float:
    """Share of the largest of correlated normal variables, without sign, that reach it.

    Where none of the drawn ones does, the sum of their single chances bounds it.
    """
    values, vectors = np.linalg.eigh(together)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    drawn = np.abs(rng.standard_normal((_DRAWS, len(together))) @ root.T).max(axis=1)
    reached = int((drawn >= statistic).sum())
    ratio = (1 + reached) / (1 + _DRAWS)
    return ratio if reached else float(min(ratio, 2 * len(together) * norm.sf(statistic)))


def _centred(column: Floats) -> Floats:
    """Ranks from -1 to 1; 0 where the value misses."""
    known = ~np.isnan(column)
    ranks = np.zeros(len(column))
    ranks[known] = 2 * rankdata(column[known]) / (known.sum() + 1) - 1
    return ranks

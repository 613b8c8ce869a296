"""The light models that distinguish windows and stand in for labels and for an unknown model. Pure.

They are classifiers; one that predicts numbers stands in for a model that does.

scikit-learn's histogram gradient boosting: it takes missing values and categories as they are,
finds interactions, and is done in tenths of a second. Importing it takes seconds, so that only a
study that is wanted does. It runs on one thread: several of them, on cores that others use too,
wait for each other ten times as long as one works.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from testbed_drift.threads import single_threaded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed_drift.scoring.statistics.base import Floats, Integers

# Small trees, and few: what a few thousand rows can teach.
_SHAPE: Final = {
    "max_iter": 40,
    "max_leaf_nodes": 8,
    "min_samples_leaf": 20,
    "learning_rate": 0.1,
    "early_stopping": False,
}


@dataclass(frozen=True, slots=True)
class Learnt:
    """A classifier that has learnt.

    Attributes:
        columns: places of the features that it looks at: those of which it saw any value.
        labels: the labels that it knows, in its order.
        model: scikit-learn's; None where it saw no value at all.
        ratios: of the labels among the rows that it saw, for that case.
    """

    columns: Integers
    labels: Integers
    model: Any
    ratios: Floats

    @classmethod
    def of(cls, rows: Floats, labels: Integers, categorical: Sequence[bool], seed: int) -> Self:
        """Learn.

        Args:
            rows: features.
            labels: 0, 1, …
            categorical: which features are categories, coded as
                :class:`testbed_drift.scoring.matrices.Coding` does.
            seed: of the model.
        """
        from sklearn.ensemble import (  # noqa: PLC0415 - takes seconds
            HistGradientBoostingClassifier,
        )

        columns = _seen(rows)
        known, counts = np.unique(labels, return_counts=True)
        model = None
        if len(columns) and len(known) > 1:
            chosen = [bool(categorical[int(place)]) for place in columns]
            model = HistGradientBoostingClassifier(
                **_SHAPE, categorical_features=chosen, random_state=seed
            )
            with single_threaded():
                model.fit(rows[:, columns], labels)
        return cls(columns, known, model, counts / counts.sum())

    def chances(self, rows: Floats) -> Floats:
        """Chance of each label that it knows, ``[rows, labels]``."""
        if self.model is None:
            return np.tile(self.ratios, (len(rows), 1))
        with single_threaded():
            return np.asarray(self.model.predict_proba(rows[:, self.columns]))


@dataclass(frozen=True, slots=True)
class LearntNumbers:
    """A regression that has learnt.

    Attributes:
        columns: places of the features that it looks at: those of which it saw any value.
        model: scikit-learn's; None where it saw no value at all.
        mean: of the numbers that it saw, for that case.
    """

    columns: Integers
    model: Any
    mean: float

    @classmethod
    def of(cls, rows: Floats, numbers: Floats, categorical: Sequence[bool], seed: int) -> Self:
        """Learn numbers as :meth:`Learnt.of` learns labels."""
        from sklearn.ensemble import (  # noqa: PLC0415 - takes seconds
            HistGradientBoostingRegressor,
        )

        columns = _seen(rows)
        model = None
        if len(columns):
            chosen = [bool(categorical[int(place)]) for place in columns]
            model = HistGradientBoostingRegressor(
                **_SHAPE, categorical_features=chosen, random_state=seed
            )
            with single_threaded():
                model.fit(rows[:, columns], numbers)
        return cls(columns, model, float(numbers.mean()))

    def chances(self, rows: Floats) -> Floats:
        """The number that it expects, ``[rows, 1]``."""
        if self.model is None:
            return np.full((len(rows), 1), self.mean)
        with single_threaded():
            return np.asarray(self.model.predict(rows[:, self.columns]))[:, np.newaxis]


def _seen(rows: Floats) -> Integers:
    """Places of the features of which any row has a value."""
    return np.flatnonzero(~np.isnan(rows).all(axis=0))


def import_library() -> None:
    """Import scikit-learn's part now, so that no study has to wait for it."""
    import_module("sklearn.ensemble")


def folds(
    labels: Integers, count: int, rng: np.random.Generator, groups: Integers | None = None
) -> Integers:
    """The fold of every row: each holds as many of every label as the others, or one more.

    Args:
        labels: 0, 1, …
        count: number of folds.
        rng: draws them.
        groups: rows of one number are in one fold, see
            :class:`testbed_drift.relations.copies.Distinct`; None where every row is by itself.
    """
    if groups is not None:
        kinds: dict[int, set[int]] = {}
        for group, label in zip(groups.tolist(), labels.tolist(), strict=True):
            kinds.setdefault(group, set()).add(label)
        numbers = {kind: place for place, kind in enumerate(map(frozenset, kinds.values()))}
        alike = np.array([numbers[frozenset(kind)] for kind in kinds.values()])
        chosen = dict(zip(kinds, folds(alike, count, rng).tolist(), strict=True))
        return np.array([chosen[group] for group in groups.tolist()])
    found = np.empty(len(labels), dtype=int)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        found[rows] = rng.permutation(np.arange(len(rows)) % count)
    return found


def out_of_fold(
    rows: Floats,
    labels: Integers,
    categorical: Sequence[bool],
    fold: Integers,
    seed: int,
) -> Floats:
    """Chance of each label, ``[rows, labels]``, predicted by a model that has not seen the row.

    Args:
        rows: features.
        labels: 0, 1, …; each in every fold.
        categorical: which features are categories.
        fold: of every row.
        seed: of the models.
    """
    chances = np.zeros((len(rows), int(labels.max()) + 1))
    for number in np.unique(fold):
        chosen = fold == number
        learnt = Learnt.of(rows[~chosen], labels[~chosen], categorical, seed)
        chances[np.ix_(chosen, learnt.labels)] = learnt.chances(rows[chosen])
    return chances

"""The light models that tell windows apart and stand in for labels and for an unknown model. Pure.

scikit-learn's histogram gradient boosting: it takes missing values and categories as they are,
finds interactions, and is done in tenths of a second. Importing it takes seconds, so that only a
study that is wanted does. It runs on one thread: several of them, on cores that others use too,
wait for each other ten times as long as one works.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from testbed_drift.measures import Floats, Integers

# Small trees, and few: what a few thousand rows can teach.
_SHAPE: Final = {
    "max_iter": 40,
    "max_leaf_nodes": 8,
    "min_samples_leaf": 20,
    "learning_rate": 0.1,
    "early_stopping": False,
}


def classifier(categorical: Sequence[bool], seed: int) -> Any:  # noqa: ANN401 - scikit-learn is untyped
    """A classifier that has learnt nothing yet.

    Args:
        categorical: which columns are categories, coded as :class:`testbed_drift.matrices.Coding`
            does.
        seed: of its draws.
    """
    from sklearn.ensemble import (  # noqa: PLC0415 - takes seconds
        HistGradientBoostingClassifier,
    )

    return HistGradientBoostingClassifier(
        **_SHAPE, categorical_features=list(categorical), random_state=seed
    )


def folds(labels: Integers, count: int, rng: np.random.Generator) -> Integers:
    """The fold of every row: each holds as many of every label as the others, or one more."""
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
    """Chance of each label, ``[rows, labels]``, told by a model that has not seen the row.

    Args:
        rows: features.
        labels: 0, 1, …; each in every fold.
        categorical: which features are categories.
        fold: of every row.
        seed: of the models.
    """
    chances = np.zeros((len(rows), int(labels.max()) + 1))
    with threadpool_limits(1):
        for chosen in _each(fold):
            model = classifier(categorical, seed).fit(rows[~chosen], labels[~chosen])
            chances[np.ix_(chosen, model.classes_)] = model.predict_proba(rows[chosen])
    return chances


def _each(fold: Integers) -> Iterator[Any]:
    for number in np.unique(fold):
        yield fold == number

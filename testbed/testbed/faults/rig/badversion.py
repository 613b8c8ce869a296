"""Trains a version that is worse than the run's model."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from testbed_domain.artefact import load_artefact
from testbed_domain.training import TrainingData, TrainingOptions, train_again

if TYPE_CHECKING:
    from pathlib import Path

    from testbed_domain.artefact import Artefact
    from testbed_domain.features import Label

OPTIONS: Final = TrainingOptions(trees=5, depth=4)
TESTED: Final = 5
"""One row of so many is not trained on."""


def worse(model: Path, store: Path, seed: int) -> Artefact:
    """Train the model of a run again, on labels that were dealt out anew: it learns nothing.

    Args:
        model: folder of the run's artefact.
        store: folder that gets the new one's.
        seed: of the deal.
    """
    champion = load_artefact(model)
    rows = list(champion.reference())
    known = {str(each): each for each in champion.schema.classes}
    labels: list[Label] = [
        float(row.label) if champion.schema.regression else known[row.label] for row in rows
    ]
    features = [row.features for row in rows]
    dealt = labels.copy()
    random.Random(seed).shuffle(dealt)  # noqa: S311 - repeatable on purpose, guards nothing
    trained = [place for place in range(len(rows)) if place % TESTED]
    tested = [place for place in range(len(rows)) if not place % TESTED]
    splits = TrainingData(
        ([features[p] for p in trained], [dealt[p] for p in trained]),
        ([features[p] for p in tested], [labels[p] for p in tested]),
        (features, labels),
        champion.source,
        synthetic=champion.synthetic,
        sampling=champion.sampling,
    )
    return train_again(store, champion, splits, seed, OPTIONS)

"""Trains a version that is worse than the run's model, and makes it the champion.

A program of its own: training takes a second of the processor, for which nothing must wait.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from testbed_domain.artefact import load_artefact
from testbed_domain.errors import DomainError
from testbed_domain.files import write_atomic
from testbed_domain.training import TrainingData, TrainingOptions, train_again
from testbed_drift.retraining.management import Management

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def main(arguments: Sequence[str]) -> None:
    """Train it, let each replica load it, promote it there, and write down what came of it.

    Args:
        arguments: the artefact, the folder for the new one, the file to write, the file of the
            management token, and the management URLs.
    """
    model, store, out, token, *urls = arguments
    made = worse(Path(model), Path(store), seed=0)
    found = {"version": made.version, "promoted": False, "problem": ""}
    try:
        management = Management(tuple(urls), Path(token))
        management.challenge(made.path)
        management.promote()
        found["promoted"] = True
    except DomainError as error:
        found["problem"] = str(error)
    write_atomic(Path(out), json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])

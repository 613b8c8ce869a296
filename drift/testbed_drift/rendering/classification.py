"""How well a model classifies, from its predictions and their labels, by Evidently."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from testbed_drift.formatting import finite
from testbed_drift.rendering.page import snapshot_widgets
from testbed_drift.rows.columns import PREDICTION, TARGET

if TYPE_CHECKING:
    import pandas as pd

BINARY: Final = 2
# Evidently's name of a metric, up to its options, to ours.
OVERALL: Final = {
    "Accuracy": "accuracy",
    "Precision": "precision",
    "Recall": "recall",
    "F1Score": "f1",
}
BY_CLASS: Final = {"PrecisionByLabel": "precision", "RecallByLabel": "recall", "F1ByLabel": "f1"}


@dataclass(frozen=True, slots=True)
class Quality:
    """Quality of the predictions in two windows.

    Attributes:
        reference: scores before; see :func:`evaluate`.
        current: scores now.
        snapshot: Evidently's result, from which its report is rendered on demand.
    """

    reference: dict[str, Any]
    current: dict[str, Any]
    snapshot: Any

    def widgets(self) -> list[Any]:
        """Evidently's figures."""
        return snapshot_widgets(self.snapshot)


def evaluate(reference: pd.DataFrame, current: pd.DataFrame, positive: str | None) -> Quality:
    """Compare predictions with labels in both windows.

    Scores are ``rows``, ``accuracy``, ``precision``, ``recall``, ``f1`` (of the positive class, or
    means over the classes) and ``by_class``.

    Args:
        reference: columns :data:`PREDICTION` and :data:`TARGET` as text, complete; not empty.
        current: the same.
        positive: the positive class of two; None for the means over all classes.
    """
    from testbed_drift.rendering.library import (  # noqa: PLC0415 - takes seconds
        BinaryClassification,
        ClassificationPreset,
        DataDefinition,
        Dataset,
        MulticlassClassification,
        Report,
    )

    labels = {"target": TARGET, "prediction_labels": PREDICTION}
    task = (
        MulticlassClassification(**labels)
        if positive is None
        else BinaryClassification(**labels, pos_label=positive)
    )
    definition = DataDefinition(classification=[task], categorical_columns=[TARGET, PREDICTION])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scores of classes that never occur are 0
        before, now = (
            Dataset.from_pandas(frame[[TARGET, PREDICTION]], data_definition=definition)
            for frame in (reference, current)
        )
        alone = Report([ClassificationPreset()]).run(before, None)
        snapshot = Report([ClassificationPreset()]).run(now, before)
    return Quality(
        _scores(alone, len(reference)),
        _scores(snapshot, len(current)),
        snapshot,
    )


def _scores(snapshot: Any, rows: int) -> dict[str, Any]:  # noqa: ANN401 - Evidently is untyped
    found: dict[str, Any] = {"rows": rows}
    by_class: dict[str, dict[str, float | None]] = {}
    for item in snapshot.dict()["metrics"]:
        name = item["metric_name"].partition("(")[0]
        if name in OVERALL:
            found[OVERALL[name]] = finite(float(item["value"]))
        elif name in BY_CLASS:
            for label, value in item["value"].items():
                by_class.setdefault(str(label), {})[BY_CLASS[name]] = finite(float(value))
    return found | {"by_class": dict(sorted(by_class.items()))}

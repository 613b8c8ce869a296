"""Evidently's metrics and figures of scores that are already there.

Importing Evidently takes seconds and rendering more, so only a report that is wanted imports this
module. Methods and thresholds are pinned in every metric: Evidently's own choice changes with the
size of the reference.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from testbed_drift.rendering.foundmetrics import ColumnDriftScore, study_metrics
from testbed_drift.rendering.library import (
    DataDefinition,
    Dataset,
    Report,
    ValueDrift,
)
from testbed_drift.rendering.overview import ranked
from testbed_drift.rendering.page import snapshot_widgets
from testbed_drift.scoring.scores import KS, MISSING_RATIO, MISSING_TEST, WASSERSTEIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from testbed_drift.relations.study import Relations
    from testbed_drift.scoring.scores import ColumnScore, DriftScores

MISSING_SUFFIX: Final = " (missing)"
# Evidently appends the categories that one window lacks one by one, copying all each time: 12,000
# of them were not through after five minutes.
MAX_CATEGORIES: Final = 500
# Methods that Evidently has under the same name, and computes itself. Its own of categories are no
# two-sample tests: see :func:`testbed_drift.scoring.statistics.categories.chi_square`.
EVIDENTLYS: Final = frozenset({KS, WASSERSTEIN})


@dataclass(frozen=True, slots=True)
class Figures:
    """Evidently's view of a detection.

    Attributes:
        scores: verdict per column.
        snapshot: Evidently's result.
    """

    scores: DriftScores
    snapshot: Any

    def metrics(self) -> list[dict[str, Any]]:
        """Evidently's metrics: name, configuration and value, safe for strict JSON."""
        return [
            {"name": item["metric_name"], "config": item["config"], "value": _finite(item["value"])}
            for item in self.snapshot.dict()["metrics"]
        ]

    def widgets(self) -> list[Any]:
        """Evidently's figures, of what drifted first."""
        return snapshot_widgets(self.snapshot)


def draw(
    scores: DriftScores,
    reference: pd.DataFrame,
    current: pd.DataFrame,
    relations: Relations | None = None,
) -> Figures:
    """Have Evidently compare two windows by the methods and thresholds of the scores.

    Columns of more than :data:`MAX_CATEGORIES` categories are left out: they stand in the overview
    only.

    Args:
        scores: what was found in the windows.
        reference: rows as :func:`testbed_drift.rows.frames.declare` makes them.
        current: likewise.
        relations: what no single column shows, where that was studied.
    """
    wanted = [pair for pair in _wanted(scores) if _drawable(pair[0], reference, current)]
    before, now = (
        _with_missing(frame, [name for name, _ in wanted]) for frame in (reference, current)
    )
    numeric = [name for name in before if pd.api.types.is_numeric_dtype(before[name])]
    definition = DataDefinition(
        numerical_columns=numeric,
        categorical_columns=[name for name in before if name not in numeric],
    )
    metrics = [_metric(name, score) for name, score in wanted]
    if relations:
        metrics += study_metrics(relations)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exact KS test falls back to its asymptotic form
        snapshot = Report(metrics).run(
            Dataset.from_pandas(now, data_definition=definition),
            Dataset.from_pandas(before, data_definition=definition),
        )
    return Figures(scores, snapshot)


def _metric(name: str, score: ColumnScore) -> Any:  # noqa: ANN401 - Evidently is untyped
    if score.method in EVIDENTLYS:
        return ValueDrift(column=name, method=score.method, threshold=score.threshold)
    return ColumnDriftScore(
        column=name,
        method=score.method,
        threshold=score.threshold,
        drifted=score.exceeded,
        current=score.value,
    )


def _wanted(scores: DriftScores) -> Iterator[tuple[str, ColumnScore]]:
    """Every score with the column of Evidently's data that it is about."""
    for column in ranked(scores):
        for score in column.scores:
            missing = score.method in {MISSING_TEST, MISSING_RATIO}
            yield column.column + (MISSING_SUFFIX if missing else ""), score


def _drawable(name: str, reference: pd.DataFrame, current: pd.DataFrame) -> bool:
    if name not in reference or pd.api.types.is_numeric_dtype(reference[name]):
        return True
    return len({*reference[name].unique(), *current[name].unique()}) <= MAX_CATEGORIES


def _with_missing(frame: pd.DataFrame, wanted: Sequence[str]) -> pd.DataFrame:
    """The wanted columns; one that says where values are missing is text.

    Evidently drops missing values without a word, and fails where nothing is left.
    """
    return pd.DataFrame(
        {
            name: frame[name] if name in frame else _missing(frame, name)
            for name in dict.fromkeys(wanted)
        }
    )


def _missing(frame: pd.DataFrame, name: str) -> pd.Series[Any]:
    return frame[name.removesuffix(MISSING_SUFFIX)].isna().astype(str)


def _finite(value: object) -> object:
    """JSON has no NaN and no infinity."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value
